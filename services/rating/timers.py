"""The door for time: the day on which a dossier stops waiting for its sources."""

from __future__ import annotations

from libs.runtime.service import Timers
from libs.runtime.tx import Tx
from services.rating import commands


async def sources_due(tx: Tx, ref: str, key: str) -> None:  # noqa: ARG001 - every timer is given its key
    await commands.close_sources(tx, ref)


TIMERS: Timers = {commands.SOURCES_DUE: sources_due}
