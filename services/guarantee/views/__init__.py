"""What guarantee shows beside single facilities: requests, events, portfolio, and what an agreement has left."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from libs.kernel.errors import Invalid, NotFound
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.domain.agreement import Agreement, in_force
from services.guarantee.domain.cap import book_name
from services.guarantee.domain.health import TrackRecord
from services.guarantee.domain.pack import Judgement, Pack, judgement_id, pack_ref
from services.guarantee.domain.portfolio import Burden, PortfolioTerms, Sum, burden, slices_of
from services.guarantee.store import AGREEMENTS, CAP_BOOKS, JUDGEMENTS, PACKS, RECORDS

_AGREEMENTS_SQL = """
SELECT a.*, p.reserved, p.bound, p.active, s.since AS suspended_since
FROM agreements a LEFT JOIN pools p ON p.pool = 'agreement/' || a.code
LEFT JOIN suspensions s ON s.code = a.code AND s.lifted_on IS NULL
WHERE a.code IN ({codes}) ORDER BY a.code, a.effective
"""
_REQUESTS_SQL = """
SELECT facility_id, cover_id, agreement, terms, amount, currency, asked_on FROM covers
WHERE partner = $1 AND state = 'requested' AND (asked_on, cover_id) > ($2, $3) AND asked_on BETWEEN $4 AND $5
ORDER BY asked_on, cover_id LIMIT $6::int
"""
_EVENTS_SQL = """
SELECT number, event_id AS id, type, subject, business_date, told_at, body FROM partner_events
WHERE party = $1 AND number > $2 AND ($3::text[] = '{}' OR type = ANY($3)) AND business_date >= $4
ORDER BY number LIMIT $5::int
"""


# A loan that has no PD, or is past due for too long, counts as defaulted. Whose claim was paid costs nobody any more.
# Grouped by columns as they are, for whose groups the planner has statistics: by expressions it would sort all loans.
_BOOK_SQL = """
SELECT terms, year, currency, sum(n)::bigint AS loans, sum(unrated)::bigint AS unrated,
    sum(outstanding) AS outstanding, sum(guaranteed) AS guaranteed,
    sum(outstanding * p) AS defaulted_expected, sum(outstanding * least(1, p * $2::numeric)) AS defaulted_stressed,
    sum(guaranteed * p) AS guaranteed_expected, sum(guaranteed * least(1, p * $2::numeric)) AS guaranteed_stressed
FROM (
    SELECT *, CASE WHEN late THEN 1 ELSE coalesce(pd, 1) END AS p, CASE WHEN pd IS NULL THEN n ELSE 0 END AS unrated
    FROM (
        SELECT terms, year, currency, pd, coalesce(overdue_since <= $1, false) AS late,
            count(*) AS n, sum(outstanding) AS outstanding, sum(guaranteed) AS guaranteed
        FROM loans WHERE NOT closed AND loan_id NOT IN (SELECT loan_id FROM claims WHERE state = 'paid')
        GROUP BY 1, 2, 3, 4, 5
    ) AS grouped
) AS weighed GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_SLICED_SQL = """
SELECT l.terms, year, place,
    sum(p.pd * (least(p.lost, high * amount) - least(p.lost, low * amount))) AS lost
FROM jsonb_to_recordset($4::jsonb) AS s(terms text, place int, low numeric, high numeric, covered numeric)
JOIN loans l USING (terms) CROSS JOIN LATERAL (
    SELECT CASE WHEN overdue_since <= $1 THEN 1 ELSE least(1, coalesce(l.pd, 1) * $2::numeric) END AS pd,
        outstanding * $3::numeric * covered AS lost
) AS p
WHERE NOT closed AND NOT EXISTS (SELECT FROM claims c WHERE c.loan_id = l.loan_id AND c.state = 'paid')
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementLoad:
    """The loans out under all versions of one agreement, and what partners stand for of them."""

    agreement: str
    loans: int
    outstanding: Money
    guaranteed: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioView:
    """All loans under cover in one currency, and who bears what of the loss of a year: expected, and under stress.

    `unrated` loans have no PD and count as defaulted.
    """

    on: date
    policy: str
    loans: int
    unrated: int
    outstanding: Money
    guaranteed: Money
    agreements: tuple[AgreementLoad, ...]
    expected: Burden
    stressed: Burden


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementView:
    """The version of an agreement in force today (the newest, if none is) and what is held under all its versions.

    `record` says how the partner does, where the agreement has triggers. `reserved` is all that is held, `bound` the
    part held by covers, `active` the part of that which is drawn and not repaid.
    """

    agreement: Agreement
    versions: tuple[str, ...]
    suspended_since: date | None
    record: TrackRecord | None
    capacity: Money
    reserved: Money
    bound: Money
    active: Money
    available: Money


async def pack(tx: Tx, code: str, version: int, party: str = "") -> Pack:
    """One version of a partner's rules, of any partner or of `party` alone; raises NotFound."""
    found = await tx.get(PACKS, pack_ref(code, version))
    if party not in ("", found.partner):
        raise NotFound("not_found", f"no {Pack.__name__} {found.pack_ref}")
    return found


