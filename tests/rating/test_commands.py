"""Events, requests and ticks on a real database: facts come in any order, the borrower is rated once, nothing parks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations

import pytest

from libs.events.application import ApplicationSubmitted
from libs.events.rating import InformationDisputed, InformationVerified, RatingAssigned
from services.rating.main import service
from tests.harness.bench import Bench
from tests.rating.facts import DAY, FACILITY, application, bank, cny, figures, findings, record_json, tax

Make = Callable[..., Bench]
RECORDS = f"/v1/facilities/{FACILITY}/source-records"
BOTH = ["information.verified", "rating.assigned"]


async def deliver(b: Bench, record: object, key: str = "") -> int:
    body = record_json(record)  # type: ignore[arg-type]  # a SourceRecord
    return (await b.post(RECORDS, body, role="data_provider", key=key)).status_code


def waited() -> date:
    return DAY + timedelta(days=10)


async def test_the_last_fact_rates_the_borrower_and_publishes_both_conclusions(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(application(), findings(), on=DAY)
        assert await b.names() == []
        assert await deliver(b, tax()) == 201
        assert await b.names() == []
        assert await deliver(b, bank()) == 201
        information, rating = await b.published()
        assert isinstance(information, InformationVerified)
        assert (information.size_class, len(information.checks)) == ("small", 8)
        assert isinstance(rating, RatingAssigned)
        assert (rating.grade, rating.score, rating.capped_by) == ("AAA", 100, "")
        assert await b.parked() == []


ORDERS = list(permutations(("application", "findings", "tax", "bank")))


@pytest.mark.parametrize("order", [o for o in ORDERS if o.index("application") < o.index("findings")])
async def test_any_order_of_the_facts_ends_in_the_same_rating(bench: Make, order: tuple[str, ...]) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "application": lambda: b.react(application(), on=DAY),
            "findings": lambda: b.react(findings(), on=DAY),
            "tax": lambda: deliver(b, tax()),
            "bank": lambda: deliver(b, bank()),
        }
        for fact in order:
            await ways[fact]()
        assert await b.names() == BOTH
        seen = (await b.get(f"/v1/facilities/{FACILITY}")).json()
        assert (seen["state"], seen["rating"]["score"], seen["sources_due"] is None) == ("verified", 100, True)
        await b.tick(waited())
        assert await b.names() == BOTH


async def test_findings_before_the_application_are_kept(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(findings(), application(), on=DAY)
        await deliver(b, tax())
        await deliver(b, bank())
        assert await b.names() == BOTH


@pytest.mark.parametrize("delivered", [(), (tax(),), (bank(),)])
async def test_when_the_wait_ends_missing_sources_dispute_the_information(
    bench: Make, delivered: tuple[object, ...]
) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(application(), findings(), on=DAY)
        for record in delivered:
            assert await deliver(b, record) == 201
        await b.tick(waited() - timedelta(days=1))
        assert await b.names() == []
        await b.tick(waited())
        information, rating = await b.published()
        assert isinstance(information, InformationDisputed)
        assert {check.result for check in information.checks} == {"passed", "missing"}
        assert (rating.grade, rating.capped_by) == ("C", "information_missing")
        assert await deliver(b, tax(as_of=waited())) == 409
        assert await b.parked() == []


async def test_the_wait_begins_with_the_findings_not_with_the_application(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(application(), on=DAY)
        await b.tick(waited())
        assert await b.names() == []
        await b.react(findings(), on=waited())
        assert (await b.get(f"/v1/facilities/{FACILITY}")).json()["sources_due"] == "2025-10-05"


async def test_a_stale_record_waits_for_a_fresh_one_and_disputes_when_none_comes(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(application(), findings(), on=DAY)
        await deliver(b, tax())
        response = await b.post(RECORDS, record_json(bank(as_of=DAY - timedelta(days=91))), role="data_provider")
        assert (response.status_code, response.json()["lacking"]) == (201, ["bank_flow"])
        assert await b.names() == []
        await b.tick(waited())
        information, rating = await b.published()
        assert {c.result for c in information.checks if c.source == "bank_flow"} == {"stale"}
        assert rating.capped_by == "information_missing"


async def test_a_fresh_record_after_a_stale_one_verifies(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(application(), findings(), on=DAY)
        await deliver(b, tax())
        await deliver(b, bank(as_of=DAY - timedelta(days=91)))
        await deliver(b, bank())
        assert await b.names() == BOTH


async def test_a_disputed_borrower_is_rated_too(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(application(), findings(figures(annual_sales=9_000_000)), on=DAY)
        await deliver(b, tax())
        await deliver(b, bank())
        information, rating = await b.published()
        assert isinstance(information, InformationDisputed)
        assert [check.code for check in information.checks if check.result == "failed"] == ["declared_sales"]
        assert (rating.grade, rating.capped_by) == ("B", "information_disputed")


async def test_an_impossible_event_parks_and_its_facility_waits_behind_it(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(application(), application(), findings(), on=DAY)
        first, second = await b.parked()
        assert "already_submitted" in first
        assert second == "behind a parked event"


async def test_one_facility_never_disturbs_another_of_the_same_batch(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        others = [replace(application(), facility_id=f"f-{n}") for n in range(2, 40)]
        batch: list[ApplicationSubmitted] = [*others, application()]
        await b.react(*batch, on=DAY)
        await b.react(findings(), on=DAY)
        await deliver(b, tax())
        await deliver(b, bank())
        assert {body.facility_id for body in await b.published()} == {FACILITY}
        assert (await b.get("/v1/facilities/f-7")).json()["submitted"] is True


async def test_concurrent_deliveries_of_both_sources_rate_once(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(application(), findings(), on=DAY)
        codes = await asyncio.gather(*(deliver(b, record) for record in (tax(), bank(), tax(), bank())))
        assert set(codes) <= {201, 409}
        assert await b.names() == BOTH


async def test_the_american_profile_rates_under_its_own_policies(bench: Make) -> None:
    async with bench(service, profile="us-sba") as b:
        day = date(1997, 3, 3)
        await b.open(day)
        await b.react(application(), findings(), on=day)
        await deliver(b, tax(as_of=day))
        await deliver(b, bank(as_of=day))
        seen = (await b.get(f"/v1/facilities/{FACILITY}")).json()
        assert seen["rating"]["policy"] == "rating/scorecard-us-sba@1970-01-01"
        assert seen["information"]["policy"] == "rating/information-us-sba@1970-01-01"
        assert seen["information"]["size_policy"] == "rating/size-us-sba@1970-01-01"


async def test_every_decision_names_its_policy(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(application(), findings(), on=DAY)
        await deliver(b, tax())
        await deliver(b, bank(monthly_bank_inflow=cny(990_000)))
        async with b.parts.engine.connect() as conn:
            rows = await conn.exec_driver_sql("SELECT headers::jsonb ->> 'ce_policy' FROM outbox ORDER BY id")
            refs = [ref for (ref,) in rows]
        assert refs == ["rating/information@2025-07-01", "rating/scorecard@2025-07-01"]
