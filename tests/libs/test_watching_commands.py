"""A command that only watches its keys and its day: what it saw counts only while none of them has changed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.kernel.errors import Refused
from libs.runtime import answers
from libs.runtime.http import CommandDoor
from libs.runtime.tables import DAY_LOCK
from libs.runtime.tx import Tx, Unit
from tests.harness.bench import Bench
from tests.harness.live import until
from tests.harness.toy import note
from tests.libs.test_watching import Sent, meddle, seen, told, versions

DAY, NEXT = date(2026, 1, 5), date(2026, 1, 6)
Make = Callable[..., Bench]


async def refer(bench: Bench, name: str = "a", facility: str = "f1", **more: Any) -> httpx.Response:
    return await bench.post(
        "/referrals", {"facility_id": facility, "name": name, "branch": "b1"}, role="officer", **more
    )


async def dates(bench: Bench) -> list[str]:
    """The business date of each event."""
    async with bench.parts.engine.connect() as conn:
        return [day for (day,) in await conn.exec_driver_sql("SELECT headers->>'ce_businessdate' FROM outbox")]


def overtaken(bench: Bench) -> float | None:
    return bench.parts.telemetry.metrics.registry.get_sample_value(
        "silverbear_retries_total", {"where": "command_locks"}
    )


def before_writing(monkeypatch: pytest.MonkeyPatch, do: Callable[[Unit], Any]) -> list[bool]:
    """Run `do` before a command is written, each time; whether it was only watching."""
    flush, tries = Unit.flush, []

    async def meddled(self: Unit, beside: tuple[str, ...] = (), values: tuple[Any, ...] = ()) -> None:
        if {answers.STORE, answers.STORE_WITHIN} & set(beside):
            tries.append(self.watching)
            await do(self)
        await flush(self, beside, values)

    monkeypatch.setattr(Unit, "flush", meddled)
    return tries


async def test_a_command_that_nobody_meddles_with_is_two_statements(
    toy_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        await refer(bench)
        sent = Sent(monkeypatch)
        assert (await refer(bench, "b")).status_code == 201
        # the second is what reads the tally, the command's own
        texts = [text.split()[0] for text in sent.texts if "pg_notify" not in text]
        monkeypatch.undo()
        assert texts == ["SELECT", "SELECT", "WITH"]
        assert await seen(bench) == {"f1": ["a", "b"]}
        assert await told(bench) == [("f1", 1), ("f1", 2)]
        assert await versions(bench) == {"f1": (2, 2)}
        assert overtaken(bench) is None


@pytest.mark.parametrize("known", [True, False])
async def test_who_changes_the_key_meanwhile_loses_nothing_and_the_command_is_done_again_under_locks(
    toy_bench: Make, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        if known:
            await refer(bench)

        async def once(unit: Unit) -> None:
            if unit.watching:
                async with bench.parts.transaction() as other:
                    await other.lock(["f1"])

        tries = before_writing(monkeypatch, once)
        answer = await refer(bench, "b")
        assert (answer.status_code, tries, overtaken(bench)) == (201, [True, False], 1)
        first = ["a"] if known else []
        assert await seen(bench) == {"f1": [*first, "b"]}
        assert await told(bench) == [("f1", number + 1) for number in range(len(first) + 1)]
        assert (await versions(bench))["f1"][1] == len(first) + 2


async def test_a_day_that_ended_meanwhile_dates_nothing(toy_bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)

        async def end(unit: Unit) -> None:
            if unit.watching:
                await bench.open(NEXT)

        tries = before_writing(monkeypatch, end)
        assert (await refer(bench)).status_code == 201
        assert tries == [True, False]
        assert await dates(bench) == [NEXT.isoformat()]
        assert await seen(bench) == {"f1": ["a"]}


async def test_while_a_day_ends_a_command_waits_and_is_dated_by_the_next(toy_bench: Make) -> None:
    async with toy_bench("application") as bench, bench.parts.engine.connect() as clock:
        await bench.open(DAY)
        await clock.exec_driver_sql(f"SELECT pg_advisory_lock({DAY_LOCK})")
        command = asyncio.create_task(refer(bench))

        async def waits() -> bool:
            return await _waiting(bench)

        await until(waits, "the command waits for the day")
        await bench.open(NEXT)
        await clock.exec_driver_sql(f"SELECT pg_advisory_unlock({DAY_LOCK})")
        assert (await command).status_code == 201
        assert await dates(bench) == [NEXT.isoformat()]


async def _waiting(bench: Bench) -> bool:
    async with bench.parts.engine.connect() as conn:
        found = await conn.exec_driver_sql(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
        )
        return bool(found.scalar())


async def _still_open(conn: AsyncConnection, statement: str, day: date) -> bool:
    return bool((await conn.exec_driver_sql(statement, (day,))).scalar())


async def test_the_proof_sees_a_day_that_ended_after_its_statement_had_begun(toy_bench: Make) -> None:
    """What a statement sees is as of its begin; the proof has to see what was there when it had the lock."""
    slow = "SELECT still_open($1) FROM (SELECT pg_sleep(0.6) OFFSET 0) s"
    async with toy_bench("application") as bench, bench.parts.engine.connect() as conn:
        await bench.open(DAY)
        assert await _still_open(conn, slow, DAY)
        await conn.rollback()
        proof = asyncio.create_task(_still_open(conn, slow, DAY))
        await asyncio.sleep(0.2)
        await bench.open(NEXT)
        assert not await proof
        await conn.rollback()
        assert await _still_open(conn, "SELECT still_open($1)", NEXT)


async def test_the_proof_fails_while_a_day_ends_and_waits_for_nobody(toy_bench: Make) -> None:
    async with toy_bench("application") as bench, bench.parts.engine.connect() as clock:
        await bench.open(DAY)
        await clock.exec_driver_sql(f"SELECT pg_advisory_lock({DAY_LOCK})")
        async with bench.parts.engine.connect() as conn:
            assert not await asyncio.wait_for(_still_open(conn, "SELECT still_open($1)", DAY), 1)
        await clock.exec_driver_sql(f"SELECT pg_advisory_unlock({DAY_LOCK})")


async def test_a_twin_at_the_very_same_time_gets_the_first_answer(
    toy_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        both = asyncio.Barrier(2)

        async def together(unit: Unit) -> None:
            if unit.watching:
                await both.wait()

        tries = before_writing(monkeypatch, together)
        one, two = await asyncio.gather(refer(bench, key="k"), refer(bench, key="k"))
        assert one.json() == two.json()
        assert sorted(answer.headers.get("idempotency-replayed", "") for answer in (one, two)) == ["", "true"]
        assert tries == [True, True], "who comes second finds the answer, and acts no more"
        assert await seen(bench) == {"f1": ["a"]}
        assert await told(bench) == [("f1", 1)]


async def test_an_error_counts_only_under_locks(toy_bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read without them need not fit together."""
    tries: list[bool] = []
    execute = CommandDoor.execute

    async def torn(self: CommandDoor, command: Any, **more: Any) -> Any:
        async def judged(tx: Tx) -> Any:
            tries.append(tx.unit.watching)
            if tx.unit.watching:
                raise Refused("torn")
            return await command(tx)

        return await execute(self, judged, **more)

    monkeypatch.setattr(CommandDoor, "execute", torn)
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        assert (await refer(bench)).status_code == 201
        assert tries == [True, False]
        assert overtaken(bench) is None, "nobody was quicker"
        refused = [await refer(bench, "refused", key="k") for _ in range(2)]
        assert [answer.status_code for answer in refused] == [409, 409]
        assert refused[1].headers["idempotency-replayed"] == "true"
        assert await seen(bench) == {"f1": ["a"]}


