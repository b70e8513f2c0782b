"""A reader that only watches its keys: nothing that it saw counts when somebody else changed one of them meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # ships no types
import pytest

from libs.kernel.errors import Refused
from libs.runtime.inbound import Arrival, Intake, pass_by
from libs.runtime.tx import Cause, Tx, Unit
from tests.harness.bench import Bench
from tests.harness.toy import TALLY, note, referral

DAY = date(2026, 1, 5)
Make = Callable[..., Bench]


async def seen(bench: Bench) -> dict[str, list[str]]:
    """What took effect per facility, in order."""
    rows = [json.loads(line) for line in (await bench.dump())["tally"]]
    return {row["facility_id"]: row["seen"] for row in rows}


async def told(bench: Bench) -> list[tuple[str, int]]:
    """The outbox: key and sequence of each event."""
    async with bench.parts.engine.connect() as conn:
        rows = await conn.exec_driver_sql("SELECT key, (headers->>'ce_sequence')::int FROM outbox ORDER BY id")
        return [(key, seq) for key, seq in rows]


async def versions(bench: Bench) -> dict[str, tuple[int, int]]:
    """Sequence and version of each key."""
    async with bench.parts.engine.connect() as conn:
        rows = await conn.exec_driver_sql("SELECT key, seq, version FROM stream")
        return {key: (seq, version) for key, seq, version in rows}


async def meddle(bench: Bench, key: str, word: str, *, topic: str = "rating") -> None:
    """A command of somebody else on the key, under its lock: one more word, and an event."""
    async with bench.parts.transaction() as unit:
        await unit.lock([key])
        tx = Tx(unit, Cause(actor="other"), DAY)
        await note(tx, key, word)
        unit.add_event(key, topic, f"other/{key}/{word}", {"ce_type": "information.verified.v1"}, "{}")
        await unit.flush()


def before_writing(monkeypatch: pytest.MonkeyPatch, do: Callable[[Intake], Any]) -> list[bool]:
    """Run `do` before a batch is written, each time; whether it was only watching."""
    close, tries = Intake.close, []

    async def meddled(self: Intake) -> None:
        tries.append(self.unit.watching)
        await do(self)
        await close(self)

    monkeypatch.setattr(Intake, "close", meddled)
    return tries


class Sent:
    """The statements that a process sends to PostgreSQL."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.texts: list[str] = []
        for name in ("execute", "fetch"):
            monkeypatch.setattr(asyncpg.Connection, name, self._noting(getattr(asyncpg.Connection, name)))

    def _noting(self, send: Any) -> Any:
        async def noting(conn: Any, text: str, *values: Any, **named: Any) -> Any:
            self.texts.append(text)
            return await send(conn, text, *values, **named)

        return noting


