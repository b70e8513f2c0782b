"""What an event costs does not hang on how much is stored: its statements look up what they need and read no more.

The statements run as the runtime sends them, under generic plans, which know neither how many keys are asked for nor
how few publishers there are. What is counted is what the running transaction has read so far.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import asyncpg
import pytest

from libs.runtime import answers, inbound
from libs.runtime.database import borrowed
from libs.runtime.inbound import Intake
from libs.runtime.relay import Relay
from libs.runtime.sender import Outcome
from libs.runtime.tx import Unit
from tests.harness.bench import Bench
from tests.harness.live import until
from tests.harness.toy import referral

Make = Callable[..., Bench]
DAY = date(2026, 1, 5)
PUBLISHERS, BLOCKED = 3, 100
_FILL_SQL = (
    "INSERT INTO stream (key) SELECT 'f' || n FROM generate_series(1, $1::int) n",
    "INSERT INTO tally SELECT 'f' || n, '[]' FROM generate_series(1, $1::int) n",
    "INSERT INTO inbox SELECT 'e' || n, 'referral.received.v1' FROM generate_series(1, $1::int) n",
    "INSERT INTO cursor SELECT '/silverbear/other' || p, 'f' || n, 1"
    f" FROM generate_series(1, $1::int) n, generate_series(1, {PUBLISHERS}) p",
    "INSERT INTO parked (key, status, topic, event_id, headers, payload, reason)"
    f" SELECT 'blocked' || n % {BLOCKED}, 'waiting', 'application', 'held' || n, '{{}}', repeat('x', 500), ''"
    " FROM generate_series(1, 30 * $1::int / 100) n",
)
# Of an index the entries found are counted, of a table the rows that a scan of all of it went through.
_READ_SQL = """
SELECT sum(pg_stat_get_xact_blocks_fetched(oid))::bigint AS pages,
       sum(pg_stat_get_xact_tuples_returned(oid))::bigint AS rows
FROM pg_class WHERE relnamespace = current_schema()::regnamespace
"""


@dataclass(frozen=True, slots=True)
class Read:
    """How many pages and rows."""

    pages: int
    rows: int

    @classmethod
    async def by(cls, driver: Any) -> Read:
        """By this connection's transaction, so far, in the service's schema."""
        return cls(**await driver.fetchrow(_READ_SQL))

    def __sub__(self, other: Read) -> Read:
        return Read(self.pages - other.pages, self.rows - other.rows)


async def fill(unit: Unit, stored: int) -> None:
    """Store so many facilities, heard of from three publishers, and a hundred more that are blocked."""
    for statement in _FILL_SQL:
        await unit.sql(statement, stored)
    await unit.sql("ANALYZE stream, tally, inbox, cursor, parked")


def some(keys: int) -> list[str]:
    """Facilities from all over the tables."""
    return [f"f{29 * number + 1}" for number in range(keys)]


@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.parametrize("keys", [1, 100])
async def test_taking_a_batch_reads_nothing_of_facilities_that_it_is_not_about(
    toy_bench: Make, keys: int, lock: bool
) -> None:
    async with toy_bench("rating") as bench, bench.parts.transaction() as unit:
        await fill(unit, 10_000)
        batch = [bench.arrival(referral(key, "x"), key, DAY) for key in some(keys)]
        before = await Read.by(unit.driver)
        intake = Intake(bench.parts, unit)
        await intake.open(batch, lock=lock)
        for arrival in batch:
            await intake.take(arrival, {})
        await intake.close()
        read = await Read.by(unit.driver) - before
        assert len(intake.marks.inbox) == keys
        assert len(intake._cursor) == (PUBLISHERS + 1) * keys
        assert read.rows < 20 + 10 * keys
        assert read.pages < 100 + 100 * keys


@pytest.mark.parametrize("keys", [1, 100])
async def test_events_that_nobody_handles_here_pass_by_reading_their_own_cursors_alone(
    toy_bench: Make, keys: int
) -> None:
    async with toy_bench("rating") as bench, bench.parts.transaction() as unit:
        await fill(unit, 3_000)
        place = [{"topic": "application", "part": 0, "offset": 1}]

        async def passed(first: int, *names: str) -> Any:
            told = [{"publisher": "/silverbear/other1", "key": name, "first": first, "last": first} for name in names]
            return (await unit.sql(inbound._PASSING_SQL, json.dumps(told), json.dumps(place)))[0]["passed"]

        before = await Read.by(unit.driver)
        assert await passed(2, *some(keys))
        read = await Read.by(unit.driver) - before
        assert read.rows < 10 + 3 * keys
        assert read.pages < 60 + 40 * keys
        assert not await passed(2, *some(keys))  # a second time is out of turn
        assert not await passed(1, "new", "blocked7")
        assert await passed(1, "new", "a new one")


async def passed_on(bench: Bench, rows: int) -> None:
    """Let so many events have gone through the outbox; one more waits."""
    async with borrowed(bench.parts.engine) as driver:
        await driver.execute(
            "INSERT INTO outbox (key, topic, event_id, headers, payload)"
            " SELECT 'f' || n, 'application', n::text, '{}', repeat('x', 500) FROM generate_series(1, $1::int) n",
            rows + 1,
        )
        await driver.execute("DELETE FROM outbox WHERE event_id <> $1", str(rows + 1))


async def without_vacuum(bench: Bench) -> None:
    """No vacuum comes before the test is over."""
    async with borrowed(bench.parts.engine) as driver:
        await driver.execute("ALTER TABLE outbox SET (autovacuum_enabled = off)")


async def test_a_command_that_knows_of_room_reads_nothing_of_what_has_passed_the_outbox(toy_bench: Make) -> None:
    async with toy_bench("application") as bench, bench.parts.transaction() as unit:
        await without_vacuum(bench)
        await passed_on(bench, 10_000)

        async def read(looks: bool) -> Read:
            before = await Read.by(unit.driver)
            (row,) = await unit.sql(answers.ENTER, "somebody", f"key {looks}", ["f1"], looks, "")
            assert row["waiting"] == (1 if looks else None)
            return await Read.by(unit.driver) - before

        assert (await read(False)).pages < 50
        assert (await read(True)).pages > 50


async def test_the_relay_reads_what_has_passed_no_more_once_no_older_transaction_is_open(
    toy_bench: Make, server: str
) -> None:
    """One open anywhere on the server, autovacuum's own too, keeps dead rows from being remembered as dead."""
    async with (
        toy_bench("application") as bench,
        borrowed(bench.parts.engine) as driver,
        asyncpg.create_pool(server, min_size=1) as pool,
        pool.acquire() as elsewhere,
    ):
        await without_vacuum(bench)
        await driver.execute("VACUUM ANALYZE outbox")
        relay = Relay(bench.parts)
        await relay._lead(driver)
        assert await relay._turn(driver, Outcome()) == []  # planned now, for a table that is empty

        async def reads_only_what_waits() -> bool:
            async with driver.transaction():
                before = await Read.by(driver)
                (row,) = await relay._turn(driver, Outcome())
                assert row["key"] == "f10001"
                read = await Read.by(driver) - before
            return read.rows < 10 and read.pages < 50

        async with elsewhere.transaction():
            await elsewhere.execute("SELECT pg_current_xact_id()")
            await passed_on(bench, 10_000)
            assert not await reads_only_what_waits()
            assert not await reads_only_what_waits()
        await until(reads_only_what_waits, "the dead rows are left out")
