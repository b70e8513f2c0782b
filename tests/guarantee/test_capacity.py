"""Capacity is never over its limit at any instant, whoever asks at the same time and in whatever order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from libs.runtime.tx import Cause, Tx
from services.guarantee.main import service
from services.guarantee.store import reserve_capacity
from tests.guarantee.stories import AGREED, DAY, Story, admit, capacity, cny
from tests.harness.bench import Bench

LAST_UNIT = {**AGREED, "capacity": {"amount": "80000.00", "currency": "CNY"}}


async def test_of_a_hundred_at_once_exactly_one_gets_the_last_unit(bench: Callable[..., Bench]) -> None:
    stories = [Story(name=f"rival-{number}") for number in range(100)]
    async with bench(service) as b:
        await admit(b, LAST_UNIT)
        await asyncio.gather(*(b.react(story.submitted(), story.rated(), on=DAY) for story in stories))
        names = await b.names()
        assert (names.count("capacity.reserved"), names.count("cover.refused")) == (1, 99)
        assert len(await b.calls()) == 1
        assert (await capacity(b), await b.parked()) == (("80000.00", "0.00"), [])


async def test_batches_that_take_agreements_in_opposite_order_do_not_deadlock(bench: Callable[..., Bench]) -> None:
    codes = ("left", "right")
    async with bench(service) as b:
        await admit(b, *({**AGREED, "code": code} for code in codes))
        both_began = asyncio.Barrier(2)

        async def take(first: str, second: str) -> None:
            async with b.parts.transaction() as unit:
                tx = Tx(unit, Cause(actor="test"), DAY)
                await both_began.wait()
                assert await reserve_capacity(tx, first, cny("1"))
                await asyncio.sleep(0.1)
                assert await reserve_capacity(tx, second, cny("1"))

        await asyncio.wait_for(asyncio.gather(take(*codes), take(*reversed(codes))), timeout=5)
        assert [await capacity(b, code) for code in codes] == [("2.00", "0.00")] * 2


async def test_what_one_gives_back_the_next_can_take(bench: Callable[..., Bench]) -> None:
    first, second, third = (Story(name=name) for name in ("first", "second", "third"))
    async with bench(service) as b:
        await admit(b, LAST_UNIT)
        await first.bind(b)
        await b.react(second.submitted(), second.rated(), on=DAY)
        assert (await b.names())[-1] == "cover.refused"
        await b.react(first.refused(), on=DAY)
        await b.react(third.submitted(), third.rated(), on=DAY)
        assert (await b.names())[-2:] == ["cover.requested", "capacity.reserved"]
