"""The runway of an agreement's caps: each period's book with today's loans by grade and age, grouped in SQL."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any

from libs.kernel.errors import NotFound
from libs.runtime.tx import Tx
from services.guarantee.domain import cap as caps
from services.guarantee.domain.agreement import Agreement, in_force
from services.guarantee.domain.runway import Bucket, Runway, RunwayTerms, forecast, vintage_factor
from services.guarantee.domain.terms import CapPeriod
from services.guarantee.store import AGREEMENTS, CAP_BOOKS

DAYS_A_MONTH = 30
# Loans that can still be claimed, with the months that they have to go; a loan in arrears has a year to roll. Each has
# the PD it was disbursed at; one without any counts as in the portfolio, as one that defaults.
_TO_GO_SQL = """
SELECT year, pd, months, sum(guaranteed) AS amount, sum(guaranteed * guaranteed) AS squares FROM (
    SELECT CASE WHEN $3 THEN EXTRACT(year FROM l.disbursed_on)::int ELSE EXTRACT(year FROM $2::date)::int END AS year,
           CASE WHEN l.overdue_since IS NULL THEN COALESCE(l.pd, 1) ELSE $4::numeric END AS pd, l.guaranteed,
           CASE WHEN l.overdue_since IS NULL THEN GREATEST(0, (l.maturity - $2::date + 29) / 30) ELSE 12 END AS months
    FROM loans l JOIN covers c USING (cover_id)
    WHERE c.agreement = $1 AND NOT l.closed AND l.guaranteed > 0 AND NOT EXISTS (
        SELECT 1 FROM claims k WHERE k.loan_id = l.loan_id AND k.state IN ('filed', 'accepted', 'paid'))
) live GROUP BY year, pd, months
"""
# All loans that were ever drawn in a book, as drawn, with the months they have run so far. One without a PD promised
# nothing: what is claimed of it raises the factor.
_GONE_SQL = """
SELECT year, pd, months, sum(amount) AS amount, sum(amount * amount) AS squares FROM (
    SELECT EXTRACT(year FROM l.disbursed_on)::int AS year, COALESCE(l.pd, 0) AS pd, e.amount,
           GREATEST(0, (LEAST($2::date - $3::int, l.maturity) - l.disbursed_on) / 30) AS months
    FROM entries e JOIN covers c USING (cover_id) JOIN loans l ON l.loan_id = e.reference
    WHERE c.agreement = $1 AND e.kind = 'balance' AND e.amount > 0
) drawn GROUP BY year, pd, months
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapRunway:
    """The forecast of one period's cap."""

    book: str
    runway: Runway


async def runways(tx: Tx, code: str) -> tuple[CapRunway, ...]:
    """Each period's forecast, none where no cap was agreed; raises NotFound."""
    versions = await tx.of(AGREEMENTS, code)
    if not versions:
        raise NotFound("not_found", f"no agreement {code}")
    agreement = in_force(versions, tx.date)
    if agreement is None or agreement.cap is None:
        return ()
    terms = tx.policy(RunwayTerms, "guarantee/runway").terms
    cohort = agreement.cap.period is CapPeriod.COHORT
    to_go = _by_year(await tx.sql(_TO_GO_SQL, code, tx.date, cohort, terms.overdue_pd))
    gone = _by_year(await tx.sql(_GONE_SQL, code, tx.date, agreement.claim_wait_days))
    books = {book.opened.year: book for book in await tx.of(CAP_BOOKS, code)}
    return tuple(
        CapRunway(
            book=books[year].book_id, runway=_runway(agreement, books[year], to_go[year], gone[year], terms, tx.date)
        )
        for year in sorted(books)
        if cohort or year == tx.date.year
    )


def _runway(
    agreement: Agreement,
    book: caps.CapBook,
    to_go: list[Bucket],
    gone: list[Bucket],
    terms: RunwayTerms,
    on: date,
) -> Runway:
    assert agreement.cap is not None, agreement.ref  # noqa: S101 - asked for only where a cap was agreed
    ends_with_year = agreement.cap.period is CapPeriod.CALENDAR_YEAR
    return forecast(
        to_go,
        caps.room(book, agreement.cap, on),
        vintage_factor(gone, book.used, terms),
        terms,
        wait_months=agreement.claim_wait_days // DAYS_A_MONTH,
        on=on,
        months=12 - on.month + 1 if ends_with_year else terms.horizon_months,
    )


def _by_year(rows: list[dict[str, Any]]) -> dict[int, list[Bucket]]:
    found: dict[int, list[Bucket]] = defaultdict(list)
    for row in rows:
        found[row["year"]].append(Bucket(**{name: row[name] for name in ("amount", "squares", "pd", "months")}))
    return found
