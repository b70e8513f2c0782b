"""Sees from outside when the platform has recovered, with what an operator may read of every schema.

*Recovered* from a fault: everything that had been committed when its cause was gone is published, applied by every
reader, and every call open then is answered. The time counts from the moment the fault struck.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from libs.runtime import migrate

POLL_SECONDS = 0.1
GIVEN_UP_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class _Mark:
    outbox: dict[str, int]
    calls: dict[str, list[str]]


class Watch:
    """The observer of one platform."""

    def __init__(self, admin_url: str, readers: Mapping[str, Sequence[str]]) -> None:
        self._url = migrate.role_url(admin_url, migrate.OBSERVER)
        self.readers = readers

    async def recovered(self, since: float) -> float | None:
        """Wait for the recovery; seconds since the monotonic time `since`, or None when it was given up."""
        mark: _Mark | None = None
        published: dict[tuple[str, int], int] | None = None
        while time.monotonic() - since < GIVEN_UP_SECONDS:
            try:
                if mark is None:
                    mark = await self._mark()
                elif published is None:
                    if not await self._unsent(mark):
                        published = await self._published()
                elif not await self._behind(published) and not await self._unanswered(mark):
                    return time.monotonic() - since
                else:
                    await asyncio.sleep(POLL_SECONDS)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(POLL_SECONDS)
        return None

    async def _ask(self, statement: str, *values: Any) -> list[Any]:
        conn = await asyncpg.connect(self._url, timeout=5)
        try:
            return list(await conn.fetch(statement, *values))
        finally:
            await conn.close()

    async def _mark(self) -> _Mark:
        outbox = " UNION ALL ".join(f"SELECT '{s}' AS service, max(id) AS id FROM {s}.outbox" for s in self.readers)
        calls = " UNION ALL ".join(
            f"SELECT '{s}' AS service, id FROM {s}.calls WHERE status IN ('pending', 'unknown')" for s in self.readers
        )
        open_calls: dict[str, list[str]] = {}
        for row in await self._ask(calls):
            open_calls.setdefault(row["service"], []).append(row["id"])
        return _Mark({row["service"]: row["id"] or 0 for row in await self._ask(outbox)}, open_calls)

    async def _unsent(self, mark: _Mark) -> bool:
        looks = " OR ".join(
            f"EXISTS (SELECT FROM {service}.outbox WHERE error = '' AND id <= {last})"
            for service, last in mark.outbox.items()
        )
        return bool((await self._ask(f"SELECT {looks} AS unsent"))[0]["unsent"])

    async def _published(self) -> dict[tuple[str, int], int]:
        rows = " UNION ALL ".join(f'SELECT topic, part, "offset" FROM {service}.published' for service in self.readers)
        return {(row["topic"], row["part"]): row["offset"] for row in await self._ask(rows)}

    async def _behind(self, published: Mapping[tuple[str, int], int]) -> bool:
        rows = await self._ask(
            " UNION ALL ".join(
                f"SELECT '{s}' AS service, topic, part, \"offset\" FROM {s}.position" for s in self.readers
            )
        )
        reached = {(row["service"], row["topic"], row["part"]): row["offset"] for row in rows}
        return any(
            reached.get((service, topic, part), -1) < offset
            for service, topics in self.readers.items()
            for (topic, part), offset in published.items()
            if topic in topics
        )

    async def _unanswered(self, mark: _Mark) -> bool:
        for service, ids in mark.calls.items():
            found = await self._ask(
                f"SELECT 1 FROM {service}.calls WHERE id = ANY($1) AND status IN ('pending', 'unknown') LIMIT 1", ids
            )
            if found:
                return True
        return False
