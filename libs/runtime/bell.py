"""Tells those who wait for committed rows that there are some: at once in this process, by NOTIFY in the others.

A NOTIFY inside the transaction itself would make the commits of the whole database queue up, one flush of its log each.
Who listens looks by itself every second, so a ring that is lost with its process costs that second and nothing else.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from libs.runtime.database import borrowed, briefly, listening

PAUSE_SECONDS = 0.01
"""Between two NOTIFY of one process; what is rung meanwhile goes with the next."""
_NOTIFY_SQL = "SELECT pg_notify(current_schema() || '.' || channel, '') FROM unnest($1::text[]) AS channel"


class Bell:
    """The bell of one process."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._near: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._rung: set[str] = set()
        self._ours: set[str] = set()
        self._telling: asyncio.Task[None] | None = None

    def ring(self, channels: Iterable[str]) -> None:
        """Something was committed that the listeners of these channels wait for."""
        for channel in channels:
            if channel not in self._ours:
                self._rung.add(channel)
            for wake in self._near[channel]:
                wake.set()
        if self._rung and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell(), name="bell")

    @asynccontextmanager
    async def heard(
        self,
        channel: str,
        wake: asyncio.Event,
        *,
        after: Callable[[Any], Awaitable[None]] | None = None,
        afar: Callable[[], object] | None = None,
    ) -> AsyncIterator[Any]:
        """A dedicated bare connection, as `listening` gives it; `wake` is set whenever `channel` is rung anywhere.

        Where another process rings, `afar` is called instead, if given.
        """
        async with listening(self._engine, channel, afar or wake.set, after=after) as driver:
            self._near[channel].add(wake)
            try:
                yield driver
            finally:
                self._near[channel].discard(wake)

    @contextmanager
    def leading(self, channel: str) -> Iterator[None]:
        """Whoever acts on `channel` is in this process alone, for now: what is rung here is told to no other."""
        self._ours.add(channel)
        try:
            yield
        finally:
            self._ours.discard(channel)

    async def close(self) -> None:
        """Let the last ring be heard, for a moment at most."""
        if self._telling is not None:
            await briefly(self._telling)

    async def _tell(self) -> None:
        while self._rung:
            channels, self._rung = list(self._rung), set()
            try:
                async with borrowed(self._engine) as driver:
                    await driver.fetch(_NOTIFY_SQL, channels)
            except Exception:  # noqa: BLE001 - whatever it is, who listens looks by itself in a second
                return
            await asyncio.sleep(PAUSE_SECONDS)
