"""Forgets what has been kept long enough: answers to idempotency keys, outbound calls that are done, a service's own.

A key that was forgotten is a new one again, and so is a call's reference: each is kept longer than anybody repeats it.
"""

from __future__ import annotations

import asyncio

from libs.runtime.database import borrowed
from libs.runtime.logs import fault
from libs.runtime.wiring import Parts, Purge

ROWS_AT_ONCE = 1_000

_REQUESTS_SQL = """
DELETE FROM requests r USING (
    SELECT caller, idempotency_key FROM requests WHERE created < now() - make_interval(days => $1)
    LIMIT $2 FOR UPDATE SKIP LOCKED) old
WHERE r.caller = old.caller AND r.idempotency_key = old.idempotency_key
"""
# `next_at` is when a done call was tried last, to within a try's delay.
_CALLS_SQL = """
DELETE FROM calls c USING (
    SELECT id FROM calls WHERE status = 'done' AND next_at < now() - make_interval(days => $1)
    LIMIT $2 FOR UPDATE SKIP LOCKED) old
WHERE c.id = old.id
"""
_EVERYWHERE: tuple[Purge, ...] = ((_REQUESTS_SQL, "requests_days_kept"), (_CALLS_SQL, "calls_days_kept"))


class Janitor:
    """The janitor of one process; several do no harm to one another."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    async def run(self) -> None:
        """Sweep for ever; a sweep that fails is made up for by the next."""
        while True:
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001 - nothing depends on it, and the next sweep finds the same rows
                self.parts.log.warning("sweep_failed", error=fault(error))
            await asyncio.sleep(self.parts.settings.purge_seconds)

    async def sweep(self) -> int:
        """Forget all that is old, a bounded number of rows in each statement; returns how many rows went."""
        gone = 0
        for statement, setting in (*_EVERYWHERE, *self.parts.purges):
            days: int = getattr(self.parts.settings, setting)
            rows = ROWS_AT_ONCE
            while rows == ROWS_AT_ONCE:
                async with borrowed(self.parts.engine) as driver:
                    rows = int((await driver.execute(statement, days, ROWS_AT_ONCE)).rpartition(" ")[2])
                gone += rows
        return gone
