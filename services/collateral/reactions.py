"""The door for events: what application tells, translated into commands."""

from __future__ import annotations

from libs.events.application import (
    ApplicationRefused,
    ApplicationSubmitted,
    LoanClosed,
    LoanDisbursed,
    LoanReclassified,
    LoanWrittenOff,
    RepaymentReceived,
)
from libs.events.envelope import Meta
from libs.runtime.service import Reactions
from libs.runtime.tx import Tx
from services.collateral.commands import appraisals, debt


async def submitted(tx: Tx, event: ApplicationSubmitted, _meta: Meta) -> None:
    await appraisals.offer_security(tx, event)


async def refused(tx: Tx, event: ApplicationRefused, _meta: Meta) -> None:
    await debt.end_refused(tx, event)


async def disbursed(tx: Tx, event: LoanDisbursed, _meta: Meta) -> None:
    await debt.record_disbursement(tx, event)


async def repaid(tx: Tx, event: RepaymentReceived, _meta: Meta) -> None:
    await debt.record_repayment(tx, event)


async def reclassified(tx: Tx, event: LoanReclassified, _meta: Meta) -> None:
    await debt.record_class(tx, event)


async def written_off(tx: Tx, event: LoanWrittenOff, _meta: Meta) -> None:
    await debt.record_write_off(tx, event)


async def closed(tx: Tx, event: LoanClosed, _meta: Meta) -> None:
    await debt.record_closure(tx, event)


REACTIONS: Reactions = {
    ApplicationSubmitted: submitted,
    ApplicationRefused: refused,
    LoanDisbursed: disbursed,
    RepaymentReceived: repaid,
    LoanReclassified: reclassified,
    LoanWrittenOff: written_off,
    LoanClosed: closed,
}
