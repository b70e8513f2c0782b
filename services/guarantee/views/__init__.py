"""What guarantee shows beside single facilities: requests, events, portfolio, and what an agreement has left."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from libs.kernel.errors import Invalid, NotFound
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.domain.agreement import Agreement, in_force
from services.guarantee.domain.health import TrackRecord
from services.guarantee.domain.pack import Judgement, Pack, judgement_id, pack_ref
from services.guarantee.store import AGREEMENTS, JUDGEMENTS, PACKS, RECORDS

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
