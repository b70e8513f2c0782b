"""What becomes of an event that is early, late, doubled, unreadable or poison."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from libs.runtime import inbound, parking
from libs.runtime.daybreak import Daybreak
from libs.runtime.inbound import Arrival
from libs.runtime.tx import Unit
from tests.harness.bench import Bench
from tests.harness.toy import MENDED, referral

DAY = date(2026, 1, 5)
Make = Callable[..., Bench]


def story(bench: Bench, *names: str, key: str = "f1") -> list[Arrival]:
    """Referrals of one facility in sequence."""
    return [bench.arrival(referral(key, name), key, DAY) for name in names]


async def effects(bench: Bench) -> dict[str, list[str]]:
    """What took effect per facility, in order."""
    rows = [json.loads(line) for line in (await bench.dump())["tally"]]
    return {row["facility_id"]: row["seen"] for row in rows}


async def redrive(bench: Bench, key: str = "f1") -> int:
    """Redrive a key; returns how many rows were applied."""
    answer = await bench.post(f"/v1/ops/parked/{key}/redrive", None, role="operator")
    assert answer.status_code == 200, answer.text
    return int(answer.json()["applied"])


async def test_an_event_delivered_twice_takes_effect_once_in_one_batch_or_in_two(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        a, b = story(bench, "a", "b")
        await bench.deliver(a, a, b)
        await bench.deliver(b, a)
        assert await effects(bench) == {"f1": ["a", "b"]}
        assert await bench.parked() == []


async def test_a_gap_waits_and_drains_when_the_missing_event_arrives(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        a, b, c, d = story(bench, "a", "b", "c", "d")
        await bench.deliver(a, c, c, *story(bench, "x", key="f2"))
        await bench.deliver(d, c)
        assert await effects(bench) == {"f1": ["a"], "f2": ["x"]}
        assert await bench.parked() == ["gap: 3 after 1", "gap: 4 after 1"]
        assert await redrive(bench) == 0
        await bench.deliver(b)
        assert await effects(bench) == {"f1": ["a", "b", "c", "d"], "f2": ["x"]}
        assert await bench.parked() == []
        await bench.deliver(d, b, *story(bench, "e"))
        assert (await effects(bench))["f1"] == ["a", "b", "c", "d", "e"]
        assert await bench.parked() == []


async def test_a_gap_that_closes_inside_one_batch_leaves_nothing_behind(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        a, b, c, d = story(bench, "a", "b", "c", "d")
        await bench.deliver(b, c, a, d, b)
        assert await effects(bench) == {"f1": ["a", "b", "c", "d"]}
        assert await bench.parked() == []


async def test_an_unseen_event_with_an_old_sequence_parks_as_a_violation(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        await bench.deliver(*story(bench, "a", "b"))
        await bench.deliver(bench.arrival(referral("f1", "forged"), "f1", DAY, sequence=1))
        await bench.deliver(*story(bench, "c"))
        assert await effects(bench) == {"f1": ["a", "b"]}
        assert await bench.parked() == ["order_violation: 1 after 2", "behind a parked event"]
        assert await redrive(bench) == 2  # the operator's decision: it is applied, and the count never goes back
        await bench.deliver(*story(bench, "d"))
        assert await effects(bench) == {"f1": ["a", "b", "forged", "c", "d"]}


async def test_an_event_behind_a_gap_that_fails_is_named_and_not_the_one_that_freed_it(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        a, poison, c = story(bench, "a", "poison", "c")
        await bench.deliver(poison, c)
        await bench.deliver(a)
        assert await effects(bench) == {"f1": ["a"]}
        rows = (await bench.get("/v1/ops/parked/f1")).json()["items"]
        assert [(row["event_id"], row["status"]) for row in rows] == [
            (poison.event_id, "parked"),
            (c.event_id, "waiting"),
        ]
        assert rows[0]["reason"] == "toy_poison: poison"
        MENDED.set()
        assert await redrive(bench) == 2
        assert await effects(bench) == {"f1": ["a", "poison", "c"]}


async def test_a_culprit_that_came_after_a_gap_can_be_redriven(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        poison, b, c = story(bench, "poison", "b", "c")
        await bench.deliver(c)
        await bench.deliver(poison)
        await bench.deliver(b)
        assert await bench.parked() == ["gap: 3 after 0", "toy_poison: poison", "behind a parked event"]
        MENDED.set()
        assert await redrive(bench) == 3
        assert await effects(bench) == {"f1": ["poison", "b", "c"]}


async def test_a_redrive_that_fails_half_way_blocks_the_key_at_the_new_culprit(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        first, second, c, d = story(bench, "poison", "poison too", "c", "d")
        await bench.deliver(first, second, c)
        await bench.post(f"/v1/ops/discarded/{first.event_id}", {"reason": "test"}, role="operator")
        failing = await bench.post("/v1/ops/parked/f1/redrive", None, role="operator")
        assert (failing.status_code, failing.json()["code"]) == (409, "toy_poison")
        await bench.deliver(first, d)  # what was discarded does not come back
        assert await effects(bench) == {}
        assert await bench.parked() == ["toy_poison: poison too"] + ["behind a parked event"] * 2
        MENDED.set()
        assert await redrive(bench) == 3
        assert await effects(bench) == {"f1": ["poison too", "c", "d"]}


async def test_what_cannot_be_read_and_was_discarded_stays_discarded_when_it_is_read_again(toy_bench: Make) -> None:
    """A process that was frozen or cut off wakes up with it in hand after another has parked it."""
    async with toy_bench("rating") as bench:
        (event,) = story(bench, "a")
        broken = replace(event, meta=None, headers={})
        tick = replace(broken, topic="clock", part=0, offset=7)
        for _ in range(2):
            await bench.deliver(broken)
            await Daybreak(bench.parts).open(tick)
        assert await bench.parked() == ["undecodable", "not a tick"]
        for event_id in (broken.event_id, "undecodable:clock:7"):
            path = f"/v1/ops/discarded/{event_id}"
            assert (await bench.post(path, {"reason": "nobody can read it"}, role="operator")).status_code == 200
        await bench.deliver(broken)
        await Daybreak(bench.parts).open(tick)
        assert await bench.parked() == []


async def test_a_redrive_reads_each_row_a_few_times_and_not_all_rows_at_each_step(
    toy_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with toy_bench("rating") as bench:
        await bench.deliver(*story(bench, "poison", *map(str, range(150))))
        MENDED.set()
        sql, read = Unit.sql, 0

        async def counting(unit: Unit, statement: str, *values: object) -> list[dict[str, object]]:
            nonlocal read
            rows = await sql(unit, statement, *values)
            read += len(rows) if "FROM parked" in statement else 0
            return rows

        monkeypatch.setattr(Unit, "sql", counting)
        assert await redrive(bench) == 151
        assert read <= 151 * (parking.PAGE_ROWS + 1)
        assert (await effects(bench))["f1"] == ["poison", *map(str, range(150))]


async def test_a_redrive_finds_the_next_one_behind_a_page_of_early_ones(
    toy_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "PAGE_ROWS", 2)
    async with toy_bench("rating") as bench:
        poison, *rest = story(bench, "poison", *map(str, range(6)))
        await bench.deliver(*reversed(rest))
        await bench.deliver(poison)
        MENDED.set()
        assert await redrive(bench) == 7
        assert (await effects(bench))["f1"] == ["poison", *map(str, range(6))]


async def test_a_redrive_stops_in_time_and_goes_on_when_asked_again(
    toy_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with toy_bench("rating") as bench:
        await bench.deliver(*story(bench, "poison", "b"))
        MENDED.set()
        monkeypatch.setattr(parking, "REDRIVE_SECONDS_MAX", 0)
        assert await redrive(bench) == 0
        monkeypatch.setattr(parking, "REDRIVE_SECONDS_MAX", 10)
        assert await redrive(bench) == 2


async def test_many_that_waited_for_one_are_applied_in_transactions_of_bounded_size(
    toy_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "DRAIN_ROWS_MAX", 5)
    async with toy_bench("rating") as bench:
        first, *rest = story(bench, *map(str, range(18)))
        await bench.deliver(*rest)
        await bench.deliver(first)
        assert (await effects(bench))["f1"] == list(map(str, range(18)))
        assert await bench.parked() == []
        async with bench.parts.engine.connect() as conn:
            found = await conn.exec_driver_sql("SELECT count(DISTINCT xmin::text) FROM inbox")
            assert (found.scalar() or 0) > 2
        await bench.deliver(*story(bench, "last"))
        assert (await effects(bench))["f1"][-1] == "last"


async def test_a_discard_that_comes_after_a_redrive_says_so(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        await bench.deliver(*story(bench, "poison"))
        (row,) = (await bench.get("/v1/ops/parked/f1")).json()["items"]
        async with bench.parts.transaction() as unit:
            await unit.lock(["f1"])
            discarding = asyncio.create_task(
                bench.post(f"/v1/ops/discarded/{row['event_id']}", {"reason": "test data"}, role="operator")
            )
            await asyncio.sleep(0.3)  # it waits for the key, which a redrive holds
            await unit.sql("DELETE FROM parked")
        answer = await discarding
        assert (answer.status_code, answer.json()["code"]) == (404, "not_parked")


async def test_a_body_that_does_not_fit_its_type_parks_its_key(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        (bad,) = story(bench, "a")
        await bench.deliver(replace(bad, payload='{"facility_id": 7}'), *story(bench, "x", key="f2"))
        assert await effects(bench) == {"f2": ["x"]}
        (reason,) = await bench.parked()
        assert reason.startswith("ValidationError")


async def test_text_that_postgresql_cannot_hold_parks_and_blocks_nobody_else(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        await bench.deliver(*story(bench, "nul \x00"), *story(bench, "x", key="f2"))
        assert await effects(bench) == {"f2": ["x"]}
        assert len(await bench.parked()) == 1


async def test_an_event_of_a_type_nobody_handles_here_counts_but_has_no_effect(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        a, unknown, c, late = story(bench, "a", "b", "c", "d")
        headers = {**unknown.headers, "ce_type": "something.else.v9"}
        assert unknown.meta is not None
        unknown = replace(unknown, headers=headers, meta=replace(unknown.meta, type="something.else.v9"))
        await bench.deliver(a, unknown, c)
        await bench.deliver(unknown)
        assert await effects(bench) == {"f1": ["a", "c"]}
        await bench.deliver(*story(bench, "poison"))  # sequence 5 before 4: waits
        await bench.deliver(unknown)
        assert await bench.parked() == ["gap: 5 after 3"]
        MENDED.set()
        await bench.deliver(late)
        assert await effects(bench) == {"f1": ["a", "c", "d", "poison"]}


async def test_a_value_that_the_driver_cannot_send_parks_and_is_not_tried_for_ever(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        await bench.deliver(*story(bench, "huge"), *story(bench, "x", key="f2"))
        assert await effects(bench) == {"f2": ["x"]}
        (reason,) = await bench.parked()
        assert reason.startswith("DataError")


async def test_a_table_changed_by_a_migration_under_a_running_service_parks_nothing(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        for n in range(8):  # enough to have the statement prepared
            await bench.deliver(*story(bench, str(n)))
        async with bench.parts.engine.begin() as conn:
            await conn.exec_driver_sql("ALTER TABLE tally ALTER COLUMN facility_id TYPE varchar(99)")
            await conn.exec_driver_sql("ALTER TABLE parked ALTER COLUMN topic TYPE varchar(99)")
        await bench.deliver(*story(bench, "8"))
        assert await effects(bench) == {"f1": [str(n) for n in range(9)]}
        assert await bench.parked() == []
