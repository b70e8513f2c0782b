"""The HTTP door: who may deliver, what a record must hold, repeats and refusals, and what a reader sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.rating.main import service
from tests.harness.bench import Bench
from tests.rating.facts import DAY, FACILITY, application, bank, cny, findings, money_json, record_json, tax

Make = Callable[..., Bench]
FACILITY_PATH = f"/v1/facilities/{FACILITY}"
RECORDS = f"{FACILITY_PATH}/source-records"


async def test_a_record_is_taken_before_the_application_is_known(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        answer = await b.post(RECORDS, record_json(tax()), role="data_provider")
        assert answer.status_code == 201
        assert answer.json() == {
            "facility_id": FACILITY,
            "source": "tax",
            "as_of": "2025-09-15",
            "state": "waiting",
            "lacking": ["bank_flow"],
        }


@pytest.mark.parametrize("role", ["customer_manager", "approver", "admin"])
async def test_only_a_data_provider_delivers(bench: Make, role: str) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        answer = await b.post(RECORDS, record_json(tax()), role=role)
        assert (answer.status_code, answer.json()["code"]) == (403, "role_needed")


async def test_nobody_reads_without_a_token(bench: Make) -> None:
    async with bench(service) as b:
        assert (await b.http.get(FACILITY_PATH)).status_code == 401


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"source": "gossip"}, "invalid_request"),
        ({"as_of": "yesterday"}, "invalid_request"),
        ({"colour": "red"}, "invalid_request"),
        ({"figures": {"monthly_tax_sales": {"amount": "1.234", "currency": "CNY"}}}, "invalid_request"),
        ({"figures": {"monthly_tax_sales": {"amount": "-1", "currency": "CNY"}}}, "invalid_request"),
        ({"figures": {"monthly_tax_sales": {"amount": "1000000000000", "currency": "CNY"}}}, "invalid_request"),
        ({"figures": {"shoe_size": {"amount": "1", "currency": "CNY"}}}, "invalid_request"),
        ({"figures": {}}, "figure_missing"),
        ({"figures": {"monthly_bank_inflow": {"amount": "1", "currency": "CNY"}}}, "figure_missing"),
        ({"as_of": "2025-09-16"}, "as_of_in_future"),
    ],
)
async def test_a_record_that_could_never_be_valid_is_unprocessable(
    bench: Make, changed: dict[str, Any], code: str
) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        answer = await b.post(RECORDS, {**record_json(tax()), **changed}, role="data_provider")
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert (await b.get(FACILITY_PATH)).status_code == 404


async def test_amounts_of_two_currencies_in_one_record_are_unprocessable(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        body = record_json(tax())
        body["figures"]["annual_sales"] = money_json(replace(cny(1), currency="USD"))
        answer = await b.post(RECORDS, body, role="data_provider")
        assert (answer.status_code, answer.json()["code"]) == (422, "currency_mismatch")


async def test_a_record_in_another_currency_than_the_application_is_refused(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(application(), on=DAY)
        body = record_json(tax(monthly_tax_sales=replace(cny(1), currency="USD")))
        answer = await b.post(RECORDS, body, role="data_provider")
        assert (answer.status_code, answer.json()["code"]) == (409, "currency_not_of_application")


async def test_an_older_record_is_refused_and_a_rated_file_takes_none(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(application(), findings(), on=DAY)
        await b.post(RECORDS, record_json(tax()), role="data_provider")
        older = await b.post(RECORDS, record_json(tax(as_of=DAY - timedelta(days=1))), role="data_provider")
        assert (older.status_code, older.json()["code"]) == (409, "newer_record_held")
        rated = await b.post(RECORDS, record_json(bank()), role="data_provider")
        assert (rated.json()["state"], rated.json()["lacking"]) == ("verified", [])
        late = await b.post(RECORDS, record_json(bank()), role="data_provider")
        assert (late.status_code, late.json()["code"]) == (409, "already_rated")


async def test_a_repeated_request_gets_the_first_answer_and_has_one_effect(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(application(), findings(), on=DAY)
        await b.post(RECORDS, record_json(tax()), role="data_provider")
        first, again = [await b.post(RECORDS, record_json(bank()), role="data_provider", key="k-1") for _ in range(2)]
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json() == first.json()
        assert await b.names() == ["information.verified", "rating.assigned"]


async def test_optional_figures_reach_the_checks_and_the_caps(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(application(), findings(), on=DAY)
        hard = tax(opening_equity=cny(3_600_000), annual_profit=cny(1_200_000), annual_sales=cny(12_000_000))
        body = record_json(hard)
        body["figures"]["products"] = [{"cost": "60", "price": "100", "sales_share": "1"}]
        assert (await b.post(RECORDS, body, role="data_provider")).status_code == 201
        flows = bank(operating_cash_flow=cny(-1), debt_service=cny(100))
        assert (await b.post(RECORDS, record_json(flows), role="data_provider")).status_code == 201
        seen = (await b.get(FACILITY_PATH)).json()
        codes = {check["code"]: check["result"] for check in seen["information"]["checks"]}
        assert {code: codes[code] for code in ("filed_sales", "equity", "margin")} == dict.fromkeys(
            ("filed_sales", "equity", "margin"), "passed"
        )
        assert (seen["rating"]["grade"], seen["rating"]["capped_by"]) == ("B", "debt_service_thin")


async def test_a_reader_sees_what_was_concluded_and_on_what(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        await b.react(application(), on=DAY)
        waiting = (await b.get(FACILITY_PATH, role="reviewer")).json()
        assert (waiting["submitted"], waiting["investigated"], waiting["rating"]) == (True, False, None)
        await b.react(findings(), on=DAY)
        await b.post(RECORDS, record_json(tax()), role="data_provider")
        await b.post(RECORDS, record_json(bank()), role="data_provider")
        seen = (await b.get(FACILITY_PATH, role="reviewer")).json()
        assert seen["sources"] == [
            {"source": "bank_flow", "as_of": "2025-09-15"},
            {"source": "tax", "as_of": "2025-09-15"},
        ]
        assert (seen["rated_on"], seen["information"]["size_class"]) == ("2025-09-15", "small")
        assert seen["rating"]["inputs"]["annual_sales"] == "12000000.00"
        assert seen["rating"]["ratios"]["leverage"] == "0.400000"
        assert seen["information"]["size_policy"] == "rating/size@2011-06-18"


async def test_an_unknown_facility_is_not_found(bench: Make) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        answer = await b.get(FACILITY_PATH)
        assert (answer.status_code, answer.json()["code"]) == (404, "facility_not_found")
