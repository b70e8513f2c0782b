"""The relay on real Kafka: everything committed is published in the order of its key, whoever dies meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.stack import PARTITIONS
from libs.runtime import relay
from libs.runtime.tx import Tx
from tests.harness.live import Node, read_all, until
from tests.harness.toy import referral

DAY = date(2026, 1, 5)
Live = Callable[..., Node]


async def publish(node: Node, key: str, *names: str) -> None:
    """Commit referrals of one facility in one transaction."""

    async def command(tx: Tx) -> None:
        for name in names:
            tx.publish(referral(key, name))

    await node.do(command, key, on=DAY)


async def by_key(kafka: str, topic: str) -> dict[str, list[int]]:
    """The sequences per key in the order of the log, doubles (same id) counted once."""
    seen: set[bytes] = set()
    found: dict[str, list[int]] = {}
    for record in await read_all(kafka, topic):
        headers = dict(record.headers)
        if headers["ce_id"] not in seen:
            seen.add(headers["ce_id"])
            found.setdefault(record.key.decode(), []).append(int(headers["ce_sequence"]))
    return found


async def test_two_relays_and_a_crash_keep_every_key_in_order_without_a_gap(
    live: Live, kafka: str, topics: str
) -> None:
    async with live("application", relay_batch_max=20) as one, live("application", relay_batch_max=20) as two:
        one.relay()
        two.relay()
        for round_ in range(6):
            await asyncio.gather(*(publish(one, f"f{n}", *map(str, range(10))) for n in range(12)))
            if round_ == 2:
                await one.crash("relay")
            if round_ == 4:
                await two.crash("relay")
                one.relay("again")

        async def empty() -> bool:
            return await one.rows("SELECT count(*) FROM outbox") == [0]

        await until(empty, "the outbox is empty")
        found = await by_key(kafka, topics + "application")
        assert found == {f"f{n}": list(range(1, 61)) for n in range(12)}
        reached = {(record.partition, record.offset) for record in await read_all(kafka, topics + "application")}
        for part, offset in await one.rows("SELECT part, \"offset\" FROM published WHERE topic = 'application'"):
            assert (part, offset) in reached


async def test_a_relay_that_lost_its_broker_takes_the_lead_again(live: Live, kafka: str, topics: str) -> None:
    """Its advisory lock must not stay behind in the pool: otherwise nobody would ever publish again."""
    async with live("application") as node:
        node.relay()
        await publish(node, "f1", "a")

        async def empty() -> bool:
            return await node.rows("SELECT count(*) FROM outbox") == [0]

        await until(empty, "the first event is out")
        for pid in await node.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"):
            await node.run(f"SELECT pg_terminate_backend({pid})")
        await publish(node, "f1", "b")
        await until(empty, "the second event is out")
        assert await by_key(kafka, topics + "application") == {"f1": [1, 2]}
        await node.crash("relay")

        async def free() -> bool:
            return await node.rows("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [0]

        await until(free, "the lead is free")


async def test_a_row_the_broker_will_never_take_parks_and_only_its_key_waits(
    live: Live, kafka: str, topics: str
) -> None:
    async with live("application") as node:
        await publish(node, "bad", "a", "b")
        await publish(node, "good", "x")
        await node.run("UPDATE outbox SET payload = repeat('x', 1200000) WHERE id = (SELECT min(id) FROM outbox)")
        node.relay()

        async def left() -> bool:
            return await node.rows("SELECT count(*) FROM outbox") == [2]

        await until(left, "the other key went out")
        await publish(node, "good", "y")
        await until(left, "the other key goes on")
        assert await by_key(kafka, topics + "application") == {"good": [1, 2]}
        errors = await node.rows("SELECT error FROM outbox ORDER BY id")
        assert "MessageSizeTooLarge" in errors[0]
        assert errors[1] == ""
        await node.run("UPDATE outbox SET payload = '{}', error = '' WHERE error <> ''")

        async def empty() -> bool:
            return await node.rows("SELECT count(*) FROM outbox") == [0]

        await until(empty, "the mended row and those behind it went out")
        assert await by_key(kafka, topics + "application") == {"good": [1, 2], "bad": [1, 2]}


async def test_of_a_batch_that_the_broker_refuses_only_the_culprit_parks(live: Live, kafka: str, topics: str) -> None:
    """The broker's own limit: it takes or refuses a batch as a whole, whoever else is in it."""
    prefix = f"{topics}small."
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    limit = {"max.message.bytes": "20000"}
    await admin.create_topics([NewTopic(f"{prefix}application", PARTITIONS, 1, topic_configs=limit)])
    await admin.close()
    neighbours = [f"good{n}" for n in range(60)]
    async with live("application", topic_prefix=prefix) as node:
        await publish(node, "bad", "a", "b", "c")
        for key in neighbours:
            await publish(node, key, "x", "y")
        await publish(node, "much", *map(str, range(60)))  # too much for one batch, and nothing wrong with any
        await node.run(
            "UPDATE outbox SET payload = repeat('x', 50000) WHERE key = 'bad' AND id = (SELECT min(id) + 1 FROM outbox)"
        )
        node.relay()

        async def left() -> bool:
            return await node.rows("SELECT count(*) FROM outbox") == [2]

        await until(left, "all but the culprit and what waits behind it went out")
        await publish(node, neighbours[0], "z")
        await until(left, "the others go on")
        assert [bool(error) for error in await node.rows("SELECT error FROM outbox ORDER BY id")] == [True, False]
        expected = {key: [1, 2] for key in neighbours}
        expected |= {neighbours[0]: [1, 2, 3], "much": list(range(1, 61)), "bad": [1]}
        assert await by_key(kafka, prefix + "application") == expected
        await node.run("UPDATE outbox SET payload = '{}', error = '' WHERE error <> ''")

        async def empty() -> bool:
            return await node.rows("SELECT count(*) FROM outbox") == [0]

        await until(empty, "the mended row and the one behind it went out")
        assert await by_key(kafka, prefix + "application") == expected | {"bad": [1, 2, 3]}


