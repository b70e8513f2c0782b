"""Closes business days: waits until nothing is in flight, says how far every topic came, and opens the next day.

The state of every service is in PostgreSQL, so one statement sees one consistent cut: all outboxes empty, no call
open, and every published offset applied by each of its readers means that nothing will happen before the next day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.events.clock import DayClosed
from libs.runtime.relay import Relay
from libs.runtime.tables import service_metadata
from libs.runtime.tx import Cause, Tx
from libs.runtime.wiring import Parts

KEY = "clock"
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
        self._quiet_sql = _quiet_sql(readers)
        self._due_sql = " UNION ALL ".join(f"SELECT min(due) AS due FROM {name}.timers" for name in readers)  # noqa: S608

    async def __aenter__(self) -> Scheduler:
        self._relay = asyncio.create_task(Relay(self.parts).run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._relay is not None  # noqa: S101 - set by __aenter__
        self._relay.cancel()
        await asyncio.gather(self._relay, return_exceptions=True)

    async def quiet(self, *, seconds: float = 120) -> None:
        """Wait until nothing is in flight; raises NotQuiet after `seconds` without any progress."""
        last: list[str] = []
        patience = 0.0
        async with self.observer.connect() as conn:
            while True:
                rows = await conn.exec_driver_sql(self._quiet_sql)
                busy = [f"{name}: {what} {count}" for name, what, count in rows]
                await conn.rollback()
                if not busy:
                    return
                patience = patience + 0.01 if busy == last else 0.0
                if patience > seconds:
                    raise NotQuiet("; ".join(busy))
                last = busy
                await asyncio.sleep(0.01)

    async def next_due(self) -> date | None:
        """The earliest due date of any service's timer, or None."""
        async with self.observer.connect() as conn:
            found = await conn.exec_driver_sql(f"SELECT min(due) FROM ({self._due_sql}) t")  # noqa: S608 - our names
            due = found.scalar()
        return due if isinstance(due, date) else None

    async def open_day(self, day: date) -> None:
        """Close every day before `day` and open it; the tick carries the offsets reached."""
        async with self.observer.connect() as conn:
            reached: dict[str, dict[str, int]] = {}
            for name in self.readers:
                rows = await conn.exec_driver_sql(f'SELECT topic, part, "offset" FROM {name}.published')  # noqa: S608
                for topic, part, offset in rows:
                    reached.setdefault(topic, {})[str(part)] = offset
        async with self.parts.engine.begin() as conn:
            unit = self.parts.unit(conn)
            await unit.lock([KEY])
            tx = Tx(unit, Cause(actor="scheduler"), day)
            tx.publish(DayClosed(closed=day - timedelta(days=1), open=day, reached=reached), key=KEY)
            await unit.flush()


def _quiet_sql(readers: Mapping[str, Sequence[str]]) -> str:
    """One statement that lists what is in flight: (service, what, how many)."""
    looks: list[str] = []
    for name in (*readers, "clock"):
        looks.append(f"SELECT '{name}' AS service, 'outbox' AS what, count(*) AS n FROM {name}.outbox WHERE error = ''")  # noqa: S608
    for name in readers:
        looks.append(f"SELECT '{name}', 'calls', count(*) FROM {name}.calls WHERE status IN ('pending', 'unknown')")  # noqa: S608
    for reader, topics in readers.items():
        for topic in (*topics, "clock"):
            looks.append(
                f"SELECT '{reader}', 'lag on {topic}', count(*) FROM {topic}.published p LEFT JOIN {reader}.position q"  # noqa: S608
                f" ON q.topic = p.topic AND q.part = p.part WHERE p.topic = '{topic}'"
                ' AND (q."offset" IS NULL OR q."offset" < p."offset")'
            )
    return f"SELECT service, what, n FROM ({' UNION ALL '.join(looks)}) look WHERE n > 0"  # noqa: S608

