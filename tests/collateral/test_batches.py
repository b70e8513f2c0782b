"""A batch of events costs the same few statements however many facilities it concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from services.collateral.main import service
from tests.collateral.stories import (
    APPLIED_ON,
    DRAWN_ON,
    closed,
    disbursed,
    offer,
    publish_level,
    reclassified,
    refused,
    repaid,
    submitted,
    written_off,
)
from tests.harness.bench import Bench

Make = Callable[..., Bench]
MANY = 30


@contextmanager
def counted(b: Bench) -> Iterator[list[str]]:
    """The statements that run meanwhile."""
    ran: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: object) -> None:
        ran.append(statement)

    engine = b.parts.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield ran
    finally:
        event.remove(engine, "before_cursor_execute", note)


def facilities(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


@pytest.mark.parametrize("told", [repaid, reclassified, written_off, closed, refused, disbursed])
async def test_one_kind_of_event_costs_the_same_statements_for_one_facility_as_for_many(
    told: Callable[..., Any], bench: Make
) -> None:
    first = {repaid: [5], reclassified: ["substandard"], closed: ["repaid"]}.get(told, [])
    async with bench(service) as b:
        costs = []
        for prefix, count in (("one", 1), ("many", MANY)):
            names = facilities(prefix, count)
            await b.react(*(submitted(facility=name) for name in names), on=APPLIED_ON)
            if told not in (refused, disbursed):
                await b.react(*(disbursed(facility=name) for name in names), on=DRAWN_ON)
            with counted(b) as ran:
                await b.react(*(told(*first, facility=name) for name in names), on=DRAWN_ON)
            costs.append(len(ran))
        assert costs[0] == costs[1]
        assert await b.parked() == []


async def test_an_index_move_costs_the_same_statements_for_one_facility_as_for_many(bench: Make) -> None:
    async with bench(service) as b:
        costs = []
        for series, count in (("s-one", 1), ("s-many", MANY)):
            names = facilities(series, count)
            await b.open(APPLIED_ON)
            await publish_level(b, 100, APPLIED_ON, series)
            await b.react(*(submitted(offer(series=series), facility=name) for name in names), on=APPLIED_ON)
            await hold_all(b, names)
            moved_on = APPLIED_ON + timedelta(days=1)
            await b.open(moved_on)
            assert (await publish_level(b, 80, moved_on, series)).json()["facilities"] == count
            with counted(b) as ran:
                await b.tick(moved_on + timedelta(days=1))
            costs.append(len(ran))
        assert costs[0] == costs[1]
        assert (await b.names()).count("collateral.revalued") == 1 + MANY


async def hold_all(b: Bench, names: list[str], on: date = APPLIED_ON) -> None:
    """Appraise and register the only item of each facility."""
    for name in names:
        body = {"value": {"amount": "1000000.00", "currency": "CNY"}, "valued_on": on.isoformat()}
        for actor in ("a-1", "a-2"):
            await b.post(f"/v1/facilities/{name}/items/1/appraisals", body, role="appraiser", actor=actor)
        entry = {"registry": "r", "number": name, "rank": 1}
        answer = await b.post(f"/v1/facilities/{name}/items/1/registrations", entry, role="customer_manager")
        assert answer.status_code == 201, answer.text
