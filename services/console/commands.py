"""The one thing the console does with an event: write it down and move its facility's line; it publishes nothing."""

from __future__ import annotations

from typing import Any

from libs.events.envelope import Meta, kind_of
from libs.runtime.tx import Tx, adapter_of
from services.console.domain.facility import tell
from services.console.domain.story import Told
from services.console.store import FACILITIES, STORY


async def record(tx: Tx, event: Any, meta: Meta) -> None:
    """Keep the event as it was published; one read for the batch and at most two rows per event."""
    told = Told(
        event_id=meta.id,
        key=meta.key,
        topic=kind_of(event).topic,
        sequence=meta.sequence,
        type=meta.type,
        business_date=meta.business_date,
        actor=meta.actor,
        org=meta.org,
        policy=meta.policy,
        cause=meta.cause,
        body=adapter_of(type(event)).dump_python(event, mode="json"),
    )
    tx.put(STORY, told)
    if "facility_id" in told.body:  # what concerns a partner as a whole is nobody's line
        line = await tx.find(FACILITIES, meta.key)
        tx.put(FACILITIES, tell(line, told))
