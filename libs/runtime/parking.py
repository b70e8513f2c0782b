"""What people do with parked events: look, send again once the cause is mended, or discard with a reason."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.kernel.errors import NotFound
from libs.runtime.database import borrowed
from libs.runtime.inbound import BLAME_SQL, TIMER_TOPIC, Intake, ResumeFailed
from libs.runtime.wiring import Parts

REDRIVE_SECONDS_MAX = 10.0
PAGE_ROWS = 20
"""Nearly always the first row is the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedKey:
    """One blocked key: the event that blocks it, why, and how many wait behind it."""

    id: int
    key: str
    status: str
    topic: str
    event_id: str
    type: str | None
    reason: str
    arrived: datetime
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedEvent:
    """One parked or waiting event as it came."""

    id: int
    status: str
    topic: str
    event_id: str
    headers: str
    payload: str
    reason: str
    arrived: datetime


async def list_parked(parts: Parts, *, after: int = 0, limit: int = 100) -> list[ParkedKey]:
    """Parked keys, oldest first, behind the row `after`."""
    async with borrowed(parts.engine) as driver:
        rows = await driver.fetch(
            "SELECT p.id, p.key, p.status, p.topic, p.event_id, p.headers->>'ce_type' AS type, p.reason, p.arrived,"
            " (SELECT count(*) FROM parked w WHERE w.key = p.key AND w.id <> p.id) AS waiting"
            " FROM parked p WHERE p.id IN (SELECT min(id) FROM parked GROUP BY key) AND p.id > $1"
            " ORDER BY p.id LIMIT $2",
            after,
            limit,
        )
        return [ParkedKey(**row) for row in rows]


async def show_parked(parts: Parts, key: str, *, after: int = 0, limit: int = 100) -> list[ParkedEvent]:
    """The rows of one key in arrival order behind the row `after`, with their payloads."""
    async with borrowed(parts.engine) as driver:
        rows = await driver.fetch(
            "SELECT id, status, topic, event_id, headers, payload, reason, arrived"
            " FROM parked WHERE key = $1 AND id > $2 ORDER BY id LIMIT $3",
            key,
            after,
            limit,
        )
        return [ParkedEvent(**row) for row in rows]


async def redrive(parts: Parts, key: str) -> int:
    """Apply the rows of `key` in arrival order, one transaction each, stopping at a failure (raised as it is).

    Returns how many were applied. After `REDRIVE_SECONDS_MAX` the rest is left for a repeat.
    """
    applied = 0
    until = time.monotonic() + REDRIVE_SECONDS_MAX
    try:
        while time.monotonic() < until and await _redrive_next(parts, key):
            applied += 1
    except ResumeFailed as failed:
        async with borrowed(parts.engine) as driver:
            await driver.execute(BLAME_SQL, failed.row_id, failed.reason[:500])
        raise failed.__cause__ or failed from None
    return applied


async def _redrive_next(parts: Parts, key: str) -> bool:
    async with parts.transaction() as unit:
        intake = Intake(parts, unit)
        await unit.lock([key])
        row = await _next(intake, key)
        if row is None:
            return False  # nothing is left, or what it waits for has not come yet
        await intake.resume(row)
        await intake.close()
        return True


async def _next(intake: Intake, key: str) -> dict[str, Any] | None:
    """The first row whose turn has come, looked for page by page."""
    after = 0
    while rows := await intake.unit.sql(_PAGE_SQL, key, after, PAGE_ROWS):
        await intake.reopen(rows)
        # A timer waits for all that came before it, so only the very first row may be one.
        row = intake.next_of([row for row in rows if not after or row["topic"] != TIMER_TOPIC])
        if row is not None:
            return row
        after = rows[-1]["id"]
    return None


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


_PAGE_SQL = "SELECT * FROM parked WHERE key = $1 AND id > $2 ORDER BY id LIMIT $3"
