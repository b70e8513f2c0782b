"""The stack on a user's own servers: an empty database and fresh topics are taken, a used database is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local import stack
from deploy.local.process import ChildFailed
from deploy.local.stack import TOPIC_PARTITIONS, refuse_used


async def partitions(bootstrap: str, prefix: str) -> dict[str, int]:
    """How many partitions each topic of the contract has under this prefix; a topic that is not there has none."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics([prefix + name for name in TOPIC_PARTITIONS])
    finally:
        await admin.close()
    return {topic["topic"].removeprefix(prefix): len(topic["partitions"]) for topic in described}


async def test_servers_of_the_users_own_are_used_with_topics_of_this_run(
    database: str, kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka)
    monkeypatch.setattr(stack, "_start_all", lambda *_: None)
    prefixes = []
    for _ in range(2):
        with stack.running(profile="cn-branch", home=tmp_path) as platform:
            told = platform.environment("rating")
            assert told["KAFKA_BOOTSTRAP"] == kafka
            assert told["DATABASE_URL"].endswith(database.rpartition("/")[2])
            assert await partitions(kafka, told["TOPIC_PREFIX"]) == TOPIC_PARTITIONS
            prefixes.append(told["TOPIC_PREFIX"])
    assert len(set(prefixes)) == 2
    assert os.listdir(tmp_path) == ["issuer"], "no server of our own has left anything"


async def test_an_empty_database_is_taken_and_a_used_one_refused(database: str) -> None:
    await refuse_used(database)
    engine = create_async_engine(database.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.begin() as conn:
        await conn.exec_driver_sql("INSERT INTO rating.position (topic, part, \"offset\") VALUES ('application', 0, 7)")
    await engine.dispose()
    with pytest.raises(ChildFailed, match="holds an earlier run"):
        await refuse_used(database)