async def judgement(tx: Tx, facility_id: str, code: str, party: str = "") -> Judgement:
    """What an agreement's pack said of the facility's request, any partner's or `party`'s alone; raises NotFound."""
    found = await tx.get(JUDGEMENTS, judgement_id(facility_id, code))
    if party not in ("", found.partner):
        raise NotFound("not_found", f"no {Judgement.__name__} {found.judgement_id}")
    return found


async def agreement(tx: Tx, code: str, party: str = "") -> AgreementView:
    """One agreement with its capacity, of any partner or of `party` alone; raises NotFound."""
    found = await _agreements(tx, "WHERE code = $1 AND $2 IN ('', partner_id)", code, party)
    if not found:
        raise NotFound("not_found", f"no agreement {code}")
    return found[0]


async def agreements(tx: Tx, after: str, limit: int, party: str = "") -> tuple[AgreementView, ...]:
    """At most `limit` agreements with a code after `after`, by code, of any partner or of `party` alone."""
    rest = "WHERE code > $1 AND $3 IN ('', partner_id) ORDER BY code LIMIT $2::int"
    return await _agreements(tx, rest, after, limit, party)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverRequestView:
    """A cover that the partner is asked for and has not answered; its days end with `answer_by`, if it has any."""

    facility_id: str
    cover_id: str
    agreement: str
    terms: str
    amount: Money
    asked_on: date
    answer_by: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerEvent:
    """Something that was published about a partner's own business; `number` counts that partner's events from 1."""

    number: int
    id: str
    type: str
    subject: str
    business_date: date
    told_at: datetime
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerEvents:
    """Events in their order; `next` is the cursor to go on with, now or later, and `more` says whether there are."""

    items: tuple[PartnerEvent, ...]
    next: str
    more: bool


async def cover_requests(
    tx: Tx, party: str, place: str, limit: int, *, since: date, until: date
) -> tuple[CoverRequestView, ...]:
    """At most `limit` open requests to a partner asked from `since` to `until`, the oldest first, after `place`."""
    asked_on, _, cover_id = place.partition("/")
    rows = await tx.sql(_REQUESTS_SQL, party, _day(asked_on), cover_id, since, until, limit)
    found = []
    for row in rows:
        terms = await tx.get(AGREEMENTS, row["terms"])
        days = terms.binding.hold_days
        found.append(
            CoverRequestView(
                facility_id=row["facility_id"],
                cover_id=row["cover_id"],
                agreement=row["agreement"],
                terms=row["terms"],
                amount=Money(row["amount"], row["currency"]),
                asked_on=row["asked_on"],
                answer_by=row["asked_on"] + timedelta(days=days) if days else None,
            )
        )
    return tuple(found)


async def partner_events(
    tx: Tx, party: str, place: int, limit: int, *, types: tuple[str, ...], since: date
) -> tuple[PartnerEvent, ...]:
    """At most `limit` events about a partner's own business after its event number `place`, from `since` on."""
    rows = await tx.sql(_EVENTS_SQL, party, place, list(types), since, limit)
    return tuple(PartnerEvent(**{**row, "body": json.loads(row["body"])}) for row in rows)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text) if text else date.min
    except ValueError as error:
        raise Invalid("cursor_invalid", "this is no cursor of a page before") from error


async def _agreements(tx: Tx, rest: str, *values: Any) -> tuple[AgreementView, ...]:
    codes = f"SELECT DISTINCT code FROM {AGREEMENTS.name} {rest}"  # noqa: S608 - our own words
    rows = await tx.sql(_AGREEMENTS_SQL.format(codes=codes), *values)
    views = []
    for code, versions in groupby(rows, lambda row: row["code"]):
        record = await tx.find(RECORDS, code)
        views.append(_agreement(tuple(versions), record, tx.date))
    return tuple(views)