async def test_a_batch_that_nobody_meddles_with_is_two_statements_and_no_lock_in_between(
    toy_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with toy_bench("rating") as bench:
        await bench.react(referral("f1", "a"), on=DAY)
        before = await versions(bench)
        sent = Sent(monkeypatch)
        await bench.react(referral("f1", "b"), referral("f2", "x"), on=DAY)
        # the second is what reads the tally, a handler's own
        assert [text.split()[0] for text in sent.texts if "pg_notify" not in text] == ["WITH", "SELECT", "WITH"]
        monkeypatch.undo()
        assert await seen(bench) == {"f1": ["a", "b"], "f2": ["x"]}
        assert before == {"f1": (1, 1)}
        assert await versions(bench) == {"f1": (2, 2), "f2": (1, 1)}
        assert await told(bench) == [("f1", 1), ("f1", 2), ("f2", 1)]


@pytest.mark.parametrize("known", [True, False])
async def test_who_meddles_meanwhile_loses_nothing_and_the_batch_is_done_again_under_locks(
    toy_bench: Make, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    async with toy_bench("rating") as bench:
        if known:
            await bench.react(referral("f1", "a"), on=DAY)

        async def once(intake: Intake) -> None:
            if intake.unit.watching:
                await meddle(bench, "f1", "other")

        tries = before_writing(monkeypatch, once)
        await bench.react(referral("f1", "b"), referral("f2", "x"), on=DAY)
        assert tries == [True, False]
        first = ["a"] if known else []
        assert await seen(bench) == {"f1": [*first, "other", "b"], "f2": ["x"]}
        last = len(first) + 2
        assert await told(bench) == [("f1", seq) for seq in range(1, last + 1)] + [("f2", 1)]
        assert await versions(bench) == {"f1": (last, last), "f2": (1, 1)}
        assert await bench.parked() == []


async def test_who_holds_a_key_is_waited_for_and_counts(toy_bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    async with toy_bench("rating") as bench:
        await bench.react(referral("f1", "a"), on=DAY)
        holding, held = asyncio.Event(), []

        async def hold() -> None:
            async with bench.parts.transaction() as unit:
                await unit.lock(["f1"])
                holding.set()
                await asyncio.sleep(0.3)  # the batch's one statement waits here
                await note(Tx(unit, Cause(actor="other"), DAY), "f1", "other")
                await unit.flush()

        async def begin(intake: Intake) -> None:
            if intake.unit.watching:
                held.append(asyncio.create_task(hold()))
                await holding.wait()

        tries = before_writing(monkeypatch, begin)
        await bench.react(referral("f1", "b"), on=DAY)
        await held[0]
        assert tries == [True, False]
        assert await seen(bench) == {"f1": ["a", "other", "b"]}


async def test_the_same_event_taken_by_two_at_once_takes_effect_once(
    toy_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with toy_bench("rating") as bench:
        arrivals = [bench.arrival(referral(key, "a"), key, DAY) for key in ("f1", "f2", "f3")]
        both = asyncio.Barrier(2)

        async def together(intake: Intake) -> None:
            if intake.unit.watching:
                await both.wait()

        tries = before_writing(monkeypatch, together)
        await asyncio.gather(bench.deliver(*arrivals), bench.deliver(*reversed(arrivals)))
        assert sorted(tries) == [False, True, True]
        assert await seen(bench) == {"f1": ["a"], "f2": ["a"], "f3": ["a"]}
        assert sorted(await told(bench)) == [("f1", 1), ("f2", 1), ("f3", 1)]
        assert await bench.parked() == []


async def torn(tx: Tx) -> None:
    """What was read does not fit together."""
    raise Refused("torn")


async def late(tx: Tx) -> None:
    """A statement of the handler's own finds that it was overtaken."""
    await tx.sql("SELECT 1")


async def torn_under_locks(tx: Tx) -> None:
    """The same, once it has its locks."""
    await tx.sql("SELECT 1")
    raise Refused("torn")


@pytest.mark.parametrize(
    ("fails", "meddled", "overtaken"), [(torn, False, None), (late, True, 1), (torn_under_locks, False, None)]
)
async def test_what_fails_in_a_batch_that_only_watched_is_not_parked_and_not_counted_as_failed(
    toy_bench: Make, fails: Callable[[Tx], Any], meddled: bool, overtaken: int | None
) -> None:
    async with toy_bench("rating") as bench:
        reaction = bench.parts.reactions["referral.received.v1"]

        async def torn(tx: Tx, body: Any, meta: Any) -> None:
            if tx.unit.watching:
                if meddled:
                    await meddle(bench, "f1", "other")
                await fails(tx)
            await reaction(tx, body, meta)

        bench.parts.reactions = {**bench.parts.reactions, "referral.received.v1": torn}
        await bench.react(referral("f1", "a"), on=DAY)
        assert await seen(bench) == {"f1": ["other", "a"] if meddled else ["a"]}
        assert await bench.parked() == []
        value = bench.parts.telemetry.metrics.registry.get_sample_value
        labels = {"type": "referral.received.v1"}
        assert value("silverbear_reaction_seconds_count", {**labels, "outcome": "applied"}) == 1
        assert value("silverbear_reaction_seconds_count", {**labels, "outcome": "failed"}) is None
        assert value("silverbear_reaction_seconds_count", {**labels, "outcome": "retried"}) == 1
        assert value("silverbear_retries_total", {"where": "locks"}) == overtaken


async def test_a_frozen_owner_moves_no_cursor_back_when_it_wakes(
    toy_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with toy_bench("rating") as bench:
        passing = [bench.arrival(referral("f1", "x"), "f1", DAY) for _ in range(4)]
        passing = [replace(a, meta=replace(a.meta, type="something.else.v9")) for a in passing if a.meta]

        async def by_its_successor(intake: Intake) -> None:
            assert await pass_by(bench.parts, passing[:3])

        tries = before_writing(monkeypatch, by_its_successor)
        await bench.deliver(passing[0], bench.arrival(referral("f2", "a"), "f2", DAY))
        assert tries == [True]
        assert await seen(bench) == {"f2": ["a"]}
        await bench.deliver(passing[3])
        assert await bench.parked() == []


async def test_a_statement_of_the_handlers_own_runs_under_the_locks(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        reaction = bench.parts.reactions["referral.received.v1"]
        states: list[tuple[bool, bool]] = []

        async def own(tx: Tx, body: Any, meta: Any) -> None:
            began = tx.unit.driver.is_in_transaction()
            await tx.sql("SELECT 1")
            states.append((began, tx.unit.driver.is_in_transaction()))
            await reaction(tx, body, meta)
            if body.external_ref == "bad" and len(states) < 3:
                raise Refused("toy", "after it had begun")

        bench.parts.reactions = {**bench.parts.reactions, "referral.received.v1": own}
        await bench.react(referral("f1", "a"), on=DAY)
        assert states == [(False, True)]
        assert await versions(bench) == {"f1": (1, 1)}
        await bench.react(referral("f1", "bad"), on=DAY)
        assert await seen(bench) == {"f1": ["a", "bad"]}
        assert await versions(bench) == {"f1": (2, 2)}


async def watch(bench: Bench, unit: Unit) -> Tx:
    """Let a unit watch f1 as it is now."""
    (row,) = [(key, seq, version, "b1") for key, (seq, version) in (await versions(bench)).items()]
    unit.watch([row])
    return Tx(unit, Cause(actor="somebody"), DAY)


@pytest.mark.parametrize("end", [Unit.hold, Unit.flush])
async def test_to_hold_or_to_write_what_has_changed_fails(toy_bench: Make, end: Callable[[Unit], Any]) -> None:
    async def overtaken() -> None:
        async with bench.parts.optimistic() as unit:
            await note(await watch(bench, unit), "f1", "mine")
            await meddle(bench, "f1", "other")
            await end(unit)

    async with toy_bench("rating") as bench:
        await bench.react(referral("f1", "a"), on=DAY)
        with pytest.raises(asyncpg.NotNullViolationError):
            await overtaken()
        assert await seen(bench) == {"f1": ["a", "other"]}


async def test_after_its_one_statement_a_unit_takes_nothing_more(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        await bench.react(referral("f1", "a"), on=DAY)
        async with bench.parts.optimistic() as unit:
            tx = await watch(bench, unit)
            await note(tx, "f1", "b")
            await unit.flush()
            assert (await tx.get(TALLY, "f1")).seen == ("a", "b")
            with pytest.raises(RuntimeError, match="committed"):
                await tx.sql("SELECT 1")
            with pytest.raises(RuntimeError, match="committed"):
                await unit.flush()
        assert await seen(bench) == {"f1": ["a", "b"]}


async def test_readers_and_commands_on_the_same_keys_at_once_lose_double_and_misplace_nothing(toy_bench: Make) -> None:
    keys, publishers, rounds = ("f1", "f2", "f3"), ("p1", "p2", "p3"), 12
    async with toy_bench("rating") as bench:

        def told_by(publisher: str, number: int) -> list[Arrival]:
            arrivals = [
                bench.arrival(referral(key, f"{publisher}.{number}"), key, DAY, sequence=number) for key in keys
            ]
            return [replace(a, meta=replace(a.meta, source=publisher)) for a in arrivals if a.meta]

        async def reads(publisher: str) -> None:
            for number in range(1, rounds + 1):
                await bench.deliver(*told_by(publisher, number))

        async def commands(key: str) -> None:
            for number in range(1, rounds + 1):
                await meddle(bench, key, f"c.{number}")

        await asyncio.gather(*map(reads, publishers), *map(commands, keys))
        found, sent = await seen(bench), await told(bench)
        for key in keys:
            for who in (*publishers, "c"):  # each in its own order, and once
                assert [word for word in found[key] if word.startswith(f"{who}.")] == [
                    f"{who}.{number}" for number in range(1, rounds + 1)
                ]
            assert [seq for of, seq in sent if of == key] == list(range(1, 4 * rounds + 1))
        overtaken = bench.parts.telemetry.metrics.registry.get_sample_value(
            "silverbear_retries_total", {"where": "locks"}
        )
        assert overtaken, "nobody met anybody"
        assert await bench.parked() == []
