"""Reads the topics: one worker per partition number, one transaction per batch, positions kept in PostgreSQL.

All topics have the same partition count and key, so every event of one facility reaches one worker. An event of a
later business date than this service stands at is held until the day is opened here. Kafka's committed offsets are
written for operators' eyes; the position that counts commits with the effects.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError

from libs.kernel.errors import Refused
from libs.runtime import parking
from libs.runtime.database import backoff, briefly, is_transient, patiently
from libs.runtime.daybreak import Daybreak, newest_day
from libs.runtime.faults import reach
from libs.runtime.inbound import Arrival, Intake, ResumeFailed, pass_by, read_meta, reason_of, told_of
from libs.runtime.logs import fault
from libs.runtime.tx import Unit
from libs.runtime.wiring import Parts

CLOCK = "clock"
COMMIT_SECONDS = 1.0
FETCH_MS = 500
FETCH_BYTES_MAX = 8_388_608
PARTITION_FETCH_BYTES_MAX = 1_048_576
POLL_MS_MAX = 600_000
HELD_SECONDS = 5.0
"""A day that has begun elsewhere is open here sooner than this, or something is wrong."""
BLOCKED_SHARE_MAX = 100  # one key in a hundred
BLOCKED_KEYS_MIN = 20


class Consumer:
    """The consumer of one process, a member of the group `silverbear.<service>`."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.ready = asyncio.Event()
        self.paused = ""
        self._kafka: AIOKafkaConsumer | None = None
        self._applied: dict[tuple[str, int], int] = {}
        self._settled = False
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._broken: asyncio.Event = asyncio.Event()

    async def run(self) -> None:
        """Consume for ever; a broken client is replaced, transient trouble waited out."""
        attempt = 0
        while True:
            try:
                await self._session()
                attempt = 1  # it ran until a worker failed, and said so
            except Exception as error:  # noqa: BLE001 - a consumer outlives any one failure; positions are in the database
                attempt += 1
                self.parts.log.warning("consumer_interrupted", error=fault(error))
            await asyncio.sleep(backoff(attempt))

    async def _session(self) -> None:
        self._broken.clear()
        settings = self.parts.settings
        self._kafka = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap,
            group_id=f"{settings.topic_prefix}silverbear.{self.parts.name}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.session_timeout_ms // 4,
            max_poll_interval_ms=POLL_MS_MAX,
            fetch_max_wait_ms=settings.fetch_wait_ms,
            fetch_max_bytes=FETCH_BYTES_MAX,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES_MAX,
        )
        names = [self.parts.topic(name) for name in (*self.parts.reads, CLOCK)]
        self._kafka.subscribe(names, listener=_Rebalance(self))
        committer: asyncio.Task[None] | None = None
        try:
            await self._kafka.start()
            committer = asyncio.create_task(self.guard(self._commit_for_show()))
            await self._broken.wait()
        finally:
            if committer is not None:
                committer.cancel()
            await self.revoked()
            await briefly(self._kafka.stop())

    async def assigned(self, parts: Iterable[TopicPartition]) -> None:
        """Start one worker per partition number, from the positions in the database."""
        assert self._kafka is not None  # noqa: S101 - set by _session before it subscribes
        numbers: dict[str, list[TopicPartition]] = {}
        positions = await patiently(self._positions, on_retry=self._retrying)
        for tp in parts:
            topic = self._plain(tp.topic)
            self._kafka.seek(tp, positions.get((topic, tp.partition), -1) + 1)
            lane = CLOCK if topic == CLOCK else str(tp.partition % self.parts.settings.lanes)
            numbers.setdefault(lane, []).append(tp)
        for number, tps in numbers.items():
            worker = self._tick_worker(tps) if number == CLOCK else self._worker(tps)
            self._workers[number] = asyncio.create_task(self.guard(worker))
        self._settled = True
        self.ready.set()

    async def revoked(self) -> None:
        """Stop all workers; what is not committed is rolled back and its events are read again elsewhere.

        A batch that sent its one statement may still commit: its keys' versions and the inbox make that harmless.

        Until the next assignment no offsets are committed: those of a generation that is over would make the client
        join once more, which begins the next rebalance, for ever.
        """
        self._settled = False
        stopping = list(self._workers.values())
        self._workers.clear()
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)

    async def guard(self, worker: Any) -> None:
        """Await; on a failure the session is rebuilt."""
        try:
            await worker
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the session is rebuilt from the database's positions
            self.parts.log.error("worker_failed", error=fault(error))
            self._broken.set()

    async def lag(self) -> dict[str, int]:
        """The events of each topic that the broker has for this process and that are not yet applied (a second ago)."""
        mine = self._kafka.assignment() if self._kafka is not None else ()
        lag: Counter[str] = Counter()
        for tp, end in (await self._kafka.end_offsets(mine) if self._kafka is not None and mine else {}).items():
            topic = self._plain(tp.topic)
            lag[topic] += max(0, end - 1 - self._applied.get((topic, tp.partition), -1))
        return lag

    async def _positions(self) -> dict[tuple[str, int], int]:
        async with self.parts.engine.connect() as conn:
            rows = await conn.exec_driver_sql('SELECT topic, part, "offset" FROM position')
            return {(row["topic"], row["part"]): row["offset"] for row in rows.mappings()}

    async def _worker(self, tps: Sequence[TopicPartition]) -> None:
        """Apply the events of one partition number, batch by batch; hold those of a day not yet opened here."""
        assert self._kafka is not None  # noqa: S101 - set by _session before it subscribes
        held: dict[TopicPartition, deque[Arrival]] = {tp: deque() for tp in tps}
        since = time.monotonic()
        while True:
            free = [tp for tp in tps if not held[tp]]
            if free:
                timeout_ms = FETCH_MS if len(free) == len(tps) else 20
                for tp, records in (await self._fetch(free, timeout_ms)).items():
                    held[tp].extend(self._arrival(record) for record in records)
            if not any(held.values()):
                since = time.monotonic()
                continue
            if any(queue and queue[0].date > self.parts.open_on for queue in held.values()):
                await patiently(self.parts.open_date, on_retry=self._retrying)
            ready: list[Arrival] = []
            for queue in held.values():
                while queue and queue[0].date <= self.parts.open_on:
                    ready.append(queue.popleft())
            if ready:
                await self._check_blocked()
                await self.apply(ready)
            elif not free:
                await Daybreak.wait(self.parts, seconds=0.05)
            since = await self._judge(held, since)

    async def _judge(self, held: Mapping[TopicPartition, deque[Arrival]], since: float) -> float:
        """Park what is dated after any day that was ever opened: it would hold its lane for ever.

        `since` is when nothing was held, or when this was asked last; returns the same for the next time.
        """
        if time.monotonic() - since < HELD_SECONDS:
            return since
        try:
            newest = await newest_day(self.parts)
        except (KafkaError, OSError) as error:
            self._retrying(error)
            return time.monotonic()
        for queue in held.values():
            while newest is not None and queue and queue[0].date > newest:
                arrival = queue.popleft()
                await self._park(arrival, Refused("dated_ahead", f"{arrival.date} when {newest} is the newest day"))
        return time.monotonic()

    async def _fetch(self, tps: Sequence[TopicPartition], timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        """What has come, and what comes within `LINGER_MS` more; what came during the last batch often suffices."""
        assert self._kafka is not None  # noqa: S101 - set by _session before it subscribes
        batch_max, linger = self.parts.settings.batch_max, self.parts.settings.linger_ms / 1000
        fetched: dict[TopicPartition, list[Any]] = await self._kafka.getmany(
            *tps, timeout_ms=timeout_ms, max_records=batch_max
        )
        count = sum(map(len, fetched.values()))
        if not linger or not 0 < count < batch_max:
            return fetched
        await asyncio.sleep(linger)
        more = await self._kafka.getmany(*tps, timeout_ms=0, max_records=batch_max - count)
        for tp, records in more.items():
            fetched.setdefault(tp, []).extend(records)
        return fetched

    async def apply(self, arrivals: Sequence[Arrival]) -> None:
        """Apply a batch in one transaction; on a failure for good, one by one, and the culprit parks."""
        try:
            await patiently(lambda: self._once(arrivals, {}), on_retry=self._retrying)
        except Exception as error:  # noqa: BLE001 - whatever a handler raised is parked with its reason, never lost
            if len(arrivals) == 1:
                await self._park(arrivals[0], error)
                return
            for arrival in arrivals:
                await self.apply([arrival])

    async def _park(self, arrival: Arrival, error: Exception) -> None:
        """Park whom the failure names: the arrival itself, or an event that had waited for it and failed then."""
        culprits: dict[str, str] = {}
        while True:
            culprit = error.event_id if isinstance(error, ResumeFailed) else arrival.event_id
            if culprit in culprits:
                raise error
            culprits[culprit] = reason_of(error)
            self.parts.log.error(
                "event_parked",
                event_id=culprit,
                key=arrival.key,
                trace_id=arrival.headers.get("traceparent", "")[3:35],
                reason=told_of(error),
            )
            try:
                return await patiently(lambda: self._once([arrival], culprits), on_retry=self._retrying)
            except Exception as another:  # noqa: BLE001 - raised above when it names the same event again
                error = another

    async def _once(self, arrivals: Sequence[Arrival], culprits: Mapping[str, str]) -> None:
        if await pass_by(self.parts, arrivals):
            unfinished: Sequence[str] = ()
        else:
            watched = None
            if not culprits:
                watched = await self.parts.attempt("locks", lambda unit: self._take(unit, arrivals, lock=False))
            if watched is None:
                async with self.parts.transaction() as unit:
                    watched = await self._take(unit, arrivals, culprits)
            unfinished = watched
        for key in unfinished:
            await self._redrive(key)
        reach("consumer.after_commit", self.parts.settings.fault)
        await Daybreak.progressed(self.parts)

    async def _take(
        self, unit: Unit, arrivals: Sequence[Arrival], culprits: Mapping[str, str] | None = None, *, lock: bool = True
    ) -> list[str]:
        """Take a batch; the keys with which there is more to go on."""
        intake = Intake(self.parts, unit)
        await intake.open(arrivals, lock=lock)
        for arrival in arrivals:
            await intake.take(arrival, culprits or {})
        await intake.close()
        return intake.unfinished

    async def _redrive(self, key: str) -> None:
        """Go on with a key of which more waited than one transaction took; what fails there parks itself."""
        try:
            while await patiently(lambda: parking.redrive(self.parts, key), on_retry=self._retrying):
                continue
        except Exception as error:  # noqa: BLE001 - whatever a handler raised stands with the row, which parks
            self.parts.log.error("event_parked", key=key, reason=reason_of(error))

    async def _tick_worker(self, tps: Sequence[TopicPartition]) -> None:
        assert self._kafka is not None  # noqa: S101 - set by _session before it subscribes
        daybreak = Daybreak(self.parts)
        while True:
            fetched = await self._kafka.getmany(*tps, timeout_ms=FETCH_MS, max_records=10)
            for records in fetched.values():
                for record in records:
                    tick = self._arrival(record)
                    await patiently(lambda tick=tick: daybreak.open(tick), on_retry=self._retrying)  # type: ignore[misc]  # mypy cannot type a lambda's default

    def _arrival(self, record: Any) -> Arrival:
        headers = {_plain_text(name.encode()): _plain_text(value or b"") for name, value in record.headers}
        try:
            payload = (record.value or b"").decode("utf-8")
        except UnicodeDecodeError:
            headers, payload = {"undecodable": "not UTF-8"}, repr(record.value)
        payload = payload.replace("\x00", "\\u0000")
        return Arrival(self._plain(record.topic), record.partition, record.offset, headers, payload, read_meta(headers))

    def _plain(self, topic: str) -> str:
        return topic.removeprefix(self.parts.settings.topic_prefix)

    def _retrying(self, error: BaseException) -> None:
        self.parts.telemetry.retried("consumer")
        self.parts.log.warning("retrying", error=fault(error))

    async def _check_blocked(self) -> None:
        """Stop taking events while more than one key in a hundred is blocked: people must look first."""
        if not self.paused:
            return
        while await self._too_many_blocked():
            await asyncio.sleep(1)
        self.paused = ""

    async def _too_many_blocked(self) -> bool:
        async with self.parts.engine.connect() as conn:
            blocked = (await conn.exec_driver_sql("SELECT count(DISTINCT key) FROM parked")).scalar() or 0
            if blocked <= BLOCKED_KEYS_MIN:
                return False
            keys = (await conn.exec_driver_sql("SELECT count(*) FROM stream")).scalar() or 0
        return bool(blocked * BLOCKED_SHARE_MAX > keys)

    async def _commit_for_show(self) -> None:
        """Write positions to Kafka and watch the share of blocked keys, about once a second."""
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            try:
                positions = self._applied = await self._positions()
                if not self.paused and await self._too_many_blocked():
                    self.paused = "too many blocked keys"
                    self.parts.log.error("consumption_paused", reason=self.paused)
                assert self._kafka is not None  # noqa: S101 - set by _session before this task starts
                mine = {
                    tp: positions[self._plain(tp.topic), tp.partition] + 1
                    for tp in self._kafka.assignment()
                    if (self._plain(tp.topic), tp.partition) in positions
                }
                if mine and self._settled:
                    await self._kafka.commit(mine)
            except (KafkaError, OSError) as error:
                self.parts.log.debug("offsets_not_shown", error=fault(error))
            except Exception as error:
                if not is_transient(error):
                    raise


def _plain_text(value: bytes) -> str:
    """Header text that PostgreSQL can hold."""
    return value.decode("utf-8", "replace").replace("\x00", "\ufffd")


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Hands Kafka's assignments to the consumer."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002 - all are
        await self._consumer.revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._consumer.guard(self._consumer.assigned(assigned))  # Kafka's client would only log a failure
