"""A tick that comes twice: the second copy opens nothing again and fires no timer that was set since the first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from libs.events.clock import DayClosed
from libs.runtime.daybreak import Daybreak
from services.collateral.main import service
from tests.collateral.stories import NEXT_DAY, SERIES, drawn, publish_level
from tests.harness.bench import Bench

BASE_ON = date(2025, 11, 20)
FALL_ON = date(2026, 3, 20)


async def test_a_second_copy_of_a_tick_does_not_carry_the_index_of_that_day_before_the_next(
    bench: Callable[..., Bench],
) -> None:
    async with bench(service) as b:
        await b.open(BASE_ON)
        await publish_level(b, 100, BASE_ON)
        await drawn(b)
        tick = b.arrival(DayClosed(closed=BASE_ON, open=FALL_ON, reached={}), "clock", FALL_ON)
        await Daybreak(b.parts).open(tick)
        await b.open(FALL_ON)
        assert (await publish_level(b, 80, FALL_ON)).status_code == 201
        known = await b.dump()
        assert [row for row in known["timers"] if "collateral.revalue" in row], SERIES
        await Daybreak(b.parts).open(tick)
        assert await b.dump() == known
        await b.tick(FALL_ON + NEXT_DAY)
        assert "collateral.revalued" in await b.names()
