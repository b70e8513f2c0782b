"""The door for time: the day after an index level, and the day on which disposal starts; both refer to a facility."""

from __future__ import annotations

from libs.runtime.service import Timers
from libs.runtime.tx import Tx
from services.collateral.commands import prices, sales
from services.collateral.store import REVALUE


async def revalue(tx: Tx, ref: str, _key: str) -> None:
    await prices.revalue(tx, ref)


async def dispose(tx: Tx, ref: str, _key: str) -> None:
    await sales.start_disposals(tx, ref)


TIMERS: Timers = {REVALUE: revalue, sales.DISPOSE: dispose}
