"""The business day on real Kafka: it is closed only when nothing is in flight, and opens everywhere after it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path

import asyncpg
import pytest

from libs.runtime import scheduler
from libs.runtime.database import open_engine
from libs.runtime.dump import canonical_dump
from libs.runtime.migrate import role_url
from libs.runtime.scheduler import NotQuiet, Scheduler
from libs.runtime.service import Service
from libs.runtime.settings import Settings
from libs.runtime.tx import Tx
from tests.harness.bench import Bench
from tests.harness.live import Node, read_all, until
from tests.harness.toy import METADATA, referral, toy

DAY = date(2026, 1, 5)
DUE = date(2026, 2, 1)
READERS = {"application": ("rating",), "rating": ("application",)}
Live = Callable[..., Node]


@asynccontextmanager
async def clock_of(database: str, kafka: str, topics: str, folder: Path) -> AsyncIterator[Scheduler]:
    """The scheduler over both toys."""
    settings = Settings(
        database_url=role_url(database, "clock"),
        kafka_bootstrap=kafka,
        topic_prefix=topics,
        jwks_path=folder / "jwks.json",
        pool_size=4,
    )
    service = Service(
        name="clock", metadata=scheduler.metadata, reads=(), reactions={}, timers={}, partners={}, routers=[]
    )
    parts = service.parts(settings)
    observer = open_engine(role_url(database, "observer"), schema="public", pool_size=4)
    try:
        async with Scheduler(parts, observer, READERS) as clock:
            yield clock
    finally:
        await observer.dispose()
        await parts.close()


async def stands_at(node: Node, day: date) -> None:
    """Wait until a service stands at `day`."""

    async def there() -> bool:
        return await node.rows("SELECT open FROM clock") == [day]

    await until(there, f"{node.parts.name} stands at {day}")


async def test_a_day_closes_when_nothing_is_in_flight_and_timers_fire_when_it_opens(
    live: Live, toy_database: str, kafka: str, topics: str, tmp_path: Path
) -> None:
    async with (
        live("application") as application,
        live("rating") as rating,
        clock_of(toy_database, kafka, topics, tmp_path) as clock,
    ):
        for node in (application, rating):
            node.relay()
        await asyncio.gather(application.consume(), rating.consume())
        await clock.open_day(DAY)
        for node in (application, rating):
            await stands_at(node, DAY)

        async def refer(tx: Tx) -> None:
            for n in range(20):
                tx.publish(referral("f1", str(n)))
            tx.timer("remind", ref="r", key="f1", due=DUE)

        assert await clock.next_due() is None
        await application.do(refer, "f1", on=DAY)
        await clock.quiet(seconds=20)
        everything = [f"verified {n}" for n in range(20)]
        assert await application.tallies() == {"f1": everything}
        assert await clock.next_due() == DUE
        await clock.open_day(DUE)
        await clock.quiet(seconds=20)
        for node in (application, rating):
            await stands_at(node, DUE)
        assert await application.tallies() == {"f1": [*everything, "reminded r on 2026-02-01", "verified reminded r"]}
        assert (await rating.tallies())["f1"][-1] == "reminded r"
        assert await clock.next_due() is None
        dump = await canonical_dump(application.parts.engine, METADATA)
        assert json.loads(dump["tally"][0])["facility_id"] == "f1"
        assert dump["timers"] == []


async def test_what_does_not_come_to_rest_is_named(
    live: Live, toy_database: str, kafka: str, topics: str, tmp_path: Path
) -> None:
    async with live("application") as application, clock_of(toy_database, kafka, topics, tmp_path) as clock:
        await clock.quiet(seconds=0.2)

        async def refer(tx: Tx) -> None:
            tx.publish(referral("f1", "a"))
            tx.call("pay", key="f1", reference="p", request={})

        await application.do(refer, "f1", on=DAY)
        with pytest.raises(NotQuiet, match=r"application: outbox, oldest \d+; application: call p"):
            await clock.quiet(seconds=0.2)
        application.relay()

        async def out() -> bool:
            return await application.rows("SELECT count(*) FROM outbox") == [0]

        await until(out, "the event is out")
        with pytest.raises(NotQuiet, match=r"application: call p; rating behind on application: \d+"):
            await clock.quiet(seconds=0.2)


async def test_no_command_publishes_under_a_day_that_was_closed(
    live: Live, toy_database: str, kafka: str, topics: str, tmp_path: Path
) -> None:
    """Days end under load: whatever lies beyond the offsets that a tick names carries the new date."""
    days = [DAY + timedelta(days=n) for n in range(6)]
    async with (
        live("application") as application,
        live("rating") as rating,
        Bench(toy("application"), toy_database, tmp_path) as doors,
        clock_of(toy_database, kafka, topics, tmp_path) as clock,
    ):
        for node in (application, rating):
            node.relay()
        await asyncio.gather(application.consume(), rating.consume())
        await clock.open_day(days[0])
        await stands_at(application, days[0])
        answers: list[int] = []
        over = False

        async def caller(key: str) -> None:
            number = 0
            while not over:
                number += 1
                answer = await doors.post("/referrals", {"facility_id": key, "name": str(number)}, role="officer")
                answers.append(answer.status_code)

        callers = [asyncio.create_task(caller(f"f{n}")) for n in range(6)]
        for day in days[1:]:
            before = len(answers)
            await clock.open_day(day)

            async def some_more(least: int = before + 6) -> bool:
                return len(answers) >= least

            await until(some_more, "commands go on", seconds=30)
        over = True
        await asyncio.gather(*callers)
        await clock.quiet(seconds=20)
        assert set(answers) == {201}

    ticks = [json.loads(record.value) for record in await read_all(kafka, topics + "clock", parts=1)]
    assert [tick["open"] for tick in ticks] == [day.isoformat() for day in days]
    seen: set[str] = set()
    for topic in ("application", "rating"):
        for record in await read_all(kafka, topics + topic):
            dated = dict(record.headers)["ce_businessdate"].decode()
            due = [
                t["open"] for t in ticks if record.offset > t["reached"].get(topic, {}).get(str(record.partition), -1)
            ]
            assert dated == due[-1], (topic, record.partition, record.offset)
            seen.add(dated)
    assert len(seen) >= len(days) - 1


async def test_a_day_that_cannot_end_lets_commands_go_on(
    live: Live, toy_database: str, kafka: str, topics: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "STANDSTILL_SECONDS_MAX", 0.2)
    async with live("application") as node, clock_of(toy_database, kafka, topics, tmp_path) as clock:

        async def ask(tx: Tx) -> None:
            tx.call("pay", key="f1", reference="p", request={})

        await node.do(ask, "f1", on=DAY)
        with pytest.raises(NotQuiet, match="application: call p"):
            await clock.open_day(DAY)
        async with asyncio.timeout(5), node.parts.command():
            pass


async def test_a_lost_connection_is_waited_out(
    live: Live, toy_database: str, kafka: str, topics: str, tmp_path: Path
) -> None:
    async with live("application") as application, clock_of(toy_database, kafka, topics, tmp_path) as clock:

        async def refer(tx: Tx) -> None:
            tx.publish(referral("f1", "a"))

        await application.do(refer, "f1", on=DAY)
        resting = asyncio.create_task(clock.quiet(seconds=20))
        sessions = "SELECT pid FROM pg_stat_activity WHERE usename = 'silverbear_observer' AND datname = "

        async def looking() -> bool:
            return bool(await clock_sessions(toy_database, f"{sessions} current_database()"))

        await until(looking, "the scheduler looks")
        await clock_sessions(toy_database, f"SELECT pg_terminate_backend(pid) FROM ({sessions} current_database()) s")
        await asyncio.sleep(0.2)
        assert not resting.done()
        await application.run("DELETE FROM outbox")
        await asyncio.wait_for(resting, 15)


async def clock_sessions(database: str, statement: str) -> list[int]:
    """Ask as the administrator, who sees every session."""
    conn = await asyncpg.connect(database)
    try:
        return [row[0] for row in await conn.fetch(statement)]
    finally:
        await conn.close()


async def test_a_dump_compares_what_is_known_and_not_the_ids(live: Live) -> None:
    dumps = []
    for id_ in ("019b0000-0000-7000-8000-000000000001", "019b0000-0000-7000-8000-000000000002"):
        async with live("application") as node:
            await node.run("DELETE FROM tally")
            await node.run(f"INSERT INTO tally (facility_id, seen) VALUES ('{id_}', '[\"about {id_}\"]')")
            dumps.append(await canonical_dump(node.parts.engine, METADATA))
            named = await canonical_dump(node.parts.engine, METADATA, {id_: "facility-1"})
    assert dumps[0] == dumps[1]
    assert dumps[0]["tally"] == ['{"facility_id": "id", "seen": ["about id"]}']
    assert named["tally"] == ['{"facility_id": "facility-1", "seen": ["about facility-1"]}']
