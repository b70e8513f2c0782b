"""Kafka of the local stack: a real broker that dies with its parent and keeps its topics over a crash."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local import kafka
from deploy.local.process import ChildFailed
from tests.local.orphans import ends_within, killed_parent_of

FIRST = TopicPartition("letters", 0)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "var"
    kafka.wipe(tmp_path / "var")


async def create(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("letters", num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def write(bootstrap: str, text: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait("letters", text, partition=0)
    finally:
        await producer.stop()


async def read(bootstrap: str) -> list[bytes]:
    """As a member of a new group, from the beginning: the group coordinator has to work as well."""
    consumer = AIOKafkaConsumer(
        "letters", bootstrap_servers=bootstrap, group_id="readers", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        found: list[bytes] = []
        deadline = time.monotonic() + 20
        while not found and time.monotonic() < deadline:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [record.value for record in records]
        await consumer.commit()
        assert await consumer.committed(FIRST) == len(found)
        return found
    finally:
        await consumer.stop()


async def test_killing_the_parent_leaves_no_java_and_the_next_start_has_the_topics(home: Path) -> None:
    with kafka.running(home) as bootstrap:
        await create(bootstrap)
        await write(bootstrap, b"first")
        with pytest.raises(ChildFailed, match="another process"), kafka.running(home):
            pass
    assert ends_within(killed_parent_of("kafka", home), seconds=5)
    with kafka.running(home) as bootstrap:
        assert await read(bootstrap) == [b"first"]
    kafka.wipe(home)
    assert not (home / "kafka" / "data").exists()


def test_jars_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libs = kafka.install_jars(kafka.LIBS)
    assert list(libs.glob("kafka_2.13-*.jar"))
    monkeypatch.setenv("PATH", str(tmp_path))  # neither Maven nor anything else can be found now
    assert kafka.install_jars(kafka.LIBS) == libs


def test_a_machine_without_java_gets_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka.install_jars(kafka.LIBS)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ChildFailed, match=r"`java` is missing: install Java 17 or later"), kafka.running(tmp_path):
        pass


def test_a_cluster_id_never_looks_like_an_option() -> None:
    drawn = {kafka.cluster_id() for _ in range(2_000)}
    assert len(drawn) == 2_000
    assert {len(each) for each in drawn} == {22}
    assert not [each for each in drawn if each.startswith("-")]
