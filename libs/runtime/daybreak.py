"""Opens a business day: waits for what came before, fires the timers that are due, then moves the service's date.

A tick carries how far every topic had come; the reader applies those offsets first, also on a replay, so a day's
end means the same whenever it is read.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import date
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.events.clock import DayClosed
from libs.events.envelope import Meta
from libs.runtime.database import borrowed, briefly, is_transient
from libs.runtime.inbound import TIMER_TOPIC, Arrival, reason_of, run_timer, told_of
from libs.runtime.tx import adapter_of
from libs.runtime.wiring import Parts

TIMERS_AT_ONCE = 100
LAST_TICKS = 10
"""Looked at for the newest day: one of them is readable."""
LOOK_SECONDS_MAX = 5.0

_FIRED_SQL = """
DELETE FROM timers t USING unnest($1::text[], $2::text[]) AS f(kind, ref)
WHERE t.kind = f.kind AND t.ref = f.ref AND t.due <= $3 RETURNING t.kind, t.ref, t.key, t.org, t.traceparent
"""


async def newest_day(parts: Parts) -> date | None:
    """The newest day that the clock topic has opened, whether this service stands there yet or not; None before any.

    Nobody dates an event by a day that was not opened, and whoever opened it had read it here. Raises KafkaError or
    TimeoutError.
    """
    kafka = AIOKafkaConsumer(bootstrap_servers=parts.settings.kafka_bootstrap, enable_auto_commit=False)
    tp = TopicPartition(parts.topic("clock"), 0)
    opened: list[date] = []
    try:
        async with asyncio.timeout(LOOK_SECONDS_MAX):
            await kafka.start()
            kafka.assign([tp])
            end = (await kafka.end_offsets([tp]))[tp]
            kafka.seek(tp, max(0, end - LAST_TICKS))
            while await kafka.position(tp) < end:
                for record in (await kafka.getmany(tp, timeout_ms=200)).get(tp, ()):
                    with suppress(ValueError):
                        opened.append(adapter_of(DayClosed).validate_json(record.value or b"").open)
        return max(opened, default=None)
    finally:
        await briefly(kafka.stop())


class Daybreak:
    """Applies ticks of the clock topic, one at a time."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    @staticmethod
    async def progressed(parts: Parts) -> None:
        """Tell waiters in this process that a position or the date moved."""
        async with parts.opened:
            parts.opened.notify_all()

    @staticmethod
    async def wait(parts: Parts, *, seconds: float) -> None:
        """Wait for progress in this process, or a while: another replica may have moved the date."""
        try:
            async with asyncio.timeout(seconds):
                async with parts.opened:
                    await parts.opened.wait()
        except TimeoutError:
            return

    async def open(self, tick: Arrival) -> None:
        """Apply one tick; safe to repeat after a crash at any point, and a second copy of it fires nothing.

        Else a timer set after the first copy, for that very day or before, would fire a day early.
        """
        if tick.meta is None or tick.meta.type != "day.closed.v1":
            await self._skip(tick)
            return
        try:
            day = adapter_of(DayClosed).validate_json(tick.payload)
        except ValueError:
            await self._skip(tick)
            return
        while (due := await self._due(tick.meta, day)) is None:
            await self.wait(self.parts, seconds=0.05)
        while due:
            await self._fire(tick, day, due)
            due = await self._due(tick.meta, day)
        place = (tick.meta.source, tick.meta.key, tick.meta.sequence)
        async with borrowed(self.parts.engine) as driver:
            await driver.execute(_OPENED_SQL, tick.topic, tick.part, tick.offset, day.open, *place)
        await self.progressed(self.parts)

    async def _skip(self, tick: Arrival) -> None:
        self.parts.log.error("tick_unreadable", offset=tick.offset)
        async with self.parts.engine.begin() as conn:
            await conn.exec_driver_sql(
                "INSERT INTO parked (key, status, topic, event_id, headers, payload, reason)"
                " SELECT $1, 'parked', $2, $1, $3, $4, 'not a tick'"
                " WHERE NOT EXISTS (SELECT FROM parked WHERE event_id = $1)"
                " AND NOT EXISTS (SELECT FROM inbox WHERE event_id = $1)",
                (f"undecodable:{tick.topic}:{tick.offset}", tick.topic, json.dumps(tick.headers), tick.payload),
            )
            await conn.exec_driver_sql(_TICK_POSITION_SQL, (tick.topic, tick.part, tick.offset))

    async def _due(self, meta: Meta, day: DayClosed) -> list[dict[str, str]] | None:
        """The next timers due, earliest first; None while what came before the tick has not been applied."""
        wanted = [
            {"topic": topic, "part": int(part), "offset": offset}
            for topic in self.parts.reads
            for part, offset in day.reached.get(topic, {}).items()
        ]
        async with borrowed(self.parts.engine) as driver:
            found = await driver.fetchrow(_DUE_SQL, json.dumps(wanted), day.open, meta.source, meta.key, meta.sequence)
        return None if found["missing"] else json.loads(found["due"] or "[]")

    async def _fire(self, tick: Arrival, day: DayClosed, due: list[dict[str, str]]) -> None:
        try:
            await self._fire_together(tick, day, due)
        except Exception as error:
            if is_transient(error):
                raise
            for timer in due:
                await self._fire_alone(tick, day, timer)

    async def _fire_alone(self, tick: Arrival, day: DayClosed, timer: dict[str, Any]) -> None:
        try:
            await self._fire_together(tick, day, [timer])
        except Exception as error:
            if is_transient(error):
                raise
            self.parts.log.error("timer_parked", **timer, reason=told_of(error))
            await self._fire_together(tick, day, [timer], culprit=reason_of(error))

    async def _fire_together(self, tick: Arrival, day: DayClosed, due: list[dict[str, Any]], culprit: str = "") -> None:
        async with self.parts.transaction() as unit:
            await unit.lock([timer["key"] for timer in due])
            fired = await unit.sql(_FIRED_SQL, [t["kind"] for t in due], [t["ref"] for t in due], day.open)
            blocked = {
                row["key"]
                for row in await unit.sql("SELECT DISTINCT key FROM parked WHERE key = ANY($1)", list(unit.keys))
            }
            turn = {(timer["kind"], timer["ref"]): number for number, timer in enumerate(due)}
            for timer in sorted(fired, key=lambda timer: turn[timer["kind"], timer["ref"]]):
                facts = {**timer, "tick": tick.event_id, "open": day.open.isoformat()}
                if culprit or timer["key"] in blocked:
                    await unit.sql(
                        "INSERT INTO parked (key, status, topic, event_id, headers, payload, reason)"
                        " VALUES ($1, $2, $3, $4, '{}', $5, $6)",
                        timer["key"],
                        "parked" if culprit else "waiting",
                        TIMER_TOPIC,
                        f"{tick.event_id}:{timer['kind']}:{timer['ref']}",
                        json.dumps(facts),
                        culprit or "behind a parked event",
                    )
                else:
                    await run_timer(self.parts, unit, facts)
            await unit.flush()


