"""A partner's month from the ledger: the statement's figures and lines, and where lists differ. All of it set-based."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from libs.kernel.errors import NotFound
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.domain import cap as caps
from services.guarantee.domain.agreement import Agreement, in_force
from services.guarantee.domain.bordereau import (
    PUT_OFF,
    AgreementStatement,
    CapFigure,
    Figure,
    InForce,
    Line,
    PutOff,
    Statement,
    days_of,
)
from services.guarantee.domain.cap import CapBook
from services.guarantee.domain.ledger import OWN
from services.guarantee.domain.listed import About, Difference, Finding, PartnerList
from services.guarantee.domain.terms import Cap, CapPeriod
from services.guarantee.store import AGREEMENTS, LISTS, PARTNERS

_HIDDEN = ", ".join(f"'{kind}'" for kind in OWN)
LINES_SQL = f"""
SELECT e.entry_id, e.kind, e.reference, e.party, COALESCE(e.amount, k.claimed, 0) AS amount, c.currency, e."on" AS day,
       c.agreement
FROM entries e JOIN covers c USING (cover_id) LEFT JOIN claims k ON e.amount IS NULL AND k.claim_id = e.reference
WHERE c.partner = $1 AND e."on" BETWEEN $2 AND $3 AND e.kind NOT IN ({_HIDDEN})
"""  # noqa: S608 - our own words
"""The entries of the partner $1 from $2 to $3 that a statement shows."""
_FIGURES_SQL = f"""
SELECT agreement, kind, party, currency, count(*) AS number, sum(amount) AS amount
FROM ({LINES_SQL}) l GROUP BY agreement, kind, party, currency ORDER BY agreement, kind, party
"""  # noqa: S608 - our own words
_STANDING_SQL = """
WITH ended AS (SELECT cover_id, "on" FROM entries WHERE kind = 'cover.released')
SELECT c.agreement, c.currency, d.day,
       count(*) FILTER (WHERE e.kind = 'cover.bound') AS covers,
       COALESCE(sum(e.amount) FILTER (WHERE e.kind = 'cover.bound'), 0) AS guaranteed,
       COALESCE(sum(e.amount) FILTER (WHERE e.kind = 'balance'), 0) AS balance
FROM unnest($2::date[]) AS d(day)
JOIN entries e ON e."on" <= d.day AND e.kind IN ('cover.bound', 'balance')
JOIN covers c ON c.cover_id = e.cover_id AND c.partner = $1
LEFT JOIN ended r ON r.cover_id = e.cover_id AND r."on" <= d.day
WHERE e.kind = 'balance' OR r.cover_id IS NULL
GROUP BY c.agreement, c.currency, d.day
"""
# A cohort's book holds the loans of one year, a calendar year's all that stood or came in it.
_BASE_SQL = {
    CapPeriod.COHORT: """
SELECT EXTRACT(year FROM l.disbursed_on)::int AS year, sum(e.amount) FILTER (WHERE e.amount > 0) AS disbursed,
       sum(e.amount) AS balance, sum(e.amount * ($2::date - e."on")) AS days
FROM entries e JOIN covers c USING (cover_id) JOIN loans l ON l.loan_id = e.reference
WHERE e.kind = 'balance' AND c.agreement = $1 AND e."on" <= $2 GROUP BY 1 ORDER BY 1
""",
    CapPeriod.CALENDAR_YEAR: """
SELECT EXTRACT(year FROM $2::date)::int AS year,
       sum(e.amount) FILTER (WHERE e.amount > 0 AND e."on" >= date_trunc('year', $2::date)) AS disbursed,
       sum(e.amount) AS balance,
       sum(e.amount * ($2::date - GREATEST(e."on", date_trunc('year', $2::date)::date))) AS days
FROM entries e JOIN covers c USING (cover_id)
WHERE e.kind = 'balance' AND c.agreement = $1 AND e."on" <= $2 HAVING count(*) > 0
""",
}
# A claim counts from the day it was first put off until it is paid or comes to nothing.
_PUT_OFF_SQL = """
SELECT agreement, currency,
       COALESCE(sum(amount) FILTER (WHERE since < $2 AND (ended IS NULL OR ended >= $2)), 0) AS opening,
       COALESCE(sum(amount) FILTER (WHERE since >= $2), 0) AS put_off,
       COALESCE(sum(amount) FILTER (WHERE ended >= $2 AND outcome = 'claim.paid'), 0) AS paid,
       COALESCE(sum(amount) FILTER (WHERE ended >= $2 AND outcome <> 'claim.paid'), 0) AS lapsed,
       COALESCE(sum(amount) FILTER (WHERE ended IS NULL), 0) AS closing
