"""The door for events: every type of every business topic is recorded by one handler; the clock is the runtime's."""

from __future__ import annotations

from typing import Any

from libs.events.catalogue import TOPICS, kinds
from libs.events.envelope import Meta
from libs.runtime.service import Reactions
from libs.runtime.tx import Tx
from services.console import commands

READS = tuple(topic for topic in TOPICS if topic != "clock")


async def recorded(tx: Tx, event: Any, meta: Meta) -> None:
    """Anything that happened."""
    await commands.record(tx, event, meta)


REACTIONS: Reactions = {kind.body: recorded for kind in kinds() if kind.topic in READS}
