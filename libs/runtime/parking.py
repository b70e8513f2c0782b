"""What people do with parked events: look, send again once the cause is mended, or discard with a reason."""

from __future__ import annotations

from typing import Any

from libs.kernel.errors import NotFound
from libs.runtime.inbound import BLAME_SQL, Intake, ResumeFailed
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
            "SELECT id, status, topic, event_id, headers, payload, reason, arrived"
            " FROM parked WHERE key = $1 ORDER BY id",
            (key,),
        )
        return [dict(row) for row in rows.mappings()]


async def redrive(parts: Parts, key: str) -> int:
    """Apply the rows of `key` in arrival order, one transaction each, stopping at a failure (raised as it is)."""
    applied = 0
    try:
        while await _redrive_next(parts, key):
            applied += 1
    except ResumeFailed as failed:
        async with parts.engine.begin() as conn:
            await conn.exec_driver_sql(BLAME_SQL, (failed.row_id, failed.reason[:500]))
        raise failed.__cause__ or failed from None
    return applied


async def _redrive_next(parts: Parts, key: str) -> bool:
    async with parts.transaction() as unit:
        intake = Intake(parts, unit)
        await intake.unit.lock([key])
        rows = await intake.unit.sql("SELECT * FROM parked WHERE key = $1 ORDER BY id", key)
        await intake.reopen(rows)
        row = intake.next_of(rows)
        if row is None:
            return False  # nothing is left, or what it waits for has not come yet
        await intake.resume(row)
        await intake.close()
        return True


async def discard(parts: Parts, event_id: str, *, reason: str) -> None:
    """Drop one parked event for good; the log keeps who and why, and what waited behind it may be redriven."""
    async with parts.transaction() as unit:
        intake = Intake(parts, unit)
        found = await intake.unit.sql("SELECT key FROM parked WHERE event_id = $1", event_id)
        if not found:
            raise NotFound("not_parked", event_id)
        await intake.unit.lock([found[0]["key"]])
        rows = await intake.unit.sql("SELECT * FROM parked WHERE event_id = $1", event_id)
        if not rows:
            raise NotFound("not_parked", event_id)  # redriven while this waited for the key
        await intake.reopen(rows)
        for row in rows:
            intake.discard(row)
        await intake.close()
    parts.log.warning("event_discarded", event_id=event_id, reason=reason)
