"""A little life in each service before it is attacked: requests must come past "not found" to reach the rules."""

from __future__ import annotations

from typing import Any

from libs.events import application as events
from tests.application import story as application
from tests.collateral import stories as collateral
from tests.console import samples as console
from tests.guarantee import stories as guarantee
from tests.harness.bench import Bench
from tests.incentive import stories as incentive
from tests.rating import facts as rating


async def seed(bench: Bench) -> list[str]:
    """Give the bench's service a facility; returns ids and words that it knows."""
    return await _SEEDS[bench.service.name](bench)


async def _application(bench: Bench) -> list[str]:
    story = application.Story(bench)
    await story.disbursed()
    return [story.facility_id, story.loan_id, "li", "wang", "sun", "qian", "retail", "hangzhou", "house", "reg-4321"]


async def _collateral(bench: Bench) -> list[str]:
    await collateral.perfected(bench, collateral.offer(), collateral.offer())
    await bench.react(collateral.submitted(facility="f-2"), collateral.disbursed(), on=collateral.APPLIED_ON)
    return [collateral.F, "f-2", "l-1", collateral.SERIES, "a-1", "a-2"]


async def _console(bench: Bench) -> list[str]:
    await bench.open(console.DAY)
    await bench.react(console.sample(events.ReferralReceived, facility_id="f-1"), on=console.DAY)
    return ["f-1", "referred", "word"]


async def _guarantee(bench: Bench) -> list[str]:
    await guarantee.admit(bench, guarantee.AGREED, guarantee.NAMED)
    story = guarantee.Story()
    await story.go_overdue(bench)
    return [story.facility_id, story.loan_id, "reg-4321", "named", "city-guarantee", "guarantor", "bank", "A", "new"]


async def _incentive(bench: Bench) -> list[str]:
    await bench.open(incentive.DISBURSED_ON)
    await bench.react(incentive.disbursed(), incentive.reclassified(), on=incentive.DISBURSED_ON)
    return ["f-1", "f-1-loan", "s-lead", "s-approve"]


async def _rating(bench: Bench) -> list[str]:
    await bench.open(rating.DAY)
    await bench.react(rating.application(), rating.findings(), on=rating.DAY)
    return [rating.FACILITY, "f-2", "f-3"]


_SEEDS: dict[str, Any] = {
    "application": _application,
    "collateral": _collateral,
    "console": _console,
    "guarantee": _guarantee,
    "incentive": _incentive,
    "rating": _rating,
}
