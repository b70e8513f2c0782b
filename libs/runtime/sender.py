"""What the relay's producer does with rows of the outbox: one lane per partition, a batch at a time in each.

A batch goes when the one before it in its partition is acknowledged, so nothing overtakes what failed. The broker takes
or refuses a batch as a whole; the rows of one that it refused are sent one by one, until the culprit is found.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder
from opentelemetry.sdk.trace import Span
from pydantic_core import from_json

from libs.runtime.database import briefly
from libs.runtime.traces import end
from libs.runtime.wiring import Parts

UNSENDABLE = (MessageSizeTooLargeError, RecordListTooLargeError)
"""What the broker says of a batch that it will never take."""
REQUEST_MS_MAX = 10_000
"""For the broker's acknowledgement of one request; then the batch is tried again."""
REQUEST_BYTES_MAX = 1_048_576
RECORD_BATCH_BYTES_MAX = 262_144
"""Of one batch, if more than one record is in it."""
LANE_SECONDS_MAX = 5.0
"""For the batches of one partition; what is left comes with the next rows, and the lead is kept meanwhile."""
ERROR_CHARACTERS_MAX = 500
KEYS_REMEMBERED_MAX = 20_000

_partitioner = DefaultPartitioner()


@dataclass(slots=True)
class Outcome:
    """What became of rows of the outbox. Those not named here were not tried, or failed for no fault of theirs."""

    sent: list[int] = field(default_factory=list)
    reached: dict[tuple[str, int], int] = field(default_factory=dict)
    """The highest offset by topic and partition."""
    count: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Rows sent by topic."""
    unsendable: dict[int, str] = field(default_factory=dict)
    """Rows that the broker will never take, each with the error."""
    failure: Exception | None = None

    def clear(self) -> None:
        """It is forgotten."""
        self.sent, self.reached, self.count = [], {}, defaultdict(int)

    def add(self, later: Outcome) -> None:
        """What was acknowledged later as well."""
        self.sent += later.sent
        self.reached.update(later.reached)
        for topic, number in later.count.items():
            self.count[topic] += number


@dataclass(slots=True)
class _Batch:
    """Records under way together. Of a row only its id is kept: what else it needs is in the builder."""

    builder: BatchBuilder
    ids: list[int] = field(default_factory=list)
    spans: list[Span | None] = field(default_factory=list)


class Sender:
    """The producer of one relay, made anew when a batch that failed has left a gap in its sequence."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._producer: AIOKafkaProducer | None = None
        self._spent = False
        self._singly: set[int] = set()

    async def open(self) -> AIOKafkaProducer:
        """The producer to use now."""
        if self._spent:
            await self.close()
        if self._producer is None:
            self._spent = False
            self._producer = AIOKafkaProducer(
                bootstrap_servers=self.parts.settings.kafka_bootstrap,
                acks="all",
                enable_idempotence=True,
                request_timeout_ms=REQUEST_MS_MAX,
                max_batch_size=RECORD_BATCH_BYTES_MAX,
            )
            await self._producer.start()
        return self._producer

    async def close(self) -> None:
        """End the producer; what is not acknowledged by then stays in the outbox."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await briefly(producer.stop())

    async def deliver(self, rows: Sequence[Any]) -> Outcome:
        """Send rows in their order by key and wait for every acknowledgement; a key stops at its first bad row."""
        producer = await self.open()
        outcome = Outcome()
        lanes: dict[tuple[str, int], list[Any]] = defaultdict(list)
        partitions: dict[str, int] = {}
        for row in rows:
            topic = row["topic"]
            if topic not in partitions:
                partitions[topic] = len(await producer.partitions_for(self.parts.topic(topic)))
            lanes[topic, _partition_of(row["key"], partitions[topic])].append(row)
        under_way = [self._lane(producer, *place, of_lane, outcome) for place, of_lane in lanes.items()]
        if len(under_way) == 1:
            await under_way[0]
        else:
            async with asyncio.TaskGroup() as group:
                for lane in under_way:
                    group.create_task(lane)
        self._singly.difference_update(outcome.sent, outcome.unsendable)
        return outcome

    async def _lane(
        self, producer: AIOKafkaProducer, topic: str, part: int, rows: Sequence[Any], outcome: Outcome
    ) -> None:
        """Send the rows of one partition; a failure leaves the rest of them for later."""
        late = time.monotonic() + LANE_SECONDS_MAX
        for batch in self._batches(producer, rows, outcome):
            failure: Exception | None = None
            try:
                under_way = await producer.send_batch(batch.builder, self.parts.topic(topic), partition=part)
                acknowledged = await under_way
            except Exception as error:  # noqa: BLE001 - judged by what kind it is; the rows stay in the outbox
                failure = error
            for span in batch.spans:
                end(span, failure)
            if failure is not None:
                self._failed(batch, failure, outcome)
                return
            if acknowledged.offset < 0:
                # Taken before, in a request whose answer was lost, and the broker has forgotten where. Once more: the
                # readers drop the copy, and how far the partition came is known.
                return
            outcome.sent += batch.ids
            outcome.count[topic] += len(batch.ids)
            outcome.reached[topic, part] = acknowledged.offset + len(batch.ids) - 1
            if time.monotonic() > late:
                return

    def _failed(self, batch: _Batch, failure: Exception, outcome: Outcome) -> None:
        self._spent = True
        if not isinstance(failure, UNSENDABLE):
            outcome.failure = failure
        elif len(batch.ids) > 1:
            self._singly.update(batch.ids)
        else:
            outcome.unsendable[batch.ids[0]] = _words(failure)

    def _batches(self, producer: AIOKafkaProducer, rows: Sequence[Any], outcome: Outcome) -> Iterator[_Batch]:
        """Batches as large as they may be; a row of a refused batch is one of its own."""
        stopped: set[str] = set()
        batch = _Batch(producer.create_batch())

        def refuse(row: Any, error: Exception) -> None:
            outcome.unsendable[row["id"]] = _words(error)
            stopped.add(row["key"])

        for row in rows:
            if row["key"] in stopped:
                continue
            try:
                record, span = self._record(row)
            except Exception as error:  # noqa: BLE001 - whatever cannot be told parks alone, and others go on
                refuse(row, error)
                continue
            alone = row["id"] in self._singly or (batch.ids and batch.ids[0] in self._singly)
            if batch.ids and (alone or batch.builder.append(**record) is None):
                yield batch
                batch = _Batch(producer.create_batch())
            if not batch.ids:
                batch.builder.append(**record)  # an empty batch takes any record
                if (size := batch.builder.size()) > REQUEST_BYTES_MAX:
                    refused = MessageSizeTooLargeError(f"{size} bytes; at most {REQUEST_BYTES_MAX}")
                    end(span, refused)
                    refuse(row, refused)
                    batch = _Batch(producer.create_batch())
                    continue
            batch.ids.append(row["id"])
            batch.spans.append(span)
        if batch.ids:
            yield batch

    def _record(self, row: Any) -> tuple[dict[str, Any], Span | None]:
        """What goes into a batch for a row, and its span if there is one."""
        headers = row["headers"] if isinstance(row["headers"], dict) else from_json(row["headers"])
        span = self.parts.telemetry.sending(headers)
        encoded = [(name, value.encode()) for name, value in headers.items()]
        return {"key": row["key"].encode(), "value": row["payload"], "headers": encoded, "timestamp": None}, span


@lru_cache(KEYS_REMEMBERED_MAX)
def _partition_of(key: str, partitions: int) -> int:
    """The partition of a key, by the hash that every Kafka client uses."""
    every = list(range(partitions))
    found: int = _partitioner(key.encode(), every, every)
    return found


def _words(error: Exception) -> str:
    return repr(error)[:ERROR_CHARACTERS_MAX]
