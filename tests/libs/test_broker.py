"""What the runtime needs of a broker, kept by Apache Kafka and by the one in memory; and what only Kafka gives."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.structs import OffsetAndMetadata

from deploy.demo.journal import JournalTorn, read_journal
from deploy.local import kafka as apache
from deploy.local.embedded_broker import MemoryBroker
from deploy.local.process import ChildFailed
from deploy.local.stack import TOPIC_PARTITIONS, create_topics
from libs.runtime.tx import Tx
from tests.conftest import run
from tests.harness.live import Node, until
from tests.harness.toy import referral

MESSAGE_BYTES_MAX = 1_048_576  # what the relay lets pass
SECONDS_MAX = 60


class Broker(Protocol):
    """A broker under the suite."""

    bootstrap: str

    def create(self, topics: Mapping[str, int]) -> None: ...
    def leave(self) -> None: ...
    def come_back(self) -> None: ...


@dataclass
class Apache:
    """Apache Kafka: it comes back after a kill, with what it has on disk."""

    bootstrap: str
    server: apache.Server | None

    def create(self, topics: Mapping[str, int]) -> None:
        run(create_topics(self.bootstrap, "", topics))

    def leave(self) -> None:
        if self.server is None:
            pytest.skip("KAFKA_BOOTSTRAP names a server that is not ours to kill")
        self.server.kill()

    def come_back(self) -> None:
        assert self.server is not None
        self.server.start()
        assert self.server.bootstrap == self.bootstrap


class InMemory:
    """The embedded broker, in this process."""

    def __init__(self) -> None:
        self._broker = MemoryBroker()
        self.bootstrap = self._broker.bootstrap
        self.leave, self.come_back, self.close = self._broker.go_away, self._broker.come_back, self._broker.close

    def create(self, topics: Mapping[str, int]) -> None:
        for name, partitions in topics.items():
            self._broker.create_topic(name, partitions)


@pytest.fixture(scope="module")
def memory() -> Iterator[InMemory]:
    broker = InMemory()
    yield broker
    broker.close()


@pytest.fixture
def apache_kafka(kafka: str, kafka_server: apache.Server | None) -> Apache:
    return Apache(kafka, kafka_server)


@pytest.fixture(params=["apache_kafka", "memory"])
def broker(request: pytest.FixtureRequest) -> Broker:
    found: Broker = request.getfixturevalue(request.param)
    return found


def topic(broker: Broker, partitions: int) -> str:
    """The name of a new topic."""
    name = f"t{uuid.uuid4().hex}"
    broker.create({name: partitions})
    return name


@asynccontextmanager
async def producer(broker: Broker) -> AsyncIterator[AIOKafkaProducer]:
    """As the relay's, but patient: what it sends may wait for a broker that is away."""
    client = AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap,
        acks="all",
        enable_idempotence=True,
        request_timeout_ms=SECONDS_MAX * 1000,
        max_request_size=MESSAGE_BYTES_MAX,
    )
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


@asynccontextmanager
async def consumer(broker: Broker, *topics: str, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    client = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=broker.bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=5_000,
        heartbeat_interval_ms=500,
        fetch_max_wait_ms=20,
    )
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def take(client: AIOKafkaConsumer, count: int) -> list[Any]:
    """The next records, in the order they come; fails when there are fewer."""
    found: list[Any] = []
    async with asyncio.timeout(SECONDS_MAX):
        while len(found) < count:
            found += [record for batch in (await client.getmany(timeout_ms=100)).values() for record in batch]
    assert len(found) == count
    return found


async def test_topics_have_the_partitions_that_were_asked_for(broker: Broker) -> None:
    twelve, one = topic(broker, 12), topic(broker, 1)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics([twelve, one])
    finally:
        await admin.close()
    leaders = {
        found["topic"]: {part["partition"]: part["leader"] for part in found["partitions"]} for found in described
    }
    assert {name: sorted(parts) for name, parts in leaders.items()} == {twelve: list(range(12)), one: [0]}
    assert all(leader >= 0 for parts in leaders.values() for leader in parts.values())


