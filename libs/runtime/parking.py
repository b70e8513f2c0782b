"""What people do with parked events: look, send again once the cause is mended, or discard with a reason."""

from __future__ import annotations

import json
from typing import Any

from libs.kernel.errors import NotFound
from libs.runtime.inbound import TIMER_TOPIC, Intake, arrival_of, read_meta, run_timer
from libs.runtime.wiring import Parts


async def list_parked(parts: Parts, *, limit: int = 100) -> list[dict[str, Any]]:
    """Parked keys, oldest first: the culprit, why, and how many wait behind it."""
    async with parts.engine.connect() as conn:
        rows = await conn.exec_driver_sql(
            "SELECT p.id, p.key, p.status, p.topic, p.event_id, p.headers->>'ce_type' AS type, p.reason, p.arrived,"
            " (SELECT count(*) FROM parked w WHERE w.key = p.key AND w.id <> p.id) AS waiting"
            " FROM parked p WHERE p.id IN (SELECT min(id) FROM parked GROUP BY key) ORDER BY p.id LIMIT $1",
            (limit,),
        )
        return [dict(row) for row in rows.mappings()]


async def show_parked(parts: Parts, key: str) -> list[dict[str, Any]]:
    """Every row of one key in arrival order, with its payload."""
    async with parts.engine.connect() as conn:
        rows = await conn.exec_driver_sql(
            "SELECT id, status, topic, event_id, headers, payload, reason, arrived FROM parked WHERE key = $1 ORDER BY id",
            (key,),
        )
        return [dict(row) for row in rows.mappings()]


async def redrive(parts: Parts, key: str) -> int:
    """Apply the rows of `key` in arrival order, one transaction each, stopping at a failure (raised as it is)."""
    applied = 0
    while await _redrive_first(parts, key):
        applied += 1
    return applied


async def _redrive_first(parts: Parts, key: str) -> bool:
    async with parts.engine.begin() as conn:
        intake = Intake(parts, parts.unit(conn))
        await intake.unit.lock([key])
        rows = await intake.unit.sql("SELECT * FROM parked WHERE key = $1 ORDER BY id LIMIT 1", key)
        if not rows:
            return False
        row = rows[0]
        if row["topic"] == TIMER_TOPIC:
            await run_timer(parts, intake.unit, json.loads(row["payload"]))
        else:
            arrival = arrival_of(row)
            if arrival.meta is None:
                raise NotFound("undecodable", f"{row['event_id']} cannot be applied; discard it")
            await intake.open([arrival])
            if intake.is_gap(arrival.meta):
                return False  # what it waits for has not come yet
            await intake.apply(arrival, arrival.meta)
        intake.marks.unparked.append(row["id"])
        await intake.close()
        return True


async def discard(parts: Parts, event_id: str, *, reason: str) -> None:
    """Drop one parked event for good; the log keeps who and why, and what waited behind it may be redriven."""
    async with parts.engine.begin() as conn:
        intake = Intake(parts, parts.unit(conn))
        found = await intake.unit.sql("SELECT key FROM parked WHERE event_id = $1", event_id)
        if not found:
            raise NotFound("not_parked", event_id)
        await intake.unit.lock([found[0]["key"]])
        rows = await intake.unit.sql("SELECT * FROM parked WHERE event_id = $1", event_id)
        meta = read_meta(json.loads(rows[0]["headers"])) if rows else None
        if meta is not None:
            await intake.open([arrival_of(rows[0])])
            intake.advance(meta)
        intake.marks.unparked.extend(row["id"] for row in rows)
        await intake.close()
    parts.log.warning("event_discarded", event_id=event_id, reason=reason)
