"""The pay ledger: double entry, append only; every posting sums to zero, so the whole ledger does.

Debit is positive. The bank's expense is a debit; what it has paid, and what it owes, are credits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from libs.kernel.errors import Invalid
from libs.kernel.money import Money, total
from services.incentive.domain.people import StaffPay


class Account(StrEnum):
    """The accounts of performance pay; all but the expense are kept per person."""

    PAY_EXPENSE = "pay_expense"
    PAID = "paid"
    DEFERRED = "deferred"
    TO_RECLAIM = "to_reclaim"
    CLAWED_BACK = "clawed_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One side of a posting: positive is debit, negative is credit."""

    account: Account
    staff: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One leg as it stands in the ledger; `entry_id` is its posting and its place there."""

    entry_id: str
    posting: str
    facility_id: str
    loan_id: str
    staff: str
    account: Account
    amount: Money
    currency: str
    booked_on: date


def accrual(earned: tuple[StaffPay, ...], paid_now: tuple[StaffPay, ...], currency: str) -> tuple[Leg, ...]:
    """Pay was earned: an expense, part of it paid and the rest owed for later."""
    later = tuple(
        Leg(account=Account.DEFERRED, staff=part.staff, amount=paid.amount - part.amount)
        for part, paid in zip(earned, paid_now, strict=True)
    )
    whole = total((part.amount for part in earned), currency)
    expense = Leg(account=Account.PAY_EXPENSE, staff="", amount=whole)
    return (expense, *_credits(Account.PAID, paid_now), *later)


def vesting(parts: tuple[StaffPay, ...]) -> tuple[Leg, ...]:
    """An instalment vested: no longer owed but paid."""
    return (*_debits(Account.DEFERRED, parts), *_credits(Account.PAID, parts))


def clawing_back(stopped: tuple[StaffPay, ...], reclaimed: tuple[StaffPay, ...]) -> tuple[Leg, ...]:
    """Pay was taken back: owed no longer, or to be returned by the person; both reverse the expense."""
    return (
        *_debits(Account.DEFERRED, stopped),
        *_debits(Account.TO_RECLAIM, reclaimed),
        *_credits(Account.CLAWED_BACK, (*stopped, *reclaimed)),
    )


def post(
    posting: str, legs: tuple[Leg, ...], *, facility_id: str, loan_id: str, currency: str, on: date
) -> tuple[Entry, ...]:
    """The ledger rows of one posting, without empty legs; Invalid `posting_unbalanced` unless they sum to zero."""
    if total((leg.amount for leg in legs), currency):
        raise Invalid("posting_unbalanced", posting)
    return tuple(
        Entry(
            entry_id=f"{posting}/{place}",
            posting=posting,
            facility_id=facility_id,
            loan_id=loan_id,
            staff=leg.staff,
            account=leg.account,
            amount=leg.amount,
            currency=currency,
            booked_on=on,
        )
        for place, leg in enumerate((leg for leg in legs if leg.amount), start=1)
    )


def _debits(account: Account, parts: tuple[StaffPay, ...]) -> tuple[Leg, ...]:
    return tuple(Leg(account=account, staff=part.staff, amount=part.amount) for part in parts)


def _credits(account: Account, parts: tuple[StaffPay, ...]) -> tuple[Leg, ...]:
    return tuple(Leg(account=account, staff=part.staff, amount=-part.amount) for part in parts)
