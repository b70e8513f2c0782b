"""What the sender makes of a broker's answers, batch by batch; the broker is a stand-in that says what it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder

from libs.runtime import sender
from libs.runtime.sender import REQUEST_BYTES_MAX, Outcome, Sender

Deliver = Callable[..., Awaitable[Outcome]]
PARTITIONS = 2
ONE, NEIGHBOUR, OTHER = "f1", "f2", "f3"
"""Two keys of partition 1, and one of partition 0."""


@dataclass
class Broker:
    """Answers each batch with the next word it was given for the partition, and takes it if there is none."""

    words: dict[int, list[Any]] = field(default_factory=dict)
    taken: list[tuple[int, int]] = field(default_factory=list)
    """Partition and number of records of each batch that came, in turn."""
    producers: int = 0

    async def start(self) -> None:
        self.producers += 1

    async def stop(self) -> None:
        pass

    async def partitions_for(self, _: str) -> set[int]:
        return set(range(PARTITIONS))

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(1_000, 0)

    async def send_batch(self, batch: BatchBuilder, _: str, *, partition: int) -> asyncio.Future[Any]:
        self.taken.append((partition, batch.record_count()))
        word = next(iter(self.words.get(partition, [])), 40)
        if self.words.get(partition):
            self.words[partition].pop(0)
        answer = asyncio.get_running_loop().create_future()
        if isinstance(word, Exception):
            answer.set_exception(word)
        else:
            answer.set_result(SimpleNamespace(offset=word))
        return answer


def row(id_: int, key: str, payload: bytes = b"{}", headers: dict[str, Any] | None = None) -> dict[str, Any]:
    """A row of the outbox as the relay reads it."""
    told = json.dumps(headers or {"ce_id": str(id_)}).encode()
    return {"id": id_, "key": key, "topic": "rating", "headers": told, "payload": payload}


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(sender, "AIOKafkaProducer", lambda **_: broker)
    assert [sender._partition_of(key, PARTITIONS) for key in (ONE, NEIGHBOUR, OTHER)] == [1, 1, 0]
    return broker


@pytest.fixture
def deliver(broker: Broker) -> Deliver:
    parts: Any = SimpleNamespace(
        topic=lambda name: name,
        settings=SimpleNamespace(kafka_bootstrap=""),
        telemetry=SimpleNamespace(sending=lambda _: None),
    )
    one = Sender(parts)

    async def deliver(*rows: dict[str, Any]) -> Outcome:
        return await one.deliver(rows)

    return deliver


async def test_a_partition_that_fails_keeps_its_rows_and_the_others_go_on(broker: Broker, deliver: Deliver) -> None:
    broker.words = {1: [KafkaError("not now")]}
    outcome = await deliver(row(1, ONE), row(2, OTHER), row(3, OTHER))
    assert (outcome.sent, outcome.unsendable) == ([2, 3], {})
    assert isinstance(outcome.failure, KafkaError)
    assert (outcome.reached, dict(outcome.count)) == ({("rating", 0): 41}, {"rating": 2})
    again = await deliver(row(1, ONE))
    assert (again.sent, again.failure) == ([1], None)
    assert broker.producers == 2, "a failed batch leaves a gap in the sequence of its producer"


async def test_what_was_taken_nobody_knows_where_is_sent_again(broker: Broker, deliver: Deliver) -> None:
    broker.words = {1: [-1]}
    outcome = await deliver(row(1, ONE), row(2, OTHER))
    assert (outcome.sent, outcome.failure) == ([2], None)
    again = await deliver(row(1, ONE))
    assert (again.sent, again.reached, broker.producers) == ([1], {("rating", 1): 40}, 1)


@pytest.mark.parametrize(
    "bad", [row(2, ONE, payload=b"x" * REQUEST_BYTES_MAX), row(2, ONE, headers={"ce_sequence": 7})]
)
async def test_a_row_that_cannot_be_sent_stops_its_key_and_nothing_else(deliver: Deliver, bad: dict[str, Any]) -> None:
    outcome = await deliver(row(1, ONE), bad, row(3, ONE), row(4, NEIGHBOUR), row(5, OTHER))
    assert sorted(outcome.sent) == [1, 4, 5]
    assert list(outcome.unsendable) == [2]


async def test_the_rows_of_a_refused_batch_go_one_by_one_until_the_culprit_is_found(
    broker: Broker, deliver: Deliver
) -> None:
    broker.words = {1: [MessageSizeTooLargeError(), 40, MessageSizeTooLargeError()]}
    rows = [row(1, ONE), row(2, ONE), row(3, NEIGHBOUR), row(4, ONE)]
    refused = await deliver(*rows)
    assert (refused.sent, refused.unsendable, refused.failure) == ([], {}, None)
    found = await deliver(*rows)
    assert (found.sent, list(found.unsendable)) == ([1], [2])
    rest = await deliver(rows[2])
    assert rest.sent == [3]
    assert broker.taken == [(1, 4), (1, 1), (1, 1), (1, 1)]
    assert broker.producers == 3


async def test_a_partition_with_much_to_send_is_left_in_time_to_keep_the_lead(
    broker: Broker, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "LANE_SECONDS_MAX", -1.0)
    outcome = await deliver(*(row(number, ONE, payload=b"x" * 600) for number in range(3)))
    assert (outcome.sent, outcome.failure, broker.taken) == ([0], None, [(1, 1)])
