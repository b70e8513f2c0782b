"""What a cover costs: the guaranteed part times the yearly rate for the days of a period, the last one to maturity.

A fund may bear a part of it; what is repaid early is not covered any longer, and the agreed part of it goes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from libs.events.guarantee import PremiumDue, PremiumPaid
from libs.events.guarantee_upkeep import PremiumRefunded
from libs.kernel.calendar import add_months
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.charge import Charge
from services.guarantee.domain.cover import Cover
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.domain.sharing import partners_part
from services.guarantee.domain.terms import NONE


@dataclass(frozen=True, slots=True)
class PremiumTerms:
    """Policy `guarantee/premium`: how many days make a year when a yearly rate is charged for a term."""

    year_days: int


def premium_for(guaranteed: Money, rate: Decimal, start: date, maturity: date, terms: PremiumTerms) -> Money:
    """The premium for `guaranteed` from `start` to `maturity` at a yearly `rate`, to the cent; none for no days."""
    days = max((maturity - start).days, 0)
    return guaranteed * (rate * days / terms.year_days)


def charge_premium(
    loan: CoveredLoan, cover: Cover, agreement: Agreement, on: date, terms: PremiumTerms, surcharge: Decimal = NONE
) -> tuple[CoveredLoan, tuple[PremiumDue, ...]]:
    """The first premium, for what was really drawn: for all days to maturity, or the first of the agreed periods.

    `surcharge` is the part by which the agreed rate is higher.
    """
    return _charge(
        loan, cover, agreement, partners_part(loan.amount, cover.sharing, loan.amount), on, on, terms, surcharge
    )


def charge_next(
    loan: CoveredLoan, cover: Cover, agreement: Agreement, on: date, terms: PremiumTerms, surcharge: Decimal = NONE
) -> tuple[CoveredLoan, tuple[PremiumDue, ...]]:
    """The next period's premium, for what is still guaranteed; none once the last period reaches maturity."""
    if next_charge_on(loan) is None:
        return loan, ()
    return _charge(loan, cover, agreement, loan.guaranteed, loan.charges[-1].until, on, terms, surcharge)


def next_charge_on(loan: CoveredLoan) -> date | None:
    """The day on which another premium falls due; None when all days to maturity are charged, or none ever was."""
    if not loan.charges or loan.charges[-1].until >= loan.maturity:
        return None
    return loan.charges[-1].until


def pay_premium(loans: Sequence[CoveredLoan], amount: Money) -> tuple[CoveredLoan, PremiumPaid]:
    """Settle the open premium of exactly this amount; Refused when none is open or every open one differs."""
    unpaid = [(loan, charge) for loan in loans for charge in loan.charges if not charge.paid]
    if not unpaid:
        raise Refused("no_premium_due")
    for loan, charge in unpaid:
        if charge.amount == amount:
            place = loan.charges.index(charge)
            charges = (*loan.charges[:place], replace(charge, paid=True), *loan.charges[place + 1 :])
            left = any(not other.paid for other in charges)
            event = PremiumPaid(facility_id=loan.facility_id, cover_id=loan.cover_id, amount=amount)
            return replace(loan, charges=charges, premium_open=left), event
    raise Refused("premium_differs", f"{amount} was offered", due=str(unpaid[0][1].amount))


def refund_unearned(loan: CoveredLoan, agreement: Agreement, on: date) -> tuple[PremiumRefunded, ...]:
    """What of the premium for days after an early repayment goes back, to each who owed it: the agreed part, by days.

    An open premium stays due in full; what goes back is told beside it.
    """
    back: dict[str, Money] = {}
    for charge in loan.charges:
        unearned = (charge.until - max(on, charge.start)).days
        if unearned > 0:
            share = agreement.premiums.refund * unearned / (charge.until - charge.start).days
            back[charge.payer] = back.get(charge.payer, charge.amount.zero) + charge.amount * share
    return tuple(
        PremiumRefunded(
            facility_id=loan.facility_id, cover_id=loan.cover_id, loan_id=loan.loan_id, amount=amount, payee=payee
        )
        for payee, amount in back.items()
        if amount
    )


def _charge(
    loan: CoveredLoan,
    cover: Cover,
    agreement: Agreement,
    base: Money,
    start: date,
    on: date,
    terms: PremiumTerms,
    surcharge: Decimal,
) -> tuple[CoveredLoan, tuple[PremiumDue, ...]]:
    months = agreement.premiums.every_months
    until = min(add_months(start, months), loan.maturity) if months else loan.maturity
    agreed = agreement.premium_rate if cover.premium_rate is None else cover.premium_rate
    rate = agreed * (1 + surcharge)
    whole = premium_for(base, rate, start, until, terms)
    if not whole:
        return loan, ()
    subsidy = whole * agreement.premiums.subsidy
    owed = {agreement.premium_payer: whole - subsidy, agreement.premiums.subsidised_by: subsidy}
    new = tuple(
        Charge(start=start, until=until, amount=amount, payer=payer) for payer, amount in owed.items() if amount
    )
    events = tuple(
        PremiumDue(
            facility_id=loan.facility_id, cover_id=loan.cover_id, amount=charge.amount, payer=charge.payer, due=on
        )
        for charge in new
    )
    return replace(loan, premium=whole, premium_open=True, charges=(*loan.charges, *new)), events