async def test_what_fails_for_no_reason_that_is_known_is_counted(
    toy_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the watching itself would else go unseen: all would be done under locks."""

    async def broken(unit: Unit) -> None:
        if unit.watching:
            raise LookupError("broken")

    before_writing(monkeypatch, broken)
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        assert (await refer(bench)).status_code == 201
        value = bench.parts.telemetry.metrics.registry.get_sample_value
        assert value("silverbear_retries_total", {"where": "doubt"}) == 1
        assert overtaken(bench) is None


async def test_a_command_that_asks_the_database_something_of_its_own_is_done_under_locks(
    toy_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[tuple[bool, bool]] = []
    execute = CommandDoor.execute

    async def asking(self: CommandDoor, command: Any, **more: Any) -> Any:
        async def asks(tx: Tx) -> Any:
            await note(tx, "f1", "first")
            states.append((tx.unit.watching, tx.unit.driver.is_in_transaction()))
            await tx.sql("SELECT 1")
            return await command(tx)

        return await execute(self, asks, **more)

    monkeypatch.setattr(CommandDoor, "execute", asking)
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        assert (await refer(bench)).status_code == 201
        assert states == [(True, False), (False, True)]
        assert await seen(bench) == {"f1": ["first", "a"]}
        assert await versions(bench) == {"f1": (1, 1)}


async def test_a_service_with_a_journal_takes_its_locks_first(toy_bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        bench.parts.journal = "SELECT $1::text"

        async def nothing(_: Unit) -> None:
            return None

        tries = before_writing(monkeypatch, nothing)
        assert (await refer(bench)).status_code == 201
        assert tries == [False]


async def test_commands_and_others_on_the_same_keys_at_once_lose_double_and_misplace_nothing(toy_bench: Make) -> None:
    keys, rounds = ("f1", "f2"), 15
    async with toy_bench("application") as bench:
        await bench.open(DAY)

        async def commands(key: str, who: str) -> None:
            for number in range(rounds):
                assert (await refer(bench, f"{who}.{number}", key)).status_code == 201

        async def others(key: str) -> None:
            for number in range(rounds):
                await meddle(bench, key, f"o.{number}", topic="application")

        work = [commands(key, who) for key in keys for who in ("p", "q")] + [others(key) for key in keys]
        await asyncio.gather(*work)
        found, sent = await seen(bench), await told(bench)
        for key in keys:
            for who in ("p", "q", "o"):  # each in its own order, and once
                assert [w for w in found[key] if w.startswith(f"{who}.")] == [f"{who}.{n}" for n in range(rounds)]
            assert [seq for of, seq in sent if of == key] == list(range(1, 3 * rounds + 1))
        assert Counter(key for key, _ in sent) == dict.fromkeys(keys, 3 * rounds)
        assert overtaken(bench), "nobody met anybody"
