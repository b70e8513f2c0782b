"""What a cover costs: the guaranteed part times the yearly rate for the days to maturity, owed once per loan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from libs.events.guarantee import PremiumDue, PremiumPaid
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.cover import Cover
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.domain.sharing import partners_part


@dataclass(frozen=True, slots=True)
class PremiumTerms:
    """Policy `guarantee/premium`: how many days make a year when a yearly rate is charged for a term."""

    year_days: int


def premium_for(guaranteed: Money, rate: Decimal, start: date, maturity: date, terms: PremiumTerms) -> Money:
    """The premium for `guaranteed` from `start` to `maturity` at a yearly `rate`, to the cent; none for no days."""
    days = max((maturity - start).days, 0)
    return guaranteed * (rate * days / terms.year_days)


def charge_premium(
    loan: CoveredLoan, cover: Cover, agreement: Agreement, on: date, terms: PremiumTerms
) -> tuple[CoveredLoan, PremiumDue | None]:
    """The premium for what was really drawn; due at once, by whom the agreement names."""
    rate = agreement.premium_rate if cover.premium_rate is None else cover.premium_rate
    premium = premium_for(partners_part(loan.amount, cover.sharing, loan.amount), rate, on, loan.maturity, terms)
    if not premium:
        return loan, None
    event = PremiumDue(
        facility_id=loan.facility_id, cover_id=loan.cover_id, amount=premium, payer=agreement.premium_payer, due=on
    )
    return replace(loan, premium=premium, premium_open=True), event


def pay_premium(loans: tuple[CoveredLoan, ...], amount: Money) -> tuple[CoveredLoan, PremiumPaid]:
    """Settle the open premium of exactly this amount; Refused when none is open or every open one differs."""
    unpaid = [loan for loan in loans if loan.premium_open]
    if not unpaid:
        raise Refused("no_premium_due")
    for loan in unpaid:
        if loan.premium == amount:
            event = PremiumPaid(facility_id=loan.facility_id, cover_id=loan.cover_id, amount=amount)
            return replace(loan, premium_open=False), event
    raise Refused("premium_differs", f"{amount} was offered", due=str(unpaid[0].premium))
