"""Questions only: who may ask about pay, and what the answers hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from services.incentive.main import service
from tests.harness.bench import Bench
from tests.incentive.stories import DISBURSED_ON, disbursed, inspected, reclassified

Make = Callable[..., Bench]
BAD_ON = date(2026, 12, 1)


async def test_a_facility_shows_its_people_pay_findings_and_case(bench: Make):
    async with bench(service) as b:
        await b.open(DISBURSED_ON)
        await b.react(disbursed(), inspected("inspection_late"), on=DISBURSED_ON)
        await b.open(BAD_ON)
        await b.react(reclassified(), on=BAD_ON)
        answer = await b.get("/v1/facilities/f-1", role="inspector")
        assert answer.status_code == 200
        (loan,) = answer.json()["loans"]
        assert loan["earned"] == {"amount": "1500.00", "currency": "CNY"}
        assert [duty["role"] for duty in loan["people"]] == ["lead", "assistant", "reviewer", "approver"]
        assert [finding["code"] for finding in loan["findings"]] == ["inspection_late"]
        assert (loan["case"]["opened_on"], loan["case"]["due"]) == ("2026-12-01", "2027-12-01")
        assert answer.json()["overdue_cases"] == []


async def test_a_case_past_its_due_day_is_named(bench: Make):
    async with bench(service) as b:
        await b.open(DISBURSED_ON)
        await b.react(disbursed(), on=DISBURSED_ON)
        await b.react(reclassified(), on=BAD_ON)
        counts = []
        for day in (date(2027, 12, 1), date(2027, 12, 2)):
            await b.open(day)
            counts.append(len((await b.get("/v1/facilities/f-1", role="auditor")).json()["overdue_cases"]))
        assert counts == [0, 1]


async def test_a_pay_account_sums_one_persons_pay_over_all_loans(bench: Make):
    async with bench(service) as b:
        await b.open(DISBURSED_ON)
        await b.react(disbursed("f-1"), disbursed("f-2"), on=DISBURSED_ON)
        answer = await b.get("/v1/staff/s-lead", role="customer_manager", actor="s-lead")
        assert answer.status_code == 200
        assert answer.json() == {
            "staff_id": "s-lead",
            "balances": [
                {"account": "deferred", "balance": {"amount": "-840.00", "currency": "CNY"}},
                {"account": "paid", "balance": {"amount": "-1260.00", "currency": "CNY"}},
            ],
        }


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [
        ("/v1/staff/s-lead", "auditor", 200),
        ("/v1/staff/s-lead", "admin", 200),
        ("/v1/staff/s-lead", "operator", 403),
        ("/v1/staff/s-lead", "customer_manager", 403),
        ("/v1/ledger", "operator", 200),
        ("/v1/ledger", "customer_manager", 403),
        ("/v1/facilities/f-1", "approver", 200),
        ("/v1/facilities/f-1", "data_provider", 403),
        ("/v1/facilities/nowhere", "auditor", 404),
        ("/v1/staff/nobody", "auditor", 404),
        (f"/v1/staff/{'x' * 65}", "auditor", 422),
    ],
)
async def test_pay_is_shown_to_its_owner_and_to_those_who_keep_or_audit_it(
    bench: Make, path: str, role: str, status: int
):
    async with bench(service) as b:
        await b.open(DISBURSED_ON + timedelta(days=1))
        await b.react(disbursed(), on=DISBURSED_ON)
        assert (await b.get(path, role=role)).status_code == status


async def test_nobody_asks_without_a_token(bench: Make):
    async with bench(service) as b:
        assert (await b.http.get("/v1/ledger")).status_code == 401
