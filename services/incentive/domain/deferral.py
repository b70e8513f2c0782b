"""PAY-01: at least the policy's share of performance pay waits, in equal yearly instalments that sum to it exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from libs.kernel.calendar import add_months
from libs.kernel.money import CENT, Money, total
from services.incentive.domain.people import StaffPay

MONTHS_A_YEAR = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferralTerms:
    """The share deferred (0 to 1), over how many years, and the day of the yearly pay run."""

    share: Decimal
    years: int
    run_month: int
    run_day: int


class Status(StrEnum):
    """Where an instalment stands."""

    DEFERRED = "deferred"
    HELD = "held"
    VESTED = "vested"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instalment:
    """One deferred instalment: its number (from 1), its pay run, and what each person would still get from it."""

    number: int
    vests_on: date
    status: Status
    parts: tuple[StaffPay, ...]

    def total(self, currency: str) -> Money:
        return total((part.amount for part in self.parts), currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """Pay divided in time: what is paid at once and the instalments that wait."""

    paid_now: tuple[StaffPay, ...]
    instalments: tuple[Instalment, ...]


def paid_at_once(pay: Money, share: Decimal) -> Money:
    """What is not deferred, rounded down: the deferred share is a minimum (2010 No.14 art. 16: at least 40 %)."""
    return Money((pay.amount * (1 - share)).quantize(CENT, ROUND_DOWN), pay.currency)


def equal_instalments(deferred: Money, years: int) -> tuple[Money, ...]:
    """`years` equal amounts to the cent, the remainder in the last; none is negative and they sum to `deferred`."""
    each = Money(deferred.amount / years, deferred.currency)
    if each * (years - 1) > deferred:  # a few cents over many years: rounding up would overdraw the last one
        each = Money((deferred.amount / years).quantize(CENT, ROUND_DOWN), deferred.currency)
    return (each,) * (years - 1) + (deferred - each * (years - 1),)


def pay_run(not_before: date, terms: DeferralTerms) -> date:
    """The first yearly pay-run day on or after `not_before`."""
    this_year = date(not_before.year, terms.run_month, terms.run_day)
    return this_year if this_year >= not_before else this_year.replace(year=not_before.year + 1)


def defer(earned: tuple[StaffPay, ...], disbursed_on: date, terms: DeferralTerms) -> Deferred:
    """Divide each person's pay by PAY-01; instalment n vests at the first pay run n full years after disbursement."""
    now = tuple(replace(part, amount=paid_at_once(part.amount, terms.share)) for part in earned)
    waits = [equal_instalments(part.amount - paid.amount, terms.years) for part, paid in zip(earned, now, strict=True)]
    return Deferred(
        paid_now=now,
        instalments=tuple(
            Instalment(
                number=number + 1,
                vests_on=pay_run(add_months(disbursed_on, MONTHS_A_YEAR * (number + 1)), terms),
                status=Status.DEFERRED,
                parts=tuple(replace(part, amount=amounts[number]) for part, amounts in zip(earned, waits, strict=True)),
            )
            for number in range(terms.years)
        ),
    )