async def test_a_key_keeps_its_partition_and_its_order_and_is_there_once(broker: Broker) -> None:
    name = topic(broker, 3)
    keys = [f"facility-{number}".encode() for number in range(9)]
    async with producer(broker) as client:
        sent = [await client.send(name, str(n).encode(), key=key) for n in range(100) for key in keys]
        acknowledged = await asyncio.gather(*sent)
    offsets: dict[int, list[int]] = {}
    for meta in acknowledged:
        offsets.setdefault(meta.partition, []).append(meta.offset)
    assert all(found == list(range(len(found))) for found in offsets.values())
    async with consumer(broker, name) as client:
        records = await take(client, 900)
    for key in keys:
        mine = [record for record in records if record.key == key]
        assert [record.value for record in mine] == [str(n).encode() for n in range(100)]
        assert len({record.partition for record in mine}) == 1


async def test_bytes_arrive_as_they_were_sent(broker: Broker) -> None:
    name = topic(broker, 1)
    headers = [("ce_id", b"\x00\xff"), ("twice", b"1"), ("twice", b"2"), ("empty", b""), ("none", None)]
    async with producer(broker) as client:
        for value in (b"\x00\x00", b"", None, "税务平台".encode()):
            await client.send_and_wait(name, value, key=b"\x00key", headers=headers)
    async with consumer(broker, name) as client:
        records = await take(client, 4)
    assert [record.value for record in records] == [b"\x00\x00", b"", None, "税务平台".encode()]
    assert {record.key for record in records} == {b"\x00key"}
    assert all(list(record.headers) == headers for record in records)


async def test_each_group_reads_everything_and_goes_on_where_it_committed(broker: Broker) -> None:
    name = topic(broker, 1)
    part = TopicPartition(name, 0)
    async with producer(broker) as writer:
        for number in range(6):
            await writer.send_and_wait(name, str(number).encode())
        async with (
            consumer(broker, name, group=f"{name}.one") as one,
            consumer(broker, name, group=f"{name}.two") as two,
        ):
            assert [len(await take(client, 6)) for client in (one, two)] == [6, 6]
            await one.commit({part: OffsetAndMetadata(4, "")})
            assert (await one.committed(part), await two.committed(part)) == (4, None)
        await writer.send_and_wait(name, b"6")
    async with consumer(broker, name, group=f"{name}.one") as one:
        assert [record.value for record in await take(one, 3)] == [b"4", b"5", b"6"]
    async with consumer(broker, name, group=f"{name}.two") as two:
        assert len(await take(two, 7)) == 7


