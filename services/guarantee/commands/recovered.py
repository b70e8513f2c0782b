"""What is recovered on a loan: held back while a claim is open, shared once the partners paid, else all the bank's.

A recovery that comes while a claim is open waits for its outcome, so the split does not hang on which came first.
"""

from __future__ import annotations

from dataclasses import replace

from libs.events.application import RecoveryReceived
from libs.events.collateral import CollateralDisposed
from libs.events.guarantee import RecoveryShared
from libs.kernel.errors import Invalid, Refused
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.commands.covers import cover_of, known_cover, known_loan, loan_of, terms_of
from services.guarantee.commands.ledger import enter_costs
from services.guarantee.commands.records import note
from services.guarantee.commands.staged import end_recovery
from services.guarantee.domain import claim as rules
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.claim import Claim
from services.guarantee.domain.cover import Cover
from services.guarantee.domain.health import with_recovery
from services.guarantee.domain.loan import CoveredLoan, share_recovery
from services.guarantee.domain.subrogation import DEMANDED, check_lead
from services.guarantee.store import CLAIMS, LOANS, PROOFS


async def share_or_hold_recovery(tx: Tx, event: RecoveryReceived) -> None:
    """Money was recovered: shared if the partners paid, held back while a claim is open, else all the bank's."""
    loan = await loan_of(tx, event.facility_id, event.loan_id)
    if loan is None:
        return
    claims = await tx.of(CLAIMS, event.facility_id)
    if (held_by := rules.claim_open(claims, loan.loan_id)) is not None:
        tx.put(LOANS, replace(loan, waiting=(*loan.waiting, event.amount)))
        if event.final:
            await end_recovery(tx, held_by)
    elif (paid := rules.claim_paid(claims, loan.loan_id)) is not None:
        await _share_out(tx, loan, paid, event.amount)


async def report_recovery(tx: Tx, facility_id: str, loan_id: str, amount: Money, receipt: str) -> CoveredLoan:
    """The partner recovered money after it paid: shared like any recovery.

    Raises Refused before it paid, for a receipt twice, where it does not lead recovery, and for more than is left of
    the loss, which would be the borrower's.
    """
    loan = await known_loan(tx, facility_id, loan_id)
    paid = rules.claim_paid(await tx.of(CLAIMS, facility_id), loan_id)
    if paid is None:
        raise Refused("claim_not_paid", f"nothing was paid on {loan_id}, so nothing is the partner's to recover")
    if receipt in loan.reported:
        raise Refused("receipt_counted", f"{receipt} was reported before")
    if amount.currency != loan.currency:
        raise Invalid("currency_mismatch", f"{loan_id} is in {loan.currency}")
    if amount > (left := paid.loss - loan.shared):
        raise Refused("recovery_over_loss", f"{amount} is more than is left of the loss on {loan_id}", left=str(left))
    demanded = await tx.find(PROOFS, f"{loan_id}/{DEMANDED}") is not None
    check_lead(await terms_of(tx, await known_cover(tx, facility_id)), demanded=demanded)
    return await _share_out(tx, replace(loan, reported=(*loan.reported, receipt)), paid, amount)


async def note_sale(tx: Tx, event: CollateralDisposed) -> None:
    """Security was sold: what the sale cost came first, and stands so in the recovery book."""
    cover = await cover_of(tx, event.facility_id)
    if cover is not None and event.costs:
        enter_costs(tx, cover, event.costs)


async def _share_out(tx: Tx, loan: CoveredLoan, paid: Claim, amount: Money) -> CoveredLoan:
    cover = await known_cover(tx, loan.facility_id)
    agreement = await terms_of(tx, cover)
    shared, body = share(loan, paid, cover, agreement, amount)
    tx.put(LOANS, shared)
    tx.publish(body)
    await note(tx, agreement, lambda record: with_recovery(record, body.parts))
    return shared


def share(
    loan: CoveredLoan, paid: Claim, cover: Cover, agreement: Agreement, amount: Money
) -> tuple[CoveredLoan, RecoveryShared]:
    """The loan and the event of a recovery that is shared among those who bore the loss of a paid claim."""
    ratio = rules.loss_ratio(paid, cover)
    return share_recovery(loan, paid.parts, ratio, agreement.liability.recovery_rank, amount)
