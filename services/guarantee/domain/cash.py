"""In which order cash moves: the direct payer pays the bank whole, those behind it reimburse it later, each on a clock.

The final split (`sharing.py`) says who bears what in the end; a leg is one party's debt to the direct payer for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from libs.events.guarantee import PartOf, ReguaranteeOverdue, ReguaranteeReimbursed
from libs.kernel.calendar import Calendar
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Agreement, direct_payer


@dataclass(frozen=True, slots=True, kw_only=True)
class CashLeg:
    """What `party` owes `payee` of a paid claim, until when, and what of it has come; it is shown the `proof`."""

    leg_id: str
    facility_id: str
    cover_id: str
    claim_id: str
    party: str
    payee: str
    proof: str
    currency: str
    amount: Money
    paid: Money
    due: date
    receipts: tuple[str, ...] = ()

    @property
    def arrears(self) -> Money:
        """What is still owed."""
        return self.amount - self.paid


def legs_behind(
    parts: tuple[PartOf, ...],
    agreement: Agreement,
    *,
    facility_id: str,
    cover_id: str,
    claim_id: str,
    paid_on: date,
    calendar: Calendar,
) -> tuple[CashLeg, ...]:
    """The reimbursements that a paid claim sets off, one per party behind the direct payer with a part and a term."""
    owed = {part.party: part.amount for part in parts}
    payee = direct_payer(agreement)
    return tuple(
        CashLeg(
            leg_id=f"{claim_id}/{term.party}",
            facility_id=facility_id,
            cover_id=cover_id,
            claim_id=claim_id,
            party=term.party,
            payee=payee,
            proof=term.proof,
            currency=agreement.currency,
            amount=owed[term.party],
            paid=owed[term.party].zero,
            due=calendar.add_working_days(paid_on, term.working_days),
        )
        for term in agreement.legs
        if owed.get(term.party)
    )


def reimburse(leg: CashLeg, amount: Money, receipt: str) -> tuple[CashLeg, ReguaranteeReimbursed]:
    """Money came from the party behind; raises Refused for more than it owes, or for a receipt that was counted."""
    if receipt in leg.receipts:
        raise Refused("receipt_counted", f"{receipt} was counted for {leg.party}")
    if amount > leg.arrears:
        raise Refused("more_than_owed", f"{leg.party} owes {leg.arrears}", owed=str(leg.arrears))
    paid = replace(leg, paid=leg.paid + amount, receipts=(*leg.receipts, receipt))
    return paid, ReguaranteeReimbursed(
        facility_id=leg.facility_id,
        cover_id=leg.cover_id,
        claim_id=leg.claim_id,
        party=leg.party,
        payee=leg.payee,
        amount=amount,
        left=paid.arrears,
        receipt=receipt,
    )


def miss_reimbursement(leg: CashLeg) -> ReguaranteeOverdue | None:
    """The day has passed: the event names who owes whom and how much; none when all has come."""
    if not leg.arrears:
        return None
    return ReguaranteeOverdue(
        facility_id=leg.facility_id,
        cover_id=leg.cover_id,
        claim_id=leg.claim_id,
        party=leg.party,
        payee=leg.payee,
        amount=leg.arrears,
        due=leg.due,
    )
