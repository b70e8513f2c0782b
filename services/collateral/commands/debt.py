"""What application tells of the debt: how much is owed, whether it is in default, and how it ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from libs.events.application import (
    ApplicationRefused,
    LoanClosed,
    LoanDisbursed,
    LoanReclassified,
    LoanWrittenOff,
    RepaymentReceived,
)
from libs.events.collateral import CollateralReleased
from libs.runtime.tx import Tx
from services.collateral.commands.prices import with_shortfall
from services.collateral.commands.sales import DISPOSE
from services.collateral.domain.disposal import DisposalTerms
from services.collateral.domain.file import (
    FileStatus,
    LoanBalance,
    LoanStatus,
    close_loan,
    in_default,
    loan_of,
    with_loan,
)
from services.collateral.domain.item import ItemStatus, give_up
from services.collateral.store import FILES, ITEMS


async def end_refused(tx: Tx, event: ApplicationRefused) -> None:
    """The application was refused: give back whatever was taken for it."""
    file = await tx.get(FILES, event.facility_id)
    tx.put(FILES, replace(file, status=FileStatus.REFUSED))
    await _give_up_all(tx, event.facility_id)


async def record_disbursement(tx: Tx, event: LoanDisbursed) -> None:
    """A drawdown is owed from now on."""
    file = await tx.get(FILES, event.facility_id)
    loan = LoanBalance(loan_id=event.loan_id, outstanding=event.amount)
    tx.put(FILES, replace(with_loan(file, loan), status=FileStatus.OPEN))


async def record_repayment(tx: Tx, event: RepaymentReceived) -> None:
    """Keep what is owed; a shortfall may be cured by it."""
    file = await tx.get(FILES, event.facility_id)
    file = with_loan(file, replace(loan_of(file, event.loan_id), outstanding=event.outstanding))
    tx.put(FILES, await with_shortfall(tx, file) if file.shortfall_found else file)


async def record_class(tx: Tx, event: LoanReclassified) -> None:
    """Start the clock of disposal when the loan becomes non-performing, stop it when it recovers."""
    file = await tx.get(FILES, event.facility_id)
    loan = loan_of(file, event.loan_id)
    if loan.status not in (LoanStatus.PERFORMING, LoanStatus.NPL):
        return
    status = LoanStatus.NPL if event.npl else LoanStatus.PERFORMING
    after = with_loan(file, replace(loan, outstanding=event.outstanding, status=status))
    tx.put(FILES, after)
    if in_default(after) and not in_default(file):
        terms = tx.policy(DisposalTerms, "collateral/disposal").terms
        due = tx.date + timedelta(days=terms.start_after_days)
        tx.timer(DISPOSE, ref=file.facility_id, key=file.facility_id, due=due)
    elif in_default(file) and not in_default(after):
        tx.cancel_timer(DISPOSE, ref=file.facility_id)


async def record_write_off(tx: Tx, event: LoanWrittenOff) -> None:
    """Off the books, so nothing is short any more; still claimed, so the security may still be sold."""
    file = await tx.get(FILES, event.facility_id)
    loan = loan_of(file, event.loan_id)
    written_off = replace(loan, outstanding=loan.outstanding.zero, status=LoanStatus.WRITTEN_OFF)
    tx.put(FILES, replace(with_loan(file, written_off), shortfall_found=False))


async def record_closure(tx: Tx, event: LoanClosed) -> None:
    """A drawdown is over; when the last one was repaid the security goes back."""
    file = await tx.get(FILES, event.facility_id)
    closed = close_loan(file, event.loan_id, event.outcome)
    if in_default(file) and not in_default(closed):
        tx.cancel_timer(DISPOSE, ref=file.facility_id)
    tx.put(FILES, replace(closed, shortfall_found=closed.shortfall_found and closed.status is FileStatus.OPEN))
    if closed.status is FileStatus.REPAID:
        await _give_up_all(tx, event.facility_id)


async def _give_up_all(tx: Tx, facility_id: str) -> None:
    for item in await tx.of(ITEMS, facility_id):
        after = give_up(item)
        if after is not item:
            tx.put(ITEMS, after)
        if after.status is ItemStatus.RELEASED and item.status is not ItemStatus.RELEASED:
            tx.publish(CollateralReleased(facility_id=facility_id, collateral_id=item.collateral_id))