def _agreement(rows: tuple[dict[str, Any], ...], record: TrackRecord | None, on: date) -> AgreementView:
    versions = tuple(AGREEMENTS.load(row) for row in rows)
    agreement, row = in_force(versions, on) or versions[-1], rows[0]
    reserved, bound, active = (
        Money(row[name] or Decimal(0), agreement.currency) for name in ("reserved", "bound", "active")
    )
    return AgreementView(
        agreement=agreement,
        versions=tuple(version.ref for version in versions),
        suspended_since=row["suspended_since"],
        record=record,
        capacity=agreement.capacity,
        reserved=reserved,
        bound=bound,
        active=active,
        available=agreement.capacity - reserved,
    )


async def portfolio(tx: Tx, pd_factor: Decimal, lgd_factor: Decimal) -> tuple[PortfolioView, ...]:
    """The whole book under cover by currency: what it is expected to cost whom, and with PD and LGD multiplied."""
    policy = tx.policy(PortfolioTerms, "guarantee/portfolio")
    defaulted = tx.date - timedelta(days=policy.terms.default_days)
    rows = await tx.sql(_BOOK_SQL, defaulted, pd_factor)
    refs = sorted({row["terms"] for row in rows})
    agreements = {a.ref: a for a in (AGREEMENTS.load(r) for r in await tx.sql(AGREEMENTS.find_sql, refs))}
    names = sorted({book_name(a.code, year) for a in agreements.values() if a.cap for year in _years(rows, tx.date)})
    books = {b.book_id: b for b in (CAP_BOOKS.load(r) for r in await tx.sql(CAP_BOOKS.find_sql, names))}
    lgd = policy.terms.lgd
    harsh = min(Decimal(1), lgd * lgd_factor)
    sliced = {
        name: await _sliced(tx, agreements.values(), defaulted, factor, severity)
        for name, factor, severity in (("expected", Decimal(1), lgd), ("stressed", pd_factor, harsh))
    }
    found = []
    for currency in sorted({row["currency"] for row in rows}):
        own = [row for row in rows if row["currency"] == currency]
        burdens = {
            name: burden(_sums(own, name, sliced[name]), agreements, books, lgd=severity, on=tx.date, currency=currency)
            for name, severity in (("expected", lgd), ("stressed", harsh))
        }
        found.append(
            PortfolioView(
                on=tx.date,
                policy=policy.ref,
                loans=sum(row["loans"] for row in own),
                outstanding=Money(sum(row["outstanding"] for row in own), currency),
                guaranteed=Money(sum(row["guaranteed"] for row in own), currency),
                unrated=sum(row["unrated"] for row in own),
                agreements=_loads(own, agreements, currency),
                **burdens,
            )
        )
    return tuple(found)


def _years(rows: list[dict[str, Any]], on: date) -> set[int]:
    return {row["year"] for row in rows} | {on.year}


def _loads(rows: list[dict[str, Any]], agreements: dict[str, Agreement], currency: str) -> tuple[AgreementLoad, ...]:
    none = Money(Decimal(0), currency)
    loads: dict[str, AgreementLoad] = {}
    for row in rows:
        code = agreements[row["terms"]].code
        load = loads.get(code) or AgreementLoad(agreement=code, loans=0, outstanding=none, guaranteed=none)
        loads[code] = AgreementLoad(
            agreement=code,
            loans=load.loans + row["loans"],
            outstanding=load.outstanding + Money(row["outstanding"], currency),
            guaranteed=load.guaranteed + Money(row["guaranteed"], currency),
        )
    return tuple(loads[code] for code in sorted(loads))


def _sums(rows: list[dict[str, Any]], scenario: str, sliced: dict[tuple[str, int], tuple[Decimal, ...]]) -> list[Sum]:
    return [
        Sum(
            row["terms"],
            row["year"],
            row[f"defaulted_{scenario}"],
            row[f"guaranteed_{scenario}"],
            sliced.get((row["terms"], row["year"]), ()),
        )
        for row in rows
    ]


async def _sliced(
    tx: Tx, agreements: Iterable[Agreement], defaulted: date, factor: Decimal, lgd: Decimal
) -> dict[tuple[str, int], tuple[Decimal, ...]]:
    """What is lost in each slice, loan by loan, for the terms that have any."""
    slices = [
        {
            "terms": a.ref,
            "place": place,
            "low": str(one.low),
            "high": str(one.high),
            "covered": str(a.coverage.principal),
        }
        for a in agreements
        for place, one in enumerate(slices_of(a))
    ]
    if not slices:
        return {}
    found: dict[tuple[str, int], list[Decimal]] = {}
    for row in await tx.sql(_SLICED_SQL, defaulted, factor, lgd, json.dumps(slices)):
        found.setdefault((row["terms"], row["year"]), []).append(row["lost"])
    return {key: tuple(lost) for key, lost in found.items()}
