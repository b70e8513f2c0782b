"""Who may pursue the debtor for what once partners paid (Civil Code 700, Insurance Law 60), and who is in the lead."""

from __future__ import annotations

from dataclasses import dataclass, replace

from libs.events.guarantee import PartOf, ShareOf
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Agreement, direct_payer
from services.guarantee.domain.claim import Claim
from services.guarantee.domain.loan import CoveredLoan, share_recovery
from services.guarantee.domain.sharing import BANK
from services.guarantee.domain.terms import Subrogation

DEMANDED = "subrogation_demanded"
"""The proof that a partner has asked for the bank's rights, where they pass on demand only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Creditor:
    """What is left of a loss for which one party is the debtor's creditor now."""

    loan_id: str
    party: str
    amount: Money


def creditors(
    claim: Claim, loan: CoveredLoan, agreement: Agreement, ratio: tuple[ShareOf, ...], *, demanded: bool
) -> tuple[Creditor, ...]:
    """Bank and direct payer with what is left to each; the payer steps in for what it paid, the whole, or on demand.

    Who stands behind the payer is reimbursing it, and is no creditor of the debtor. What was recovered is off.
    """
    payer = direct_payer(agreement)
    left = claim.loss - loan.shared
    match agreement.liability.subrogation:
        case Subrogation.WHOLE:
            owned = {payer: left}
        case Subrogation.ON_DEMAND if not demanded:
            owned = {BANK: left}
        case Subrogation.PAID_PART | Subrogation.ON_DEMAND:
            own = _of_bank(claim.parts) - _back_to_bank(claim, loan, agreement, ratio)
            owned = {BANK: own, payer: left - own}
    return tuple(Creditor(loan_id=loan.loan_id, party=party, amount=part) for party, part in owned.items())


def check_lead(agreement: Agreement, *, demanded: bool) -> None:
    """Whether the partner may report what it recovered itself; raises Refused where another leads, or before it asked.

    Money that reaches a partner which does not lead is handed to who does, and told by that side.
    """
    liability = agreement.liability
    if liability.recovery_lead != agreement.partner_id:
        raise Refused("recovery_led_by_other", f"{liability.recovery_lead} leads recovery under {agreement.ref}")
    if liability.subrogation is Subrogation.ON_DEMAND and not demanded:
        raise Refused("subrogation_not_demanded", "the bank's rights pass on demand, and nobody has asked for them")


def _back_to_bank(claim: Claim, loan: CoveredLoan, agreement: Agreement, ratio: tuple[ShareOf, ...]) -> Money:
    """What of all that was recovered the bank has had."""
    anew = replace(loan, shared=loan.shared.zero)
    _, event = share_recovery(anew, claim.parts, ratio, agreement.liability.recovery_rank, loan.shared)
    return _of_bank(event.parts)


def _of_bank(parts: tuple[PartOf, ...]) -> Money:
    return next((part.amount for part in parts if part.party == BANK), parts[0].amount.zero)
