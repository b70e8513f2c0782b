"""Compensation-rate caps: how much the partners can still be asked for, and on which business that is measured.

A book holds one period of one agreement: the guaranteed amounts disbursed in it, their balance over time, and what of
the cap is used. The three semantics (what is the base, what counts, which period) are terms of the agreement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from libs.events.guarantee import CapReached
from libs.kernel.money import Money
from services.guarantee.domain.sharing import least
from services.guarantee.domain.terms import Cap, CapBase, CapCount, CapPeriod


@dataclass(frozen=True, slots=True, kw_only=True)
class CapBook:
    """One period of one agreement; `balance_days` is the guaranteed balance summed over the days before `since`."""

    book_id: str
    code: str
    currency: str
    opened: date
    since: date
    disbursed: Money
    balance: Money
    balance_days: Decimal = Decimal(0)
    used: Money


def book_year(cap: Cap, disbursed_on: date, on: date) -> int:
    """The year whose book a loss belongs to: that of the loan's disbursement, or the calendar year of the claim."""
    match cap.period:
        case CapPeriod.COHORT:
            return disbursed_on.year
        case CapPeriod.CALENDAR_YEAR:
            return on.year


def book_name(code: str, year: int) -> str:
    """How a period's book is named."""
    return f"{code}/{year}"


def open_book(code: str, year: int, cap: Cap, balance: Money) -> CapBook:
    """A new period's book; a calendar year starts with the balance that earlier years left, a cohort with nothing."""
    carried = balance if cap.period is CapPeriod.CALENDAR_YEAR else balance.zero
    first = date(year, 1, 1)
    return CapBook(
        book_id=book_name(code, year),
        code=code,
        currency=balance.currency,
        opened=first,
        since=first,
        disbursed=balance.zero,
        balance=carried,
        used=balance.zero,
    )


def move_balance(book: CapBook, change: Money, on: date) -> CapBook:
    """The guaranteed balance rose by a disbursement or fell by a repayment on `on`."""
    days = max((on - book.since).days, 0)
    return replace(
        book,
        disbursed=book.disbursed + change if change > change.zero else book.disbursed,
        balance=book.balance + change,
        balance_days=book.balance_days + book.balance.amount * days,
        since=max(on, book.since),
    )


def cap_amount(book: CapBook, cap: Cap, on: date) -> Money:
    """The most that the partners bear of the period's losses: rate x base, the base as it stands on `on`."""
    match cap.base:
        case CapBase.DISBURSED:
            return book.disbursed * cap.rate
        case CapBase.AVERAGE_BALANCE:
            return average_balance(book, on) * cap.rate


def average_balance(book: CapBook, on: date) -> Money:
    """The mean guaranteed balance of the days from the period's first to `on`; today's balance on the first."""
    days = (on - book.opened).days
    if days <= 0:
        return book.balance
    to_date = book.balance_days + book.balance.amount * max((on - book.since).days, 0)
    return Money(to_date / days, book.currency)


def room(book: CapBook, cap: Cap, on: date) -> Money:
    """What the partners can still be asked for in this period; never less than nothing."""
    left = cap_amount(book, cap, on) - book.used
    return max(left.zero, left)


def use(book: CapBook, cap: Cap, amount: Money, on: date, facility_id: str) -> tuple[CapBook, CapReached | None]:
    """Count a claim on the cap; the event tells that nothing is left."""
    used = replace(book, used=book.used + amount)
    if room(used, cap, on):
        return used, None
    return used, CapReached(
        facility_id=facility_id, agreement=book.code, period=book.book_id, cap=cap_amount(book, cap, on), used=used.used
    )


def give_back(book: CapBook, cap: Cap, amount: Money, *, denied: bool) -> CapBook:
    """A claim came to nothing: it uses the cap no longer, unless denied claims count for good."""
    if denied and cap.count is CapCount.CLAIMED:
        return book
    return replace(book, used=book.used - least(amount, book.used))