async def test_a_leader_that_is_frozen_loses_its_lead(
    live: Live, kafka: str, topics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process keeps its connection, and with it the lock: without a bound nothing would be published."""
    monkeypatch.setattr(relay, "IDLE_SECONDS_MAX", 1)
    async with live("application") as frozen, live("application") as other:
        stuck = asyncio.Event()

        async def freeze(*_: object) -> bool:
            stuck.set()
            await asyncio.Event().wait()
            return False

        leader = relay.Relay(frozen.parts)
        leader._batch = freeze  # type: ignore[method-assign]  # planted: it hangs
        task = asyncio.create_task(leader.run())
        await asyncio.wait_for(stuck.wait(), 15)
        other.relay()
        await publish(other, "f1", "a")

        async def empty() -> bool:
            return await other.rows("SELECT count(*) FROM outbox") == [0]

        await until(empty, "the other replica publishes")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_row_that_is_committed_after_later_ones_were_read_is_not_passed_over(
    live: Live, kafka: str, topics: str
) -> None:
    async with live("application", relay_batch_max=5) as node:
        held, free = asyncio.Event(), asyncio.Event()

        async def slow(tx: Tx) -> None:
            tx.publish(referral("late", "first"))
            await tx.unit.flush()  # its id is taken here
            held.set()
            await free.wait()

        late = asyncio.create_task(node.do(slow, "late", on=DAY))
        await held.wait()
        await publish(node, "early", *map(str, range(500)))
        node.relay()

        async def under_way() -> bool:
            return 0 < (await node.rows("SELECT count(*) FROM outbox"))[0] < 500

        await until(under_way, "some batches are published")
        free.set()
        await late

        async def empty() -> bool:
            return await node.rows("SELECT count(*) FROM outbox") == [0]

        await until(empty, "the outbox is empty")
        found = await by_key(kafka, topics + "application")
        assert found == {"early": list(range(1, 501)), "late": [1]}
        assert len(await read_all(kafka, topics + "application")) == 501


async def test_a_relay_that_is_closed_while_another_leads_never_acts_as_leader(
    live: Live, kafka: str, topics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process goes on committing while it drains, and the leader elsewhere has to hear of that."""
    acted: list[str] = []
    async with live("application") as leader, live("application") as standby:
        leader.relay()
        await publish(leader, "f1", "a")

        async def leads() -> bool:
            return await leader.rows("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == [1]

        await until(leads, "somebody leads")
        monkeypatch.setattr(standby.parts.bell, "leading", acted.append)
        waiting = relay.Relay(standby.parts)
        ending = asyncio.create_task(waiting.run())
        await asyncio.sleep(relay.STANDBY_SECONDS / 2)
        waiting.close()
        await asyncio.wait_for(ending, 10)
        assert acted == []
