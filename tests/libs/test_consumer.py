"""The consumer on real Kafka: whatever the log holds, each event takes effect once, in order, on its day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from deploy.local.stack import PARTITIONS, create_topics
from libs.events.clock import DayClosed
from libs.runtime import consumer, parking
from libs.runtime.inbound import Arrival
from tests.harness.bench import Bench
from tests.harness.live import Node, Wire, encoded, until
from tests.harness.toy import MENDED, referral, toy

DAY = date(2026, 1, 5)
NEXT = date(2026, 1, 6)
Live = Callable[..., Node]


def press(folder: Path) -> Bench:
    """Makes arrivals; its database is never asked."""
    return Bench(toy("rating"), "postgresql://nobody@127.0.0.1:1/none", folder)


async def opened(node: Node, day: date = DAY) -> None:
    """Stand at a business date before anything arrives."""
    await node.stand_at(day)


async def settled(node: Node, **facilities: list[str]) -> None:
    """Wait until exactly these effects are there."""

    found: dict[str, list[str]] = {}

    async def there() -> bool:
        found.clear()
        found.update(await node.tallies())
        return found == facilities

    try:
        await until(there, "the effects")
    except AssertionError:
        assert found == facilities
        raise


async def test_a_topic_that_the_broker_will_not_create_is_an_error_and_not_a_wait(kafka: str) -> None:
    with pytest.raises(KafkaError, match="InvalidTopicError"):
        await asyncio.wait_for(create_topics(kafka, "no topic!"), 20)


async def test_a_consumer_whose_assignment_failed_tries_again(
    live: Live, kafka: str, topics: str, tmp_path: Path
) -> None:
    async with live("rating") as node, Wire(kafka, topics) as wire:
        await opened(node)
        await wire.put(press(tmp_path).arrival(referral("f1", "a"), "f1", DAY))
        await node.run("ALTER TABLE position RENAME TO hidden")
        starting = asyncio.create_task(node.consume())

        await asyncio.sleep(2)  # the first assignment has come and failed
        assert not node.consumer.ready.is_set()
        await node.run("ALTER TABLE hidden RENAME TO position")
        await starting
        await settled(node, f1=["a"])


async def test_what_the_log_holds_takes_effect_once_in_order_and_trouble_stays_with_its_key(
    live: Live, kafka: str, topics: str, tmp_path: Path
) -> None:
    make = press(tmp_path)

    def story(key: str, *names: str) -> list[Arrival]:
        return [make.arrival(referral(key, name), key, DAY) for name in names]

    many = story("many", *map(str, range(250)))
    a, b, c = story("gap", "a", "b", "c")
    poison = story("poison", "p", "poison", "q")
    async with live("rating") as node, Wire(kafka, topics) as wire:
        await opened(node)
        await wire.put(*(event for event in many for _ in range(2)))
        await wire.put(a, c, *poison)
        await wire.put(*story("old", "x", "y"), make.arrival(referral("old", "forged"), "old", DAY, sequence=1))
        for bad in (None, b"\xff\xfe", b"{}"):
            await wire.raw("application", b"\xff\x00", bad, [("ce_id", b"\x00\xff"), ("odd", None)], part=0)
        await node.consume()
        numbers = [str(n) for n in range(250)]
        await settled(node, many=numbers, gap=["a"], poison=["p"], old=["x", "y"])

        async def parked() -> bool:
            return sorted(await node.rows("SELECT reason FROM parked")) == [
                "behind a parked event",
                "gap: 3 after 1",
                "order_violation: 1 after 2",
                "toy_poison: poison",
                "undecodable",
                "undecodable",
                "undecodable",
            ]

        await until(parked, "every sort of trouble is parked with its reason")
        await wire.put(b, *many[:50])
        MENDED.set()
        await settled(node, many=numbers, gap=["a", "b", "c"], poison=["p"], old=["x", "y"])
        assert await parking.redrive(node.parts, "poison") == 2
        await settled(node, many=numbers, gap=["a", "b", "c"], poison=["p", "poison", "q"], old=["x", "y"])

        async def shown() -> bool:
            return node.consumer.ready.is_set() and bool(await node.rows("SELECT 1 FROM position"))

        await until(shown, "the position is in the database")


async def test_events_of_a_later_day_wait_for_the_tick_and_the_tick_for_what_came_before_it(
    live: Live, kafka: str, topics: str, tmp_path: Path
) -> None:
    make = press(tmp_path)
    async with live("rating") as node, Wire(kafka, topics) as wire:
        await opened(node)
        await wire.put(make.arrival(referral("f1", "today"), "f1", DAY))
        await wire.put(make.arrival(referral("f1", "tomorrow"), "f1", NEXT))
        await node.consume()
        await settled(node, f1=["today"])
        ((part, offset),) = await node.rows("SELECT part, \"offset\" FROM position WHERE topic = 'application'")
        other = (part + 1) % PARTITIONS
        tick = DayClosed(closed=DAY, open=NEXT, reached={"application": {str(part): offset, str(other): 0}})
        await wire.put(make.arrival(tick, "clock", DAY))
        await asyncio.sleep(1.0)
        assert await node.rows("SELECT open FROM clock") == [DAY]
        assert await node.tallies() == {"f1": ["today"]}
        late = make.arrival(referral("f2", "late today"), "f2", DAY)
        await wire.raw(late.topic, b"f2", late.payload.encode(), encoded(late), part=other)
        await settled(node, f1=["today", "tomorrow"], f2=["late today"])
        assert await node.rows("SELECT open FROM clock") == [NEXT]


async def test_an_event_dated_after_every_day_parks_and_one_of_a_day_that_begins_is_held_in_bounds(
    live: Live, kafka: str, topics: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "HELD_SECONDS", 0.2)
    make = press(tmp_path)

    def begin(day: date, reached: int) -> Arrival:
        return make.arrival(DayClosed(closed=DAY, open=day, reached={"application": {"0": reached}}), "clock", DAY)

    async with live("rating", batch_max=50) as node, Wire(kafka, topics) as wire:

        async def put(key: str, day: date, *names: str) -> None:
            for name in names:
                event = make.arrival(referral(key, name), key, day)
                await wire.raw(event.topic, key.encode(), event.payload.encode(), encoded(event), part=0)

        await opened(node)
        await wire.put(begin(NEXT, 1_000_000))  # what came before it never comes: the day does not open here
        await put("forged", date(2199, 1, 1), "a")
        await put("forged", DAY, "b")
        await put("f1", DAY, "a")
        await put("f2", NEXT, *map(str, range(300)))
        await node.consume()
        await settled(node, f1=["a"])

        async def parked() -> bool:
            return await node.rows("SELECT reason FROM parked ORDER BY id") == [
                "dated_ahead: 2199-01-01 when 2026-01-06 is the newest day",
                "behind a parked event",
            ]

        await until(parked, "the forged one is parked, and its key waits behind it")
        await asyncio.sleep(0.5)  # looked at again meanwhile: those of the day that begins are held, not parked
        assert await parked()
        assert node.consumer._kafka is not None
        assert await node.consumer._kafka.position(TopicPartition(f"{topics}application", 0)) <= 3 + 2 * 50
        await node.run("UPDATE clock SET open = $1", NEXT)
        await settled(node, f1=["a"], f2=list(map(str, range(300))))


async def test_an_unreadable_tick_parks_and_the_next_one_is_heard(
    live: Live, kafka: str, topics: str, tmp_path: Path
) -> None:
    make = press(tmp_path)
    async with live("rating") as node, Wire(kafka, topics) as wire:
        await opened(node)
        good = make.arrival(DayClosed(closed=DAY, open=NEXT, reached={}), "clock", DAY)
        await wire.raw("clock", b"clock", b"nonsense", [])
        await wire.raw("clock", b"clock", b"nonsense", encoded(good))
        await wire.put(good)
        await node.consume()

        async def open_() -> bool:
            return await node.rows("SELECT open FROM clock") == [NEXT]

        await until(open_, "the day is opened")
        assert await node.rows("SELECT reason FROM parked") == ["not a tick"] * 2


async def test_the_database_says_where_to_read_on_and_a_second_member_takes_over(
    live: Live, kafka: str, topics: str, tmp_path: Path
) -> None:
    make = press(tmp_path)
    keys = [f"f{n}" for n in range(30)]

    async def round_(wire: Wire, name: str) -> None:
        await wire.put(*(make.arrival(referral(key, f"{name}{n}"), key, DAY) for key in keys for n in range(5)))

    expected: list[str] = []
    async with live("rating", batch_max=7) as one, live("rating", batch_max=7) as two, Wire(kafka, topics) as wire:
        await opened(one)
        await one.consume()
        for name, change in (("a", two.consume), ("b", lambda: one.crash("consumer")), ("c", one.consume)):
            await round_(wire, name)
            await change()
            expected += [f"{name}{n}" for n in range(5)]
        await settled(one, **dict.fromkeys(keys, expected))
        assert await one.rows("SELECT * FROM parked") == []
        # Kafka's own offsets are for show: forgetting what it knows of the group changes nothing.
        await two.crash("consumer")
        await one.crash("consumer")
        inbox = await one.rows("SELECT count(*) FROM inbox")
        await round_(wire, "d")
        await one.run('UPDATE position SET "offset" = -1 WHERE part < 6')  # as a restored older backup would say
        await one.consume()
        expected += [f"d{n}" for n in range(5)]
        await settled(one, **dict.fromkeys(keys, expected))
        assert await one.rows("SELECT count(*) FROM inbox") == [inbox[0] + 150]
        assert await one.rows("SELECT * FROM parked") == []


async def test_a_database_that_goes_away_for_a_moment_parks_nothing(
    live: Live, kafka: str, topics: str, tmp_path: Path
) -> None:
    make = press(tmp_path)
    keys = [f"f{n}" for n in range(10)]
    async with live("rating", batch_max=3) as node, live("rating") as other, Wire(kafka, topics) as wire:
        await opened(node)
        await node.consume()
        for n in range(5):
            await wire.put(*(make.arrival(referral(key, str(n)), key, DAY) for key in keys))
            await other.run(
                "DO $$ BEGIN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'silverbear.rating' AND pid <> pg_backend_pid()"
                " AND datname = current_database(); END $$"
            )
        expected = [str(n) for n in range(5)]
        await settled(other, **dict.fromkeys(keys, expected))
        assert await other.rows("SELECT * FROM parked") == []


async def test_between_two_assignments_no_offsets_are_committed(
    toy_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    # One commit of a generation that is over makes Kafka's client join again, and two members never come to rest.
    class Client:
        def __init__(self) -> None:
            self.committed = asyncio.Event()

        def assignment(self) -> set[TopicPartition]:
            return {TopicPartition("application", 0)}

        def seek(self, part: TopicPartition, offset: int) -> None:
            assert (part.partition, offset) == (0, 8)

        async def getmany(self, *_: object, **__: object) -> dict[TopicPartition, list[object]]:
            await asyncio.sleep(0.01)
            return {}

        async def commit(self, offsets: dict[TopicPartition, int]) -> None:
            assert offsets == {TopicPartition("application", 0): 8}
            self.committed.set()

    monkeypatch.setattr(consumer, "COMMIT_SECONDS", 0.01)
    async with toy_bench("rating") as bench:
        async with bench.parts.engine.begin() as conn:
            await conn.exec_driver_sql("INSERT INTO position (topic, part, \"offset\") VALUES ('application', 0, 7)")
        reader, client = consumer.Consumer(bench.parts), Client()
        reader._kafka = client
        listener = consumer._Rebalance(reader)
        showing = asyncio.create_task(reader._commit_for_show())
        try:
            await listener.on_partitions_assigned([TopicPartition("application", 0)])
            await asyncio.wait_for(client.committed.wait(), 30)
            await listener.on_partitions_revoked([])
            await asyncio.sleep(0.05)  # a commit under way may end
            client.committed.clear()
            await asyncio.sleep(0.3)
            assert not client.committed.is_set()
            await listener.on_partitions_assigned([TopicPartition("application", 0)])
            await asyncio.wait_for(client.committed.wait(), 30)
        finally:
            showing.cancel()
            await reader.revoked()
