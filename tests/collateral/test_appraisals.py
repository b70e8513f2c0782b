"""From an offer to a perfected interest on a real database, also when the appraisal comes before the offer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from libs.events.collateral import CollateralOffered, CollateralPerfected, CollateralValued
from services.collateral.main import service
from tests.collateral.stories import (
    APPLIED_ON,
    F,
    amount,
    appraise,
    money,
    of,
    offer,
    perfected,
    policies,
    refused,
    register,
    submitted,
    view,
)
from tests.harness.bench import Bench

Make = Callable[..., Bench]


async def test_each_security_item_is_offered_in_the_order_of_the_application(bench: Make) -> None:
    async with bench(service) as b:
        await b.react(submitted(offer("house"), offer("equipment", "cn-equipment")), on=APPLIED_ON)
        offered = await of(b, CollateralOffered)
        assert [event.kind for event in offered] == ["house", "equipment"]
        shown = (await view(b))["items"]
        assert [(one["item"], one["kind"], one["status"]) for one in shown] == [
            (1, "house", "offered"),
            (2, "equipment", "offered"),
        ]
        assert [one["collateral_id"] for one in shown] == [event.collateral_id for event in offered]


async def test_an_application_without_security_opens_a_file_and_offers_nothing(bench: Make) -> None:
    async with bench(service) as b:
        bare = submitted()
        await b.react(type(bare)(**{n: getattr(bare, n) for n in bare.__slots__} | {"security": ()}), on=APPLIED_ON)
        assert await b.names() == []
        assert (await view(b))["status"] == "open"


async def test_two_appraisers_give_the_item_its_value(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        await b.react(submitted(), on=APPLIED_ON)
        first = await appraise(b, 1_050_000, by="a-1")
        assert (first.status_code, first.json()["status"], first.json()["value"]) == (201, "offered", None)
        second = await appraise(b, 1_000_000, by="a-2")
        assert second.json()["status"] == "valued"
        (valued,) = await of(b, CollateralValued)
        assert valued.appraisals == (money(1_000_000), money(1_050_000))
        assert (valued.value, valued.advance_rate) == (money(1_000_000), Decimal("0.70"))
        assert (valued.capacity, valued.ltv, valued.sufficient) == (money(700_000), Decimal("0.600000"), True)
        assert (await policies(b))["collateral.valued"] == "collateral/valuation@2025-07-01"


async def test_security_is_sufficient_once_all_items_together_carry_the_request(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        await b.react(submitted(offer("house"), offer("factory"), asked=1_300_000), on=APPLIED_ON)
        for item in (1, 2):
            for by in ("a-1", "a-2"):
                await appraise(b, 1_000_000, by=by, item=item)
        assert [(event.capacity, event.sufficient) for event in await of(b, CollateralValued)] == [
            (money(700_000), False),
            (money(600_000), True),
        ]


async def test_appraisals_too_far_apart_call_for_a_third(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        await b.react(submitted(), on=APPLIED_ON)
        await appraise(b, 1_000_000, by="a-1")
        apart = await appraise(b, 1_200_001, by="a-2")
        assert (apart.json()["status"], apart.json()["appraisals"]) == ("offered", 2)
        third = await appraise(b, 1_150_000, by="a-3")
        assert third.json()["value"] == amount("1150000.00")
        assert (await appraise(b, 1_000_000, by="a-4")).json()["code"] == "not_open_to_appraisal"


async def test_one_appraiser_cannot_appraise_twice(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        await b.react(submitted(), on=APPLIED_ON)
        await appraise(b, 1_000_000, by="a-1")
        again = await appraise(b, 1_000_000, by="a-1")
        assert (again.status_code, again.json()["code"]) == (409, "same_appraiser")
        assert await of(b, CollateralValued) == []


async def test_two_appraisers_at_the_same_moment_give_one_value(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        await b.react(submitted(), on=APPLIED_ON)
        answers = await asyncio.gather(*(appraise(b, 1_000_000, by=f"a-{n}") for n in range(8)))
        assert sorted(answer.status_code for answer in answers) == [201, 201, *[409] * 6]
        assert len(await of(b, CollateralValued)) == 1


async def test_appraisals_that_come_before_the_offer_count_when_it_comes(bench: Make) -> None:
    told = []
    for early in (0, 1, 2):
        async with bench(service) as b:
            await b.open(APPLIED_ON)
            filings = [("a-1", 1_000_000), ("a-2", 1_050_000)]
            for by, value in filings[:early]:
                answer = await appraise(b, value, by=by)
                assert (answer.status_code, answer.json()["status"]) == (201, "awaiting_offer")
            await b.react(submitted(), on=APPLIED_ON)
            for by, value in filings[early:]:
                assert (await appraise(b, value, by=by)).status_code == 201
            (valued,) = await of(b, CollateralValued)
            told.append((valued.appraisals, valued.value, valued.capacity, valued.sufficient))
            assert (await view(b))["early_appraisals"] == 0
    assert told[0] == told[1] == told[2]


async def test_an_early_appraisal_that_fits_no_item_stays_on_record_and_harms_nothing(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        await appraise(b, 1_000_000, by="a-1", item=7)
        assert (await appraise(b, 1_000_000, by="a-1", item=7)).json()["code"] == "same_appraiser"
        for by in ("a-2", "a-3"):
            await appraise(b, 1_000_000, by=by, item=7)
        assert (await appraise(b, 1_000_000, by="a-4", item=7)).json()["code"] == "appraisals_exhausted"
        await appraise(b, 1_000_000, by="a-1", item=1)
        await b.react(submitted(currency="CNY"), on=APPLIED_ON)
        shown = await view(b)
        assert (shown["early_appraisals"], len(shown["items"][0]["appraisals"])) == (3, 1)
        assert await b.parked() == []


async def test_an_early_appraisal_in_another_currency_is_not_used(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        await appraise(b, 1_000_000, by="a-1", currency="USD")
        await b.react(submitted(), on=APPLIED_ON)
        shown = await view(b)
        assert (shown["early_appraisals"], shown["items"][0]["appraisals"]) == (1, [])
        assert await b.parked() == []


async def test_an_appraisal_past_its_age_is_refused_and_one_near_it_is_warned(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        await b.react(submitted(), on=APPLIED_ON)
        old = await appraise(b, 1_000_000, by="a-1", on=date(2025, 5, 31))
        assert (old.status_code, old.json()["code"]) == (409, "appraisal_too_old")
        assert (await appraise(b, 1_000_000, by="a-1", on=date(2025, 6, 1))).json()["age"] == "warn"


async def test_only_a_valued_item_is_perfected_and_only_once(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        await b.react(submitted(), on=APPLIED_ON)
        assert (await register(b)).json()["code"] == "not_valued"
        for by in ("a-1", "a-2"):
            await appraise(b, 1_000_000, by=by)
        assert (await register(b)).json()["status"] == "perfected"
        assert (await register(b)).json()["code"] == "not_open_to_registration"
        (event,) = await of(b, CollateralPerfected)
        assert (event.registration_no, event.rank) == (f"R-{F}-1", 1)
        assert (await policies(b))["collateral.perfected"] == "collateral/priority@2025-07-01"


async def test_a_second_rank_is_left_to_the_risk_director_and_counts_senior_claims(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        await b.react(submitted(), on=APPLIED_ON)
        for by in ("a-1", "a-2"):
            await appraise(b, 1_000_000, by=by)
        assert (await register(b, rank=2)).json()["code"] == "rank_needs_risk_director"
        path = f"/v1/facilities/{F}/items/1/junior-registrations"
        body = {"registry": "r", "number": "1", "rank": 2, "senior_claims": amount("100000.01")}
        assert (await b.post(path, body, role="customer_manager")).status_code == 403
        above = await b.post(path, body, role="risk_director")
        assert (above.status_code, above.json()["code"]) == (409, "junior_lien_above_cap")
        first = await b.post(path, body | {"rank": 1}, role="risk_director")
        assert (first.status_code, first.json()["code"]) == (422, "rank_not_junior")
        nothing = await b.post(path, body | {"senior_claims": amount(0)}, role="risk_director")
        assert (nothing.status_code, nothing.json()["code"]) == (422, "senior_claims_missing")
        admitted = await b.post(path, body | {"senior_claims": amount(100_000)}, role="risk_director")
        assert admitted.status_code == 201
        assert admitted.json()["capacity"] == amount("600000.00")
        assert [event.rank for event in await of(b, CollateralPerfected)] == [2]


async def test_a_refused_application_releases_what_was_perfected_and_lets_the_rest_lapse(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        await b.react(submitted(offer("house"), offer("factory")), on=APPLIED_ON)
        for by in ("a-1", "a-2"):
            await appraise(b, 1_000_000, by=by)
        await register(b)
        await b.react(refused(), on=APPLIED_ON)
        assert (await b.names()).count("collateral.released") == 1
        shown = await view(b)
        assert (shown["status"], [one["status"] for one in shown["items"]]) == ("refused", ["released", "lapsed"])
        assert (await appraise(b, 1_000_000, by="a-1", item=2)).json()["code"] == "facility_ended"


async def test_an_application_is_submitted_once(bench: Make) -> None:
    async with bench(service) as b:
        await perfected(b)
        await b.react(submitted(), on=APPLIED_ON)
        (reason,) = await b.parked()
        assert reason.startswith("already_submitted")


async def test_a_kind_the_policy_does_not_list_is_valued_but_carries_nothing(bench: Make) -> None:
    async with bench(service) as b:
        await perfected(b, offer("painting"))
        (valued,) = await of(b, CollateralValued)
        assert (valued.value, valued.capacity, valued.sufficient) == (money(1_000_000), money(0), False)
