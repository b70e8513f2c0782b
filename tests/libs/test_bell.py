"""Who waits for committed rows hears of them: at once in the process that committed, soon in every other one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from libs.runtime.bell import Bell
from libs.runtime.database import open_engine
from tests.harness.bench import Bench

Make = Callable[..., Bench]
RINGS = 500


class Rolled(Exception):
    """Rolls a transaction back."""


async def ring(bench: Bench, channel: str, *, fail: bool = False) -> None:
    """A transaction that committed something for the listeners of `channel`, or did not."""
    async with bench.parts.transaction() as unit:
        unit.rings.add(channel)
        if fail:
            raise Rolled


async def test_a_commit_is_heard_near_and_far_and_a_rollback_nowhere(toy_bench: Make) -> None:
    near, far, elsewhere = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with toy_bench("application") as bench:
        engine = open_engine(bench.settings.database_url, schema="application", pool_size=1)
        try:
            bell = bench.parts.bell
            async with bell.heard("outbox", near), bell.heard("calls", elsewhere), Bell(engine).heard("outbox", far):
                with pytest.raises(Rolled):
                    await ring(bench, "outbox", fail=True)
                await bench.parts.bell.close()
                assert not near.is_set()
                assert not far.is_set()
                await ring(bench, "outbox")
                assert near.is_set()
                await asyncio.wait_for(far.wait(), 10)
                assert not elsewhere.is_set()
        finally:
            await engine.dispose()


async def test_rings_that_come_together_are_one_notify(toy_bench: Make) -> None:
    heard: list[str] = []
    async with toy_bench("application") as bench, bench.parts.bell.heard("outbox", asyncio.Event()) as driver:
        await driver.add_listener("application.outbox", lambda *_: heard.append("outbox"))
        for _ in range(RINGS):
            bench.parts.bell.ring(["outbox"])
        await bench.parts.bell.close()
        await driver.fetchval("SELECT 1")
        assert heard == ["outbox"]


async def test_what_its_own_leader_waits_for_is_told_to_no_other_process(toy_bench: Make) -> None:
    near, far = asyncio.Event(), asyncio.Event()
    async with toy_bench("application") as bench:
        engine = open_engine(bench.settings.database_url, schema="application", pool_size=2)
        bell, other = bench.parts.bell, Bell(engine)
        try:
            async with bell.heard("outbox", near), other.heard("outbox", far) as driver:
                with bell.leading("outbox"):
                    await ring(bench, "outbox")
                    await bell.close()
                    await driver.fetchval("SELECT 1")
                    assert near.is_set()
                    assert not far.is_set()
                near.clear()
                other.ring(["outbox"])
                await asyncio.wait_for(near.wait(), 10)
                await ring(bench, "outbox")
                await asyncio.wait_for(far.wait(), 10)
        finally:
            await other.close()
            await engine.dispose()


async def test_who_waits_for_a_lead_does_not_listen_before_it_has_it(toy_bench: Make) -> None:
    led, wake = asyncio.Event(), asyncio.Event()

    async def lead(driver: Any) -> None:
        assert await driver.fetchval("SELECT count(*) FROM pg_listening_channels()") == 0
        await led.wait()

    async def listen() -> None:
        async with bell.heard("outbox", wake, after=lead) as driver:
            assert await driver.fetchval("SELECT count(*) FROM pg_listening_channels()") == 1

    async with toy_bench("application") as bench:
        bell = bench.parts.bell
        listening = asyncio.create_task(listen())
        await asyncio.sleep(0.1)
        await ring(bench, "outbox")
        assert not wake.is_set()
        led.set()
        await listening


async def test_a_ring_without_a_database_harms_nobody() -> None:
    engine = open_engine("postgresql://nobody:nothing@127.0.0.1:1/none", schema="application", pool_size=1)
    bell = Bell(engine)
    for _ in range(2):
        bell.ring(["outbox"])
        await bell.close()
    await engine.dispose()
