"""Closes business days: waits until nothing is in flight, says how far every topic came, and opens the next day.

The state of every service is in PostgreSQL, so one statement sees one consistent cut: all outboxes empty, no call
open, and every published offset applied by each of its readers means that nothing will happen before the next day.
Commands wait meanwhile, until their service stands at the new day: none publishes under a day that is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta

import asyncpg  # type: ignore[import-untyped]  # ships no types
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.events.catalogue import TOPICS
from libs.events.clock import DayClosed
from libs.runtime.database import borrowed, patiently
from libs.runtime.logs import fault
from libs.runtime.relay import Relay
from libs.runtime.tables import DAY_LOCK, service_metadata
from libs.runtime.tx import Cause, Tx
from libs.runtime.wiring import Parts

KEY = "clock"
PAUSE_SECONDS_MIN = 0.004
PAUSE_SECONDS_MAX = 0.02
STANDSTILL_SECONDS_MAX = 10.0
"""Commands wait no longer than this for a service that does not come to rest, or does not open the day."""
LOCK_TRY_SECONDS = 2
"""For the commands under way to end; then those behind are let in once more."""
metadata: MetaData = service_metadata()


class NotQuiet(Exception):
    """The services did not come to rest in time; the message says what is still in flight."""


class Scheduler:
    """The one publisher of the clock topic.

    `readers` names, per service, the topics it reads. `parts` are those of the clock's own schema; `observer` may
    read the framework's tables of all services.
    """

    def __init__(self, parts: Parts, observer: AsyncEngine, readers: Mapping[str, Sequence[str]]) -> None:
        self.parts, self.observer, self.readers = parts, observer, readers
        self._relay: asyncio.Task[None] | None = None
        self._all_sql = _looks(readers)
        self._acting_sql = _looks({name: topics for name, topics in readers.items() if name in TOPICS})
        self._opening_sql = [_outbox_look(KEY), *(_behind_look(name, KEY) for name in readers if name in TOPICS)]
        self._due_sql = " UNION ALL ".join(f"SELECT min(due) AS due FROM {name}.timers" for name in readers)  # noqa: S608 - our names
        published = [f'SELECT topic, part, "offset" FROM {name}.published' for name in readers]  # noqa: S608 - our names
        self._reached_sql = " UNION ALL ".join(published)

    async def __aenter__(self) -> Scheduler:
        self._relay = asyncio.create_task(Relay(self.parts).run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._relay is not None  # noqa: S101 - set by __aenter__
        self._relay.cancel()
        await asyncio.gather(self._relay, return_exceptions=True)

    async def quiet(self, *, seconds: float = 120) -> None:
        """Wait until nothing is in flight that could still cause anything; NotQuiet after `seconds` without progress.

        Readers that only look on (the console) may be behind; `settle` waits for them too.
        """
        await self._wait(self._acting_sql, seconds)

    async def settle(self, *, seconds: float = 120) -> None:
        """Wait until every reader has applied everything; raises NotQuiet."""
        await self._wait(self._all_sql, seconds)

    async def _wait(self, looks: Sequence[str], seconds: float) -> None:
        await patiently(lambda: self._look(looks, seconds), on_retry=self._retrying)

    def _retrying(self, error: BaseException) -> None:
        self.parts.log.warning("retrying", error=fault(error))

    async def _look(self, looks: Sequence[str], seconds: float) -> None:
        anything = " OR ".join(f"EXISTS ({look})" for look in looks)
        last: list[str] = []
        waited, pause = 0.0, PAUSE_SECONDS_MIN
        async with borrowed(self.observer) as driver:
            while await driver.fetchval(f"SELECT {anything}"):
                await asyncio.sleep(pause)
                waited, pause = waited + pause, min(PAUSE_SECONDS_MAX, pause + PAUSE_SECONDS_MIN)
                if waited > seconds:
                    busy = [row[0] for row in await driver.fetch(" UNION ALL ".join(looks))]
                    if busy == last:
                        raise NotQuiet("; ".join(busy))
                    last, waited = busy, 0.0

    async def next_due(self) -> date | None:
        """The earliest due date of any service's timer, or None."""
        return await patiently(self._next_due, on_retry=self._retrying)

    async def _next_due(self) -> date | None:
        async with borrowed(self.observer) as driver:
            due = await driver.fetchval(f"SELECT min(due) FROM ({self._due_sql}) t")  # noqa: S608 - our names
        return due if isinstance(due, date) else None

    async def waits(self, service: str, kind: str) -> bool:
        """Whether a timer of this kind waits in a service."""
        assert service in self.readers, service  # noqa: S101 - a name of ours, never a caller's
        async with borrowed(self.observer) as driver:
            found = await driver.fetchval(f"SELECT EXISTS (SELECT FROM {service}.timers WHERE kind = $1)", kind)  # noqa: S608 - our names
        return bool(found)

    async def open_day(self, day: date) -> None:
        """Close every day before `day` and open it; the tick carries the offsets reached. Raises NotQuiet."""
        await patiently(lambda: self._open_day(day), on_retry=self._retrying)

    async def _open_day(self, day: date) -> None:
        async with self._no_commands():
            await self._wait(self._acting_sql, STANDSTILL_SECONDS_MAX)
            await self._tick(day)
            try:
                await self._wait(self._opening_sql, STANDSTILL_SECONDS_MAX)
            except NotQuiet as late:
                self.parts.log.error("day_opens_late", day=day.isoformat(), behind=str(late))

    @asynccontextmanager
    async def _no_commands(self) -> AsyncIterator[None]:
        """Wait for the commands under way, and let no other in until the end."""
        async with borrowed(self.parts.engine) as driver:
            await driver.execute(f"SET lock_timeout = '{LOCK_TRY_SECONDS}s'")
            while True:
                try:
                    await driver.execute(f"SELECT pg_advisory_lock({DAY_LOCK})")
                    break
                except asyncpg.LockNotAvailableError:
                    self.parts.log.warning("day_waits_for_commands")
            try:
                yield
            finally:
                await driver.execute(f"SELECT pg_advisory_unlock({DAY_LOCK}); RESET lock_timeout")

    async def _tick(self, day: date) -> None:
        reached: dict[str, dict[str, int]] = {}
        async with borrowed(self.observer) as driver:
            for row in await driver.fetch(self._reached_sql):
                reached.setdefault(row["topic"], {})[str(row["part"])] = row["offset"]
        async with self.parts.transaction() as unit:
            await unit.lock([KEY])
            tx = Tx(unit, Cause(actor="scheduler"), day)
            tx.publish(DayClosed(closed=day - timedelta(days=1), open=day, reached=reached), key=KEY)
            await unit.flush()


def _looks(readers: Mapping[str, Sequence[str]]) -> list[str]:
    """Statements that each find what is in flight in one place, as text; no row means nothing is."""
    calls = [
        f"SELECT '{name}: call ' || reference FROM {name}.calls WHERE status IN ('pending', 'unknown')"  # noqa: S608 - our names
        for name in readers
    ]
    behind = [_behind_look(reader, topic) for reader, topics in readers.items() for topic in (*topics, KEY)]
    return [*map(_outbox_look, (*readers, KEY)), *calls, *behind]


def _outbox_look(name: str) -> str:
    return f"SELECT '{name}: outbox, oldest ' || min(id) FROM {name}.outbox WHERE error = '' HAVING count(*) > 0"  # noqa: S608 - our names


def _behind_look(reader: str, topic: str) -> str:
    return (
        f"SELECT '{reader} behind on {topic}: ' || p.part FROM {topic}.published p LEFT JOIN {reader}.position q"  # noqa: S608 - our names
        f" ON q.topic = p.topic AND q.part = p.part WHERE p.topic = '{topic}'"
        ' AND (q."offset" IS NULL OR q."offset" < p."offset")'
    )