async def test_a_stored_position_is_where_reading_starts_and_the_end_says_how_far_it_is(broker: Broker) -> None:
    name = topic(broker, 1)
    part = TopicPartition(name, 0)
    async with producer(broker) as client:
        for number in range(6):
            await client.send_and_wait(name, str(number).encode())
    async with consumer(broker, group=f"{name}.reader") as client:

        class Stored(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
            async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None: ...

            async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
                for each in assigned:
                    client.seek(each, 2)

        client.subscribe([name], listener=Stored())
        assert [record.value for record in await take(client, 4)] == [b"2", b"3", b"4", b"5"]
        client.seek(part, 5)
        lag = (await client.end_offsets([part]))[part] - await client.position(part)
        assert (lag, await client.beginning_offsets([part])) == (1, {part: 0})
        assert [record.value for record in await take(client, 1)] == [b"5"]


async def test_the_largest_message_passes_and_a_larger_one_is_refused_alone(broker: Broker) -> None:
    name = topic(broker, 1)
    async with producer(broker) as client:
        await client.send_and_wait(name, b"x" * (MESSAGE_BYTES_MAX - 1_000))
        with pytest.raises(MessageSizeTooLargeError):
            await client.send_and_wait(name, b"x" * MESSAGE_BYTES_MAX)
        await client.send_and_wait(name, b"after")
    async with consumer(broker, name) as reader:
        assert [len(record.value) for record in await take(reader, 2)] == [MESSAGE_BYTES_MAX - 1_000, 5]


async def test_clients_outlive_a_broker_that_was_away_and_nothing_is_lost_or_doubled(broker: Broker) -> None:
    name = topic(broker, 1)
    async with producer(broker) as writer, consumer(broker, name, group=f"{name}.reader") as reader:
        await writer.send_and_wait(name, b"before")
        assert [record.value for record in await take(reader, 1)] == [b"before"]
        await reader.commit()
        broker.leave()
        waiting = [await writer.send(name, str(number).encode()) for number in range(3)]
        await asyncio.sleep(0.3)
        assert not any(future.done() for future in waiting)
        broker.come_back()
        await asyncio.gather(*waiting)
        assert [record.value for record in await take(reader, 3)] == [b"0", b"1", b"2"]
        await writer.send_and_wait(name, b"after")
        assert [record.value for record in await take(reader, 1)] == [b"after"]
    async with consumer(broker, name) as reader:
        assert len(await take(reader, 5)) == 5


async def test_services_talk_over_it(broker: Broker, live: Callable[..., Node]) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}."
    broker.create({prefix + name: partitions for name, partitions in TOPIC_PARTITIONS.items()})
    place = {"kafka_bootstrap": broker.bootstrap, "topic_prefix": prefix, "fetch_wait_ms": 10}
    names = [str(number) for number in range(10)]
    day = date(2026, 1, 5)

    async def refer(tx: Tx) -> None:
        for name in names:
            tx.publish(referral("f1", name))

    async with live("application", **place) as application, live("rating", **place) as rating:
        for node in (application, rating):
            await node.stand_at(day)
            await node.consume()
            node.relay()
        await application.do(refer, "f1", on=day)

        async def answered() -> bool:
            return await application.tallies() == {"f1": [f"verified {name}" for name in names]}

        await until(answered, "every referral is answered, in order")
        assert await rating.tallies() == {"f1": names}


# --- what only Apache Kafka gives


async def test_kafka_shares_the_partitions_among_members_and_gives_them_to_who_is_left(apache_kafka: Apache) -> None:
    name = topic(apache_kafka, 4)
    group = f"{name}.group"

    def shares(*members: AIOKafkaConsumer) -> list[int]:
        parts = [member.assignment() for member in members]
        return sorted(map(len, parts)) if len(set().union(*parts)) == sum(map(len, parts)) == 4 else []

    async with consumer(apache_kafka, name, group=group) as one:
        async with consumer(apache_kafka, name, group=group) as two:

            async def shared() -> bool:
                return shares(one, two) == [2, 2]

            await until(shared, "each has two of the four", seconds=SECONDS_MAX)

        async def alone() -> bool:
            return shares(one) == [4]

        await until(alone, "the one that is left has all four", seconds=SECONDS_MAX)


async def test_kafka_keeps_everything_for_ever_and_the_broker_in_memory_is_found_out_when_it_does_not(
    apache_kafka: Apache, memory: InMemory
) -> None:
    kept: dict[type, int] = {}
    names: dict[type, str] = {}
    for each in (apache_kafka, memory):
        name = names[type(each)] = topic(each, 1)
        part = TopicPartition(name, 0)
        async with producer(each) as writer, consumer(each, name) as reader:
            for _ in range(6):
                await writer.send_and_wait(name, b"x" * 1_000_000)
            earliest = (await reader.beginning_offsets([part]))[part]
            kept[type(each)] = (await reader.end_offsets([part]))[part] - earliest
    assert kept[Apache] == 6
    assert kept[InMemory] < 6
    with pytest.raises(JournalTorn, match=f"dropped the oldest events of {names[InMemory]} 0"):
        await read_journal(memory.bootstrap, [names[InMemory]])
    admin = AIOKafkaAdminClient(bootstrap_servers=apache_kafka.bootstrap)
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, names[Apache])])
    finally:
        await admin.close()
    told = {entry[0]: entry[1] for *_, entries in answer.resources for entry in entries}
    assert (told["retention.ms"], told["retention.bytes"], told["cleanup.policy"]) == ("-1", "-1", "delete")


def test_a_topic_is_not_made_twice_in_memory(memory: InMemory) -> None:
    name = topic(memory, 1)
    with pytest.raises(ChildFailed, match=f"topic {name}: .*exists"):
        memory.create({name: 1})