_TICK_POSITION_SQL = """
INSERT INTO position (topic, part, "offset") VALUES ($1, $2, $3)
ON CONFLICT (topic, part) DO UPDATE SET "offset" = GREATEST(position."offset", excluded."offset")
"""
_OPENED_SQL = """
WITH moved AS (
    INSERT INTO clock (id, open) VALUES (1, $4)
    ON CONFLICT (id) DO UPDATE SET open = GREATEST(clock.open, excluded.open)
), seen AS (
    INSERT INTO cursor (publisher, key, seq) VALUES ($5, $6, $7)
    ON CONFLICT (publisher, key) DO UPDATE SET seq = GREATEST(cursor.seq, excluded.seq)
)
INSERT INTO position (topic, part, "offset") VALUES ($1, $2, $3)
ON CONFLICT (topic, part) DO UPDATE SET "offset" = GREATEST(position."offset", excluded."offset")
"""
_DUE_SQL = f"""
SELECT (SELECT count(*) FROM jsonb_to_recordset($1::jsonb) AS w(topic text, part int, "offset" bigint)
        LEFT JOIN position p ON p.topic = w.topic AND p.part = w.part
        WHERE p."offset" IS NULL OR p."offset" < w."offset") AS missing,
       (SELECT json_agg(t) FROM (
            SELECT kind, ref, key FROM timers WHERE due <= $2
            AND NOT EXISTS (SELECT FROM cursor c WHERE c.publisher = $3 AND c.key = $4 AND c.seq >= $5)
            ORDER BY due, kind, ref LIMIT {TIMERS_AT_ONCE}) t) AS due
"""  # noqa: S608 - a constant of this module
