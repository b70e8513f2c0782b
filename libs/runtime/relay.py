"""The outbox relay: everything committed is published, in the order of its key, and nothing is forgotten.

One active relay per service holds an advisory lock; the others stand by. Only what the broker acknowledged is deleted,
so a crash in between sends twice and the readers' inbox drops the copy. A batch is on its way only when the one before
is acknowledged; the database forgets that one, and reads the next if there is much to do, meanwhile. What was committed
in this very process need not be read (`libs/runtime/handover.py`). A row that can never be sent is parked with its
error, and later rows of its key wait behind it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from libs.runtime.database import backoff, woken
from libs.runtime.faults import reach
from libs.runtime.logs import fault
from libs.runtime.sender import Outcome, Sender
from libs.runtime.statements import together
from libs.runtime.wiring import Parts

STANDBY_SECONDS = 0.5
IDLE_SECONDS_MAX = 15
"""A leader that says nothing for so long is frozen or cut off: PostgreSQL ends its session, and with it its lead."""
POLL_SECONDS = 1.0

FORGET_SECONDS = 0.005
FORGET_ROWS = 50
"""What was acknowledged is forgotten when nothing has come for so long, or with so many rows; or with the next read."""
BATCH_BYTES_MAX = 8_388_608
"""Of payloads read at once, and at least one."""

_LEAD_SQL = "SELECT pg_try_advisory_lock(hashtext('relay:' || current_schema()))"
_GONE_SQL = "DELETE FROM outbox WHERE id = ANY($1)"
_REACHED_SQL = """
INSERT INTO published (topic, part, "offset")
SELECT topic, part, "offset" FROM jsonb_to_recordset($1::jsonb) AS p(topic text, part int, "offset" bigint)
ON CONFLICT (topic, part) DO UPDATE SET "offset" = GREATEST(published."offset", excluded."offset")
"""
_NEXT_SQL = """
SELECT id, key, topic, headers->>'ce_sequence' AS seq,
       convert_to(headers::text, 'UTF8') AS headers, convert_to(payload, 'UTF8') AS payload FROM (
    SELECT *, sum(octet_length(payload)) OVER (ORDER BY id) - octet_length(payload) AS ahead FROM (
        SELECT id, key, topic, headers, payload FROM outbox
        WHERE error = '' AND id NOT IN (SELECT unnest($1::bigint[])) AND key NOT IN (SELECT unnest($2::text[]))
        ORDER BY id LIMIT $3
    ) next_ones
) counted WHERE ahead < $4 ORDER BY id
"""


class Relay:
    """The relay of one process."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._sender = Sender(parts)
        self._blocked: list[str] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._attempt = 0
        self._look_again = 0.0

    def close(self) -> None:
        """Let `run` end after the batch under way."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Take the lead when it is free and publish until closed; the lead is lost with the connection."""
        while not self._closing:
            try:
                async with self.parts.bell.heard("outbox", self._wake, after=self._lead, afar=self._told) as driver:
                    if not self._closing:
                        with self.parts.bell.leading("outbox"), self.parts.handover.leading():
                            await self._publish(driver)
            except Exception as error:  # noqa: BLE001 - a relay outlives any one failure; rows stay in the outbox
                self._attempt += 1
                await self._interrupted(error, self._attempt)

    def _told(self) -> None:
        """Another process has put something into the outbox."""
        self.parts.handover.look()
        self._wake.set()

    async def _interrupted(self, error: Exception, attempt: int = 1) -> None:
        """Say what failed, and wait a moment before it is tried again."""
        self.parts.telemetry.retried("relay")
        self.parts.log.warning("relay_interrupted", error=fault(error))
        await asyncio.sleep(backoff(attempt))

    async def _lead(self, driver: Any) -> None:
        """Wait for the lead; who closes meanwhile ends without it."""
        await driver.execute(f"SET idle_session_timeout = '{IDLE_SECONDS_MAX}s'")
        await driver.execute("SET synchronous_commit = off")  # a lost delete is sent once more, no less
        # The outbox looks empty to the planner, and between two vacuums it is full of what was deleted. Only a scan of
        # the index remembers which of its entries are dead; any other reads all of them, each time.
        await driver.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        self._attempt = 0
        while not self._closing and not await driver.fetchval(_LEAD_SQL):
            await asyncio.sleep(STANDBY_SECONDS)

    async def _publish(self, driver: Any) -> None:
        try:
            await self._sender.open()
            while not self._closing:
                await self._find_blocked(driver)
                self.parts.handover.look()
                self._look_again = time.monotonic() + POLL_SECONDS
                while time.monotonic() < self._look_again and not self._closing:
                    if not await self._batch(driver):
                        await woken(self._wake, seconds=self._look_again - time.monotonic())
        finally:
            await self._sender.close()

    async def _find_blocked(self, driver: Any) -> None:
        self._blocked = [row["key"] for row in await driver.fetch("SELECT DISTINCT key FROM outbox WHERE error <> ''")]

    async def _batch(self, driver: Any) -> bool:
        """Publish one batch, and those that have come meanwhile; true when there may be more right now.

        Ids are not committed in their order, so what is under way is left out by name: nothing is passed over for good.
        """
        done = Outcome()
        rows = await self._next(driver, done)
        while rows:
            reach("relay.before_send", self.parts.settings.fault)
            sending, following = await self._send(driver, done, rows)
            reach("relay.after_ack", self.parts.settings.fault)
            done.add(sending)
            if len(sending.sent) < len(rows):
                self.parts.handover.reset()
                await self._turn(driver, done, read=False)
                await self._park(driver, sending.unsendable)
                if sending.failure is not None and not sending.sent:
                    raise sending.failure
                if sending.failure is not None:
                    await self._interrupted(sending.failure)
                return True
            rows = following
            if self._closing or time.monotonic() > self._look_again:
                break
            if not rows:
                rows = await self._next(driver, done)
        if rows:
            self.parts.handover.reset()  # read, but not sent
        await self._turn(driver, done, read=False)
        return bool(rows)

    async def _next(self, driver: Any, done: Outcome) -> Any:
        """What this process has just committed, or else what is in the outbox."""
        while True:
            self._wake.clear()
            rows: Any = self.parts.handover.take(self.parts.settings.relay_batch_max)
            if rows is None:
                rows = await self._read(driver, done)
            if rows or not done.sent or self._closing:
                return rows
            await woken(self._wake, seconds=FORGET_SECONDS)
            if not self._wake.is_set():
                return rows

    async def _read(self, driver: Any, done: Outcome, under_way: Sequence[int] = ()) -> Any:
        """Read what is in the outbox, and forget on the way."""
        handover = self.parts.handover
        handover.reading()
        rows = await self._turn(driver, done, under_way)
        if self._is_full(rows):
            handover.reset()  # there is more behind it
        else:
            handover.read((row["key"], int(row["seq"])) for row in rows if row["seq"] and row["seq"].isdecimal())
        return rows

    def _is_full(self, rows: Any) -> bool:
        large = sum(len(row["payload"]) for row in rows) >= BATCH_BYTES_MAX
        return large or len(rows) >= self.parts.settings.relay_batch_max

    async def _send(self, driver: Any, done: Outcome, rows: Any) -> tuple[Outcome, Any]:
        """Send a batch; meanwhile forget those before it, and read the one behind it where it is full."""
        full = self._is_full(rows)
        if not full and len(done.sent) < FORGET_ROWS:
            return await self._sender.deliver(rows), []
        meanwhile = self._read(driver, done, [r["id"] for r in rows]) if full else self._turn(driver, done, read=False)
        # Both end before anything is judged: the connection is used by one at a time.
        sending: Outcome | BaseException
        following: Any
        sending, following = await asyncio.gather(self._sender.deliver(rows), meanwhile, return_exceptions=True)
        if isinstance(following, BaseException):
            raise following
        if isinstance(sending, BaseException):
            raise sending
        return sending, following

    async def _turn(self, driver: Any, done: Outcome, under_way: Sequence[int] = (), *, read: bool = True) -> Any:
        """Forget what was acknowledged, note how far each partition came, and read what is next: in one statement."""
        texts: list[str] = []
        values: list[Any] = []
        away = [*done.sent, *under_way]  # the statement still sees what it deletes
        if done.sent:
            for topic, number in done.count.items():
                self.parts.telemetry.metrics.published.labels(topic).inc(number)
            marks = [{"topic": topic, "part": part, "offset": offset} for (topic, part), offset in done.reached.items()]
            texts += [_GONE_SQL, _REACHED_SQL]
            values += [list(done.sent), json.dumps(marks)]
        if read:
            texts.append(_NEXT_SQL)
            values += [away, self._blocked, self.parts.settings.relay_batch_max, BATCH_BYTES_MAX]
        done.clear()
        return await driver.fetch(together(tuple(texts)), *values) if texts else []

    async def _park(self, driver: Any, unsendable: dict[int, str]) -> None:
        for id_, error in unsendable.items():
            await driver.execute("UPDATE outbox SET error = $2 WHERE id = $1", id_, error)
            self.parts.log.error("outbox_row_parked", id=id_, error=error)
        if unsendable:
            await self._find_blocked(driver)
