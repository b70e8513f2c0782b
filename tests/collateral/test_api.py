"""The HTTP door of collateral: who may do what, what a body may hold, and answers that repeat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.collateral.main import service
from tests.collateral.stories import APPLIED_ON, F, amount, appraise, offer, perfected, submitted, view
from tests.harness.bench import Bench

Make = Callable[..., Bench]
APPRAISAL = {"value": amount("1000000.00"), "valued_on": APPLIED_ON.isoformat()}
REGISTRATION = {"registry": "r", "number": "1", "rank": 1}
LEVEL = {"series": "s", "on": APPLIED_ON.isoformat(), "value": "98.9"}
SALE = {"price": amount("1.00"), "costs": amount("0.00")}
DOORS: list[tuple[str, dict[str, Any], str]] = [
    (f"/v1/facilities/{F}/items/1/appraisals", APPRAISAL, "appraiser"),
    (f"/v1/facilities/{F}/items/1/registrations", REGISTRATION, "customer_manager"),
    (
        f"/v1/facilities/{F}/items/1/junior-registrations",
        REGISTRATION | {"rank": 2, "senior_claims": amount("1.00")},
        "risk_director",
    ),
    ("/v1/indices", LEVEL, "data_provider"),
    (f"/v1/facilities/{F}/items/1/disposal", SALE, "disposal_agent"),
]


@pytest.mark.parametrize(("path", "body", "role"), DOORS)
async def test_every_command_is_for_one_role_only(path: str, body: dict[str, Any], role: str, bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        for other in ("admin", "approver", *(known for _, _, known in DOORS if known != role)):
            assert (await b.post(path, body, role=other)).status_code == 403
        assert (await b.post(path, body, role=role)).status_code in (201, 404)


@pytest.mark.parametrize(("path", "body", "role"), DOORS)
async def test_a_body_with_an_unknown_or_a_missing_field_is_invalid(
    path: str, body: dict[str, Any], role: str, bench: Make
) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        assert (await b.post(path, body | {"note": "x"}, role=role)).status_code == 422
        for name in body:
            assert (await b.post(path, {k: v for k, v in body.items() if k != name}, role=role)).status_code == 422


@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity", "1e9", "1.123456789"])
async def test_an_index_level_is_a_positive_number_with_at_most_eight_decimals(value: str, bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        assert (await b.post("/v1/indices", LEVEL | {"value": value}, role="data_provider")).status_code == 422


async def test_a_value_of_nothing_or_of_another_currency_is_invalid(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        await b.react(submitted(), on=APPLIED_ON)
        nothing = await appraise(b, "0.00", by="a-1")
        assert (nothing.status_code, nothing.json()["code"]) == (422, "appraisal_not_positive")
        dollars = await appraise(b, 1, by="a-1", currency="USD")
        assert (dollars.status_code, dollars.json()["code"]) == (422, "currency_mismatch")


async def test_a_repeated_request_gets_the_first_answer_and_acts_once(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(APPLIED_ON)
        await b.react(submitted(), on=APPLIED_ON)
        path = f"/v1/facilities/{F}/items/1/appraisals"
        first = await b.post(path, APPRAISAL, role="appraiser", key="k-1")
        again = await b.post(path, APPRAISAL, role="appraiser", key="k-1")
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json() == first.json()
        assert len((await view(b))["items"][0]["appraisals"]) == 1


async def test_an_unknown_facility_or_item_is_not_found(bench: Make) -> None:
    async with bench(service) as b:
        assert (await b.get("/v1/facilities/nobody")).status_code == 404
        await perfected(b)
        missing = await appraise(b, 1, by="a-1", item=2)
        assert (missing.status_code, missing.json()["code"]) == (404, "item_not_found")
        assert (await appraise(b, 1, by="a-1", item=0)).status_code == 422


async def test_what_is_shown_holds_the_whole_way_of_an_item(bench: Make) -> None:
    async with bench(service) as b:
        await perfected(b, offer("house"))
        shown = await view(b)
        assert shown["capacity"] == amount("700000.00")
        (item,) = shown["items"]
        assert item["registration"] == {
            "registry": "hangzhou-real-estate",
            "number": f"R-{F}-1",
            "rank": 1,
            "senior_claims": amount("0.00"),
        }
        assert item["valuation"]["policy"] == "collateral/valuation@2025-07-01"
        assert [one["appraiser"] for one in item["appraisals"]] == ["a-1", "a-2"]