FROM (
    SELECT DISTINCT ON (e.reference) c.agreement, c.currency, e.amount, e."on" AS since, o.kind AS outcome, o.ended
    FROM entries e JOIN covers c USING (cover_id) LEFT JOIN LATERAL (
        SELECT kind, "on" AS ended FROM entries k
        WHERE k.reference = e.reference AND k.kind IN ('claim.paid', 'claim.denied', 'claim.withdrawn')
          AND k."on" BETWEEN e."on" AND $3
        ORDER BY k."on" LIMIT 1
    ) o ON true
    WHERE c.partner = $1 AND e.kind = 'payout.deferred' AND e."on" <= $3 ORDER BY e.reference, e."on"
) deferred GROUP BY agreement, currency
"""
_USED_SQL = """
SELECT e.reference AS book, sum(e.amount) AS used FROM entries e JOIN covers c USING (cover_id)
WHERE e.kind = 'cap.used' AND c.agreement = $1 AND e."on" <= $2 GROUP BY 1
"""
_DIFFERENCES_SQL = """
SELECT * FROM differences WHERE list_id = $1 AND against = $2 AND place > $3 ORDER BY place LIMIT $4::int
"""


async def statement(tx: Tx, partner_id: str, month: str) -> Statement:
    """The partner's month, agreement by agreement; raises NotFound for a partner that was never admitted."""
    await tx.get(PARTNERS, partner_id)
    first, last = days_of(month)
    figures: dict[str, list[Figure]] = {}
    for row in await tx.sql(_FIGURES_SQL, partner_id, first, last):
        amount = Money(row["amount"], row["currency"])
        figure = Figure(kind=row["kind"], party=row["party"], number=row["number"], amount=amount)
        figures.setdefault(row["agreement"], []).append(figure)
    before = first - timedelta(days=1)
    standing = {
        (row["agreement"], row["day"]): InForce(
            covers=row["covers"],
            guaranteed=Money(row["guaranteed"], row["currency"]),
            balance=Money(row["balance"], row["currency"]),
        )
        for row in await tx.sql(_STANDING_SQL, partner_id, [before, last])
    }
    deferred = {
        row["agreement"]: PutOff(**{name: Money(row[name], row["currency"]) for name in PUT_OFF})
        for row in await tx.sql(_PUT_OFF_SQL, partner_id, first, last)
    }
    told = []
    for code in sorted({*figures, *deferred, *(code for code, _ in standing)}):
        versions = await tx.of(AGREEMENTS, code)
        none = InForce(covers=0, guaranteed=versions[0].capacity.zero, balance=versions[0].capacity.zero)
        told.append(
            AgreementStatement(
                agreement=code,
                opening=standing.get((code, before), none),
                figures=tuple(figures.get(code, ())),
                closing=standing.get((code, last), none),
                caps=await _caps(tx, in_force(versions, last), last),
                deferred=deferred.get(code),
            )
        )
    return Statement(partner=partner_id, month=month, final=tx.date > last, agreements=tuple(told))


async def lines(tx: Tx, partner_id: str, month: str, after: str = "", limit: int | None = None) -> tuple[Line, ...]:
    """The entries behind a statement by their names, at most `limit` after `after`; raises NotFound as above."""
    await tx.get(PARTNERS, partner_id)
    page = f"{LINES_SQL} AND e.entry_id > $4 ORDER BY e.entry_id LIMIT $5::bigint"
    return tuple(
        Line(
            place=row["entry_id"],
            kind=row["kind"],
            reference=row["reference"],
            party=row["party"],
            amount=Money(row["amount"], row["currency"]),
            day=row["day"],
        )
        for row in await tx.sql(page, partner_id, *days_of(month), after, limit)
    )


async def lists(tx: Tx, partner_id: str, about: About, month: str) -> tuple[PartnerList, ...]:
    """The lists handed in for a partner's month, one for each party that did."""
    await tx.get(PARTNERS, partner_id)
    found = await tx.of(LISTS, partner_id)
    return tuple(each for each in found if (each.about, each.month) == (about, month))


async def differences(tx: Tx, list_id: str, against: str, after: str, limit: int) -> tuple[Difference, ...]:
    """Where a list differs from that of `against`, at most `limit` after the place `after`; raises NotFound."""
    found = await tx.find(LISTS, list_id)
    if found is None or against not in {each.against for each in found.compared}:
        raise NotFound("not_found", "no such list was handed in and compared")
    rows = await tx.sql(_DIFFERENCES_SQL, list_id, against, after, limit)
    return tuple(
        Difference(
            **{name: row[name] for name in ("place", "cause", "kind", "reference", "party", "line")},
            finding=Finding(row["finding"]),
            ours=_money(row, "our"),
            our_day=row["our_day"],
            theirs=_money(row, "their"),
            their_day=row["their_day"],
        )
        for row in rows
    )


async def _caps(tx: Tx, agreement: Agreement | None, on: date) -> tuple[CapFigure, ...]:
    """What each period's cap came to on a day, and what claims had used of it."""
    if agreement is None or agreement.cap is None:
        return ()
    used = {row["book"]: row["used"] for row in await tx.sql(_USED_SQL, agreement.code, on)}
    rows = await tx.sql(_BASE_SQL[agreement.cap.period], agreement.code, on)
    return tuple(_cap(agreement, agreement.cap, row, used, on) for row in rows)


def _cap(agreement: Agreement, cap: Cap, row: dict[str, Any], used: dict[str, Decimal], on: date) -> CapFigure:
    name = caps.book_name(agreement.code, row["year"])
    book = CapBook(
        book_id=name,
        code=agreement.code,
        currency=agreement.currency,
        opened=date(row["year"], 1, 1),
        since=on,
        disbursed=Money(row["disbursed"] or Decimal(0), agreement.currency),
        balance=Money(row["balance"], agreement.currency),
        balance_days=row["days"],
        used=Money(used.get(name, Decimal(0)), agreement.currency),
    )
    return CapFigure(book=name, cap=caps.cap_amount(book, cap, on), used=book.used, room=caps.room(book, cap, on))


def _money(row: dict[str, Any], side: str) -> Money | None:
    amount = row[f"{side}_amount"]
    return None if amount is None else Money(amount, row[f"{side}_currency"])
