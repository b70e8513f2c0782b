"""The door for time: the days on which a loan must be looked at."""

from __future__ import annotations

from libs.runtime.service import Timers
from libs.runtime.tx import Tx
from services.application.commands.drawing import LOOK
from services.application.commands.servicing import look_at_loan


async def look_fell_due(tx: Tx, ref: str, key: str) -> None:
    await look_at_loan(tx, ref, key)


TIMERS: Timers = {LOOK: look_fell_due}
