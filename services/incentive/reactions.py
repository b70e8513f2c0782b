"""The door for events: what incentive hears from application, each handed to one command."""

from __future__ import annotations

from libs.events.application import InspectionCompleted, LoanDisbursed, LoanReclassified
from libs.events.envelope import Meta
from libs.runtime.service import Reactions
from libs.runtime.tx import Tx
from services.incentive import commands


async def disbursed(tx: Tx, event: LoanDisbursed, _meta: Meta) -> None:
    await commands.accrue_pay(tx, event)


async def inspected(tx: Tx, event: InspectionCompleted, _meta: Meta) -> None:
    await commands.record_findings(tx, event)


async def reclassified(tx: Tx, event: LoanReclassified, _meta: Meta) -> None:
    await commands.open_case_on(tx, event)


REACTIONS: Reactions = {
    LoanDisbursed: disbursed,
    InspectionCompleted: inspected,
    LoanReclassified: reclassified,
}
