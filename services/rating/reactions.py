"""The door for events: what application tells, translated into commands."""

from __future__ import annotations

from libs.events.application import ApplicationSubmitted, InvestigationReconciled
from libs.events.envelope import Meta
from libs.runtime.service import Reactions
from libs.runtime.tx import Tx
from services.rating import commands


async def application_submitted(tx: Tx, event: ApplicationSubmitted, meta: Meta) -> None:  # noqa: ARG001 - every reaction is given it
    await commands.take_application(tx, event)


async def investigation_reconciled(tx: Tx, event: InvestigationReconciled, meta: Meta) -> None:  # noqa: ARG001 - every reaction is given it
    await commands.take_findings(tx, event)


REACTIONS: Reactions = {
    ApplicationSubmitted: application_submitted,
    InvestigationReconciled: investigation_reconciled,
}
