"""Lets a read wait until an event has taken effect here; those who wait hold no connection, and one query asks for all.

An event is named as the `Silverbear-Events` header of a command names it: `type/id`. What this service published
itself is true here already, and what it does not act on changes nothing here: neither is waited for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastapi import Response

from libs.events.envelope import CATALOGUE
from libs.kernel.errors import Invalid
from libs.runtime.database import borrowed, is_transient
from libs.runtime.logs import fault
from libs.runtime.problems import problem

if TYPE_CHECKING:
    from libs.runtime.wiring import Parts

POLL_SECONDS = 0.04
RETRY_AFTER = {"Retry-After": "1"}


class Waiting:
    """Those who wait in one process, `waiters_max` at most."""

    def __init__(self) -> None:
        self._wanted: Counter[str] = Counter()
        self._applied: set[str] = set()
        self._asked = asyncio.Condition()
        self._asking: asyncio.Task[None] | None = None
        self.count = 0

    async def until_applied(self, parts: Parts, events: str) -> Response | None:
        """None once every event of `type/id, type/id …` has taken effect, else the problem to answer with."""
        ids = _ids_that_matter(parts, events)
        if not ids or await _missing(parts, ids) == set():
            return None
        if self.count >= parts.settings.waiters_max:
            return problem(503, "too_many_waiting", "too many reads wait for events here", headers=RETRY_AFTER)
        with self._wants(ids):
            try:
                async with asyncio.timeout(parts.settings.wait_seconds_max):
                    await self._wait(parts, ids)
            except TimeoutError:
                return problem(503, "event_not_applied", "the event has not arrived here yet", headers=RETRY_AFTER)
        return None

    @contextmanager
    def _wants(self, ids: frozenset[str]) -> Iterator[None]:
        self.count += 1
        self._wanted.update(ids)
        try:
            yield
        finally:
            self.count -= 1
            self._wanted.subtract(ids)
            self._wanted += Counter()  # forgets what nobody wants
            self._applied &= self._wanted.keys()

    async def _wait(self, parts: Parts, ids: frozenset[str]) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(parts), name="waiting")
        async with self._asked:
            await self._asked.wait_for(lambda: ids <= self._applied)

    async def _ask(self, parts: Parts) -> None:
        """Ask for everybody, again and again, while somebody waits."""
        while self._wanted:
            wanted = frozenset(self._wanted)
            try:
                self._applied |= wanted - await _missing(parts, wanted)
            except Exception as error:
                if not is_transient(error):
                    raise
                parts.log.warning("waiting_interrupted", error=fault(error))
            async with self._asked:
                self._asked.notify_all()
            await asyncio.sleep(POLL_SECONDS)


def _ids_that_matter(parts: Parts, events: str) -> frozenset[str]:
    ids = set()
    for event in filter(None, (part.strip() for part in events.split(","))):
        kind, _, id_ = event.partition("/")
        if kind not in CATALOGUE or not id_:
            raise Invalid("event_unknown", "after_event takes what Silverbear-Events gave: type/id, by commas")
        if kind in parts.reactions:
            ids.add(id_)
    return frozenset(ids)


async def _missing(parts: Parts, ids: Iterable[str]) -> set[str]:
    wanted = set(ids)
    async with borrowed(parts.engine) as driver:
        rows = await driver.fetch("SELECT event_id FROM inbox WHERE event_id = ANY($1::text[])", list(wanted))
    return wanted - {row["event_id"] for row in rows}
