"""The door for time: the days on which a loan must be looked at, and those on which a wait is over."""

from __future__ import annotations

from libs.runtime.service import Timers
from libs.runtime.tx import Tx
from services.application.commands.deadlines import ANSWER, CONDITIONS, DECISION
from services.application.commands.decision import refuse_undecided
from services.application.commands.drawing import LOOK, fail_unready, tell_unanswered
from services.application.commands.extensions import CONSENT_BY, end_consent
from services.application.commands.servicing import look_at_loan


async def look_fell_due(tx: Tx, ref: str, key: str) -> None:
    await look_at_loan(tx, ref, key)


async def decision_fell_due(tx: Tx, ref: str, key: str) -> None:  # noqa: ARG001 - every timer is given its key
    await refuse_undecided(tx, ref)


async def conditions_fell_due(tx: Tx, ref: str, key: str) -> None:
    await fail_unready(tx, ref, key)


async def answer_fell_due(tx: Tx, ref: str, key: str) -> None:
    await tell_unanswered(tx, ref, key)


async def consent_fell_due(tx: Tx, ref: str, key: str) -> None:
    await end_consent(tx, ref, key)


TIMERS: Timers = {
    LOOK: look_fell_due,
    DECISION: decision_fell_due,
    CONDITIONS: conditions_fell_due,
    ANSWER: answer_fell_due,
    CONSENT_BY: consent_fell_due,
}
