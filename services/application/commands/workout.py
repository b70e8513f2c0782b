"""Claim, determination, write-off, recovery: what others decide is stored, and the loan ends when all of it is in."""

from __future__ import annotations

from dataclasses import replace

from libs.events.application import LoanWrittenOff, RecoveryReceived
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.application.commands.drawing import LOOK, loan_of
from services.application.commands.people import acting
from services.application.commands.servicing import Account, account, close_loan, drop_provision
from services.application.domain.facility import Facility, with_disposed
from services.application.domain.loan import ClaimState, Loan, LoanStatus
from services.application.domain.people import APPROVER, check_apart
from services.application.domain.recovery import booked, check_write_off, net_loss, proceeds_kept, written_off
from services.application.store import FACILITIES, LOANS

FROM_SECURITY = "collateral"


async def note_claim(tx: Tx, facility_id: str, claim: ClaimState) -> None:
    """Where the claim stands; while it is open the loan cannot be written off."""
    tx.put(LOANS, replace(await _paid_out_loan(tx, facility_id), claim=claim))


async def note_claim_paid(tx: Tx, facility_id: str, amount: Money) -> None:
    """The partners paid `amount` of the loss."""
    loan = await _paid_out_loan(tx, facility_id)
    tx.put(LOANS, replace(loan, claim=ClaimState.PAID, claim_paid=amount))


async def note_determination(tx: Tx, facility_id: str, loan_id: str) -> None:
    """Responsibility was determined; from now on the loan may be written off."""
    tx.put(LOANS, replace(await loan_of(tx, facility_id, loan_id), case_determined=True))


async def note_disposal(tx: Tx, facility_id: str, collateral_id: str, net: Money) -> None:
    """Security was sold: booked at once on a written-off loan, kept until the write-off on any other."""
    facility = with_disposed(await tx.get(FACILITIES, facility_id), collateral_id)
    tx.put(FACILITIES, facility)
    loan = proceeds_kept(await _paid_out_loan(tx, facility_id), net)
    tx.put(LOANS, loan)
    if loan.status is LoanStatus.WRITTEN_OFF:
        await _book(tx, facility, loan)


async def write_off_loan(tx: Tx, facility_id: str, loan_id: str, amount: Money) -> Account:
    """Take the loan off the books: gross principal, what partners paid, and the net that is ours to bear."""
    before = await loan_of(tx, facility_id, loan_id)
    facility = await tx.get(FACILITIES, facility_id)
    await acting(tx, APPROVER)
    check_apart(tx.actor, facility.makers)
    check_write_off(before, amount)
    tx.publish(
        LoanWrittenOff(
            facility_id=facility_id,
            loan_id=loan_id,
            gross=amount,
            claim_paid=before.claim_paid,
            net=net_loss(amount, before.claim_paid),
        )
    )
    tx.cancel_timer(LOOK, ref=loan_id)
    return account(await _book(tx, facility, drop_provision(tx, written_off(before))))


async def _book(tx: Tx, facility: Facility, loan: Loan) -> Loan:
    """Book what sales brought, and close the loan when nothing is left to sell."""
    loan, recoveries = booked(loan)
    tx.put(LOANS, loan)
    for number, amount in enumerate(recoveries, start=1):
        tx.publish(
            RecoveryReceived(
                facility_id=loan.facility_id,
                loan_id=loan.loan_id,
                amount=amount,
                source=FROM_SECURITY,
                final=facility.all_disposed and number == len(recoveries),
            )
        )
    return await close_loan(tx, loan, "written_off") if facility.all_disposed else loan


async def _paid_out_loan(tx: Tx, facility_id: str) -> Loan:
    """The facility's one loan that was paid out; raises Refused `no_loan` (an event about money nobody had)."""
    for loan in await tx.of(LOANS, facility_id):
        if loan.disbursed_on is not None:
            return loan
    raise Refused("no_loan", f"no loan was paid out under facility {facility_id}")
