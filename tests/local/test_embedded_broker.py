"""The embedded broker as a child: there with its topics, gone with its parent, and explained when it cannot start."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local import embedded_broker
from deploy.local.process import ChildFailed
from tests.local.orphans import ended, ends_within, killed_parent_of


async def test_it_serves_its_topics_and_ends_with_its_block(tmp_path: Path) -> None:
    with embedded_broker.serving(tmp_path, {"letters": 12, "clock": 1}) as served:
        admin = AIOKafkaAdminClient(bootstrap_servers=served.bootstrap)
        await admin.start()
        try:
            described = await admin.describe_topics(["letters", "clock"])
        finally:
            await admin.close()
        assert {topic["topic"]: len(topic["partitions"]) for topic in described} == {"letters": 12, "clock": 1}
    assert ended(served.pid)


def test_killing_the_parent_leaves_no_broker(tmp_path: Path) -> None:
    assert ends_within(killed_parent_of("embedded", tmp_path), seconds=5)


def test_one_that_cannot_start_shows_its_last_words(tmp_path: Path) -> None:
    refused = pytest.raises(ChildFailed, match=r"embedded broker ended with exit code 1\n(?s:.)*invalid literal")
    with refused, embedded_broker.serving(tmp_path, {"no=name": 1}):
        pass


def test_a_wheel_without_the_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_broker, "files", lambda _: [])
    with pytest.raises(ChildFailed, match="the wheel confluent-kafka carries no librdkafka"):
        embedded_broker.MemoryBroker()
