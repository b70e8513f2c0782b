"""Index levels on a real database: who is revalued, what is told, and a shortfall told once until it is cured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from libs.events.application import SecurityOffer
from libs.events.collateral import CollateralRevalued, ShortfallFound
from services.collateral.main import service
from tests.collateral.stories import (
    APPLIED_ON,
    NEXT_DAY,
    SERIES,
    F,
    amount,
    appraise,
    closed,
    drawn,
    money,
    of,
    offer,
    perfected,
    policies,
    publish_level,
    register,
    repaid,
    submitted,
    timers,
    view,
    written_off,
)
from tests.harness.bench import Bench

Make = Callable[..., Bench]
BASE_ON = date(2025, 11, 20)
FALL_ON = date(2026, 3, 20)


async def fall_to(b: Bench, level: object, on: date = FALL_ON) -> None:
    """Publish a level and let the next business day begin."""
    await b.open(on)
    answer = await publish_level(b, level, on)
    assert answer.status_code == 201, answer.text
    await b.tick(on + NEXT_DAY)


async def based(b: Bench, *offers: SecurityOffer, value: int = 1_000_000) -> None:
    """A drawn facility valued while its series stood at 100."""
    await b.open(BASE_ON)
    await publish_level(b, 100, BASE_ON)
    await drawn(b, *offers, value=value)


async def test_a_fall_is_told_with_the_next_business_day(bench: Make) -> None:
    async with bench(service) as b:
        await based(b)
        await b.open(FALL_ON)
        receipt = await publish_level(b, "89.5", FALL_ON)
        assert receipt.json()["facilities"] == 1
        assert await of(b, CollateralRevalued) == []
        await b.tick(FALL_ON + NEXT_DAY)
        (event,) = await of(b, CollateralRevalued)
        assert (event.before, event.after) == (money(1_000_000), money(895_000))
        assert (event.change, event.trigger) == (Decimal("-0.105000"), "watch")
        assert (await policies(b))["collateral.revalued"] == "collateral/revaluation@2025-07-01"
        assert (await view(b))["capacity"] == amount("626500.00")
        assert await timers(b) == []


async def test_a_small_fall_moves_the_value_and_tells_nobody(bench: Make) -> None:
    async with bench(service) as b:
        await based(b)
        await fall_to(b, "90.01")
        assert await of(b, CollateralRevalued) == []
        assert (await view(b))["items"][0]["valuation"]["now"] == amount("900100.00")


async def test_a_second_fall_is_measured_from_the_value_last_told(bench: Make) -> None:
    async with bench(service) as b:
        await based(b)
        await fall_to(b, 90)
        await fall_to(b, 82, date(2026, 6, 20))
        await fall_to(b, "76.5", date(2026, 9, 20))
        assert [(e.before, e.after, e.trigger) for e in await of(b, CollateralRevalued)] == [
            (money(1_000_000), money(900_000), "watch"),
            (money(900_000), money(765_000), "warn"),
        ]


async def test_exposure_above_capacity_is_told_once_until_it_is_cured(bench: Make) -> None:
    async with bench(service) as b:
        await based(b)
        await fall_to(b, 80)
        (short,) = await of(b, ShortfallFound)
        assert (short.exposure, short.capacity, short.shortfall) == (money(600_000), money(560_000), money(40_000))
        assert short.ratio == Decimal("1.071429")
        assert (await policies(b))["shortfall.found"] == "collateral/valuation@2025-07-01"
        await fall_to(b, 78, date(2026, 4, 20))
        assert len(await of(b, ShortfallFound)) == 1
        await b.react(repaid("546000.01"), on=date(2026, 5, 1))
        assert (await view(b))["shortfall_found"] is True
        await b.react(repaid(546_000), on=date(2026, 5, 2))
        assert (await view(b))["shortfall_found"] is False
        await fall_to(b, 70, date(2026, 6, 20))
        assert [e.shortfall for e in await of(b, ShortfallFound)] == [money(40_000), money(56_000)]


async def test_a_shortfall_counts_every_item_that_the_same_level_moves(bench: Make) -> None:
    async with bench(service) as b:
        await based(b, offer("house"), offer("factory"), value=500_000)
        await fall_to(b, 80)
        (short,) = await of(b, ShortfallFound)
        assert (short.capacity, short.shortfall) == (money(520_000), money(80_000))
        assert len(await of(b, CollateralRevalued)) == 2


async def test_nothing_is_short_before_anything_is_owed_or_after_it_is_written_off(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(BASE_ON)
        await publish_level(b, 100, BASE_ON)
        await perfected(b)
        await fall_to(b, 50, date(2025, 12, 5))
        assert [e.trigger for e in await of(b, CollateralRevalued)] == ["red"]
        assert await of(b, ShortfallFound) == []
    async with bench(service) as b:
        await based(b)
        await b.react(written_off(), on=date(2026, 2, 1))
        await fall_to(b, 50)
        assert await of(b, ShortfallFound) == []


async def test_the_first_level_after_the_valuation_is_the_base_when_there_was_none(bench: Make) -> None:
    async with bench(service) as b:
        await drawn(b)
        await fall_to(b, 80, date(2026, 1, 20))
        assert await of(b, CollateralRevalued) == []
        await fall_to(b, 72)
        (event,) = await of(b, CollateralRevalued)
        assert event.after == money(900_000)


async def test_the_base_is_the_latest_level_on_or_before_the_valuation_day(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        for level, on in ((50, date(2025, 6, 1)), (100, APPLIED_ON)):
            await publish_level(b, level, on)
        await drawn(b)
        await fall_to(b, 90)
        (event,) = await of(b, CollateralRevalued)
        assert event.after == money(900_000)


async def test_an_item_registered_after_a_level_catches_up_with_it(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(BASE_ON)
        await publish_level(b, 100, BASE_ON)
        await b.open(APPLIED_ON)
        await b.react(submitted(), on=APPLIED_ON)
        for by in ("a-1", "a-2"):
            await appraise(b, 1_000_000, by=by)
        await b.open(date(2025, 12, 5))
        assert (await publish_level(b, 85, date(2025, 12, 5))).json()["facilities"] == 0
        await register(b)
        await b.tick(date(2025, 12, 6))
        (event,) = await of(b, CollateralRevalued)
        assert (event.after, event.trigger) == (money(850_000), "warn")


async def test_no_registration_misses_a_level_published_at_the_same_moment(bench: Make) -> None:
    async with bench(service) as b:
        names = [f"f-{number}" for number in range(12)]
        await b.open(BASE_ON)
        await publish_level(b, 100, BASE_ON)
        await b.open(APPLIED_ON)
        for name in names:
            await b.react(submitted(facility=name), on=APPLIED_ON)
            for by in ("a-1", "a-2"):
                await appraise(b, 1_000_000, by=by, facility=name)
        level = publish_level(b, 85, APPLIED_ON)
        answers = await asyncio.gather(
            *(register(b, facility=name) for name in names[:6]),
            level,
            *(register(b, facility=name) for name in names[6:]),
        )
        assert {answer.status_code for answer in answers} == {201}
        await b.tick(APPLIED_ON + NEXT_DAY)
        assert sorted(event.facility_id for event in await of(b, CollateralRevalued)) == sorted(names)


async def test_an_older_level_is_stored_and_moves_nothing(bench: Make) -> None:
    async with bench(service) as b:
        await based(b)
        await fall_to(b, 95)
        late = await publish_level(b, 10, date(2026, 1, 20))
        assert (late.status_code, late.json()["facilities"]) == (201, 0)
        await b.tick(date(2026, 5, 1))
        assert await of(b, CollateralRevalued) == []


async def test_a_level_is_never_changed_and_never_comes_from_the_future(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(BASE_ON)
        await publish_level(b, 100, BASE_ON)
        assert (await publish_level(b, 100, BASE_ON)).status_code == 201
        assert (await publish_level(b, 101, BASE_ON)).json()["code"] == "index_level_differs"
        assert (await publish_level(b, 100, BASE_ON + NEXT_DAY)).json()["code"] == "index_from_the_future"


async def test_what_was_given_back_or_never_held_is_not_revalued(bench: Make) -> None:
    async with bench(service) as b:
        await based(b)
        await b.open(FALL_ON)
        assert (await publish_level(b, 60, FALL_ON)).json()["facilities"] == 1
        await b.react(repaid(0), closed("repaid"), on=FALL_ON)
        await b.tick(FALL_ON + NEXT_DAY)
        assert await of(b, CollateralRevalued) == []
        assert (await publish_level(b, 50, FALL_ON + NEXT_DAY)).json()["facilities"] == 0


async def test_a_level_of_another_series_moves_nothing(bench: Make) -> None:
    async with bench(service) as b:
        await based(b)
        await b.open(FALL_ON)
        assert (await publish_level(b, 10, FALL_ON, f"{SERIES}-other")).json()["facilities"] == 0
        await b.tick(FALL_ON + NEXT_DAY)
        assert await of(b, CollateralRevalued) == []


async def test_an_item_without_a_series_keeps_its_value(bench: Make) -> None:
    async with bench(service) as b:
        await drawn(b, offer("equipment", ""))
        assert await timers(b) == []
        assert (await view(b, F))["items"][0]["status"] == "perfected"
