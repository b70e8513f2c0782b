"""A year's payouts are bounded by what the partner took in the year before (F7): what is above waits for the next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from libs.events.guarantee_upkeep import PayoutDeferred
from libs.kernel.calendar import Calendar
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.claim import Claim
from services.guarantee.domain.terms import PayoutCap


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutBook:
    """One calendar year of one agreement: premiums paid to and recoveries shared with partners, and payouts due.

    It was `crossed` when a claim found no room under the year's cap.
    """

    book_id: str
    code: str
    currency: str
    income: Money
    promised: Money
    crossed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """A claim whose payout is counted in a year's book."""

    claim_id: str
    facility_id: str
    book_id: str


def new_book(agreement: Agreement, year: int) -> PayoutBook:
    """A year in which nothing has happened yet."""
    none = agreement.capacity.zero
    return PayoutBook(
        book_id=f"{agreement.code}/{year}", code=agreement.code, currency=none.currency, income=none, promised=none
    )


def cap_of(cap: PayoutCap, before: PayoutBook) -> Money:
    """The most that is paid out in a year: so many times the income of the year `before`."""
    return before.income * cap.multiple


def surcharge_on(cap: PayoutCap, crossed: Collection[int], year: int) -> Decimal:
    """The part by which premiums of the `year` are higher, from the calendar years in which the cap was `crossed`."""
    counted = [one for one in crossed if year - cap.years < one <= year]
    return cap.surcharge if len(counted) > cap.crossings else Decimal(0)


def promise(book: PayoutBook, cap: Money | None, claim: Claim) -> PayoutBook | None:
    """Count the claim on the year, or None when the cap has no room for all of it; without a cap there always is."""
    promised = replace(book, promised=book.promised + claim.claimed)
    return promised if cap is None or promised.promised <= cap else None


def defer(book: PayoutBook, cap: Money, claim: Claim, partner: str, on: date, calendar: Calendar) -> PayoutDeferred:
    """The claim waits for the first working day of the next year."""
    return PayoutDeferred(
        facility_id=claim.facility_id,
        cover_id=claim.cover_id,
        claim_id=claim.claim_id,
        partner=partner,
        amount=claim.claimed,
        cap=cap,
        used=book.promised,
        until=calendar.add_working_days(date(on.year, 12, 31), 1),
    )
