"""From referral to reconciled findings, through the real doors on real PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from libs.events.application import ApplicationSubmitted, InvestigationDisputed, InvestigationReconciled
from tests.application.story import PLANTED, TODAY, TRAINED, Story, figures, money


async def test_two_equal_findings_are_reconciled_to_the_prudent_one(story: Story) -> None:
    await story.begin()
    assert (await story.submit()).json()["mode"] == "joint"
    first = await story.done(
        "investigations", {"figures": figures(annual_sales="3900000")}, role="customer_manager", actor="wang"
    )
    assert first["status"] == "open"
    sealed = await story.facility()
    assert sealed["investigation"]["filed_by"] == ["wang"]
    assert sealed["figures"] is None
    second = await story.done(
        "investigations", {"figures": figures(total_liabilities="1230000")}, role="customer_manager", actor="li"
    )
    assert second["status"] == "reconciled"
    assert await story.bench.names() == [
        "referral.received",
        "consent.granted",
        "application.submitted",
        "investigation.opened",
        "investigation.filed",
        "investigation.filed",
        "investigation.reconciled",
    ]
    reconciled = (await story.bench.published())[-1]
    assert isinstance(reconciled, InvestigationReconciled)
    assert reconciled.figures.annual_sales.amount == 3900000
    assert reconciled.figures.total_liabilities.amount == 1230000
    assert [difference.field for difference in reconciled.differences] == ["annual_sales", "total_liabilities"]
    assert reconciled.resolved_by == ""


async def test_a_dispute_waits_for_a_third_person(story: Story) -> None:
    await story.begin()
    await story.submit()
    for actor, sales in (("li", "4000000"), ("wang", "3799999.99")):
        body = {"figures": figures(annual_sales=sales)}
        state = await story.done("investigations", body, role="customer_manager", actor=actor)
    assert state["status"] == "disputed"
    disputed = (await story.bench.published())[-1]
    assert isinstance(disputed, InvestigationDisputed)
    settled: dict[str, Any] = {"figures": figures(annual_sales="3850000")}
    own = await story.post("investigations/resolution", settled, role="customer_manager", actor="li")
    assert (own.status_code, own.json()["code"]) == (403, "maker_is_checker")
    done = await story.done("investigations/resolution", settled, role="customer_manager", actor="zhao")
    assert done["status"] == "reconciled"
    reconciled = (await story.bench.published())[-1]
    assert isinstance(reconciled, InvestigationReconciled)
    assert reconciled.resolved_by == "zhao"
    assert reconciled.differences == disputed.differences
    again = await story.post("investigations/resolution", settled, role="customer_manager", actor="zhao")
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_resolve")


async def test_an_investigator_files_once_and_nobody_else_files(story: Story) -> None:
    await story.begin()
    await story.submit()
    body = {"figures": figures()}
    await story.done("investigations", body, role="customer_manager", actor="li")
    again = await story.post("investigations", body, role="customer_manager", actor="li")
    assert (again.status_code, again.json()["code"]) == (409, "already_filed")
    stranger = await story.post("investigations", body, role="customer_manager", actor="zhao")
    assert (stranger.status_code, stranger.json()["code"]) == (403, "not_investigator")


async def test_a_finding_in_another_currency_is_invalid(story: Story) -> None:
    await story.begin()
    await story.submit()
    dollars = {name: {**value, "currency": "USD"} for name, value in figures().items()}
    answer = await story.post("investigations", {"figures": dollars}, role="customer_manager", actor="li")
    assert (answer.status_code, answer.json()["code"]) == (422, "currency_mismatch")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"assistant": "li"}, 422, "same_investigator"),
        ({"assistant": "nobody"}, 422, "staff_unknown"),
        ({"assistant": "sun"}, 403, "role_not_held"),
        ({"amount": money("10000000.01")}, 409, "amount_above_maximum"),
        ({"amount": money("0.001")}, 422, "invalid_request"),
        ({"amount": {"amount": "1", "currency": "USD"}}, 422, "currency_not_lent"),
        ({"tenor_months": 37}, 409, "tenor_above_maximum"),
        ({"colour": "blue"}, 422, "invalid_request"),
    ],
)
async def test_an_application_that_cannot_be_taken_says_why(
    story: Story, changes: dict[str, Any], status: int, code: str
) -> None:
    await story.begin()
    answer = await story.submit(**changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await story.bench.names() == ["referral.received", "consent.granted"]


async def test_an_application_of_nothing_is_invalid(story: Story) -> None:
    await story.begin()
    answer = await story.submit(amount=money("0"))
    assert (answer.status_code, answer.json()["code"]) == (422, "amount_not_positive")


async def test_an_investigator_whose_training_lapsed_is_not_named(story: Story) -> None:
    await story.begin()
    lapsed = {
        "staff_id": "wang",
        "branch": "b1",
        "role": "customer_manager",
        "level": "sub-branch",
        "trained_until": "2025-09-07",
    }
    await story.register(lapsed)
    answer = await story.submit()
    assert (answer.status_code, answer.json()["code"]) == (403, "training_lapsed")


async def test_a_file_is_submitted_once(story: Story) -> None:
    await story.begin()
    assert (await story.submit()).status_code == 201
    again = await story.submit()
    assert (again.status_code, again.json()["code"]) == (409, "wrong_status")


async def test_without_consent_there_is_no_referral(story: Story) -> None:
    await story.bench.open(TODAY)
    body = {"external_ref": "x", "channel": "c", "branch": "b1", "borrower": PLANTED, "consent": False}
    answer = await story.bench.post("/v1/referrals", body, role="customer_manager", actor="li")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_only_an_admin_registers_staff_and_the_newest_record_counts(story: Story) -> None:
    await story.bench.open(TODAY)
    body = {"staff_id": "li", "branch": "b1", "role": "reviewer", "level": "branch", "trained_until": TRAINED}
    assert (await story.bench.post("/v1/staff", body, role="customer_manager")).status_code == 403
    assert (await story.bench.post("/v1/staff", body, role="admin")).status_code == 201
    promoted = {**body, "level": "head office"}
    blind = await story.bench.post("/v1/staff", promoted, role="admin")
    assert (blind.status_code, blind.json()["code"]) == (428, "if_match_needed")
    seen = await story.bench.get("/v1/staff/li", role="admin")
    answer = await story.bench.post("/v1/staff", promoted, role="admin", if_match=seen.headers["etag"])
    assert (answer.status_code, answer.json()["level"]) == (201, "head office")
    assert (await story.bench.get("/v1/staff/li", role="auditor")).json() == promoted


async def test_nobody_takes_an_employee_of_another_branch_onto_their_own_register(story: Story) -> None:
    await story.bench.open(TODAY)
    body = {"staff_id": "li", "branch": "b1", "role": "reviewer", "level": "branch", "trained_until": TRAINED}
    assert (await story.bench.post("/v1/staff", body, role="admin")).status_code == 201
    seen = (await story.bench.get("/v1/staff/li", role="admin")).headers["etag"]
    for org, branch in (("b2", "b2"), ("b2", "b1"), ("b1", "b2")):
        moved = await story.bench.post("/v1/staff", {**body, "branch": branch}, role="admin", org=org, if_match=seen)
        assert (moved.status_code, moved.json()["code"]) == (403, "other_branch")
    moved = await story.bench.post("/v1/staff", {**body, "branch": "b2"}, role="admin", org="", if_match=seen)
    assert moved.status_code == 201
    assert (await story.bench.get("/v1/staff/li", role="admin", org="b1")).status_code == 403


async def test_what_was_applied_for_travels_whole(story: Story) -> None:
    await story.begin()
    await story.submit(annual_rate="0.0435", security=[], agreement="")
    submitted = next(body for body in await story.bench.published() if isinstance(body, ApplicationSubmitted))
    assert str(submitted.annual_rate) == "0.0435"
    assert (submitted.security, submitted.agreement) == ((), "")
    assert submitted.declared.annual_profit.amount == 300000


async def test_a_referral_repeated_at_once_and_later_opens_one_file(story: Story) -> None:
    await story.bench.open(TODAY)
    body = {"external_ref": "x", "channel": "c", "branch": "b1", "borrower": PLANTED, "consent": True}

    async def refer() -> httpx.Response:
        return await story.bench.post("/v1/referrals", body, role="customer_manager", actor="li", key="once")

    answers = [*await asyncio.gather(*(refer() for _ in range(20))), await refer()]
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 20
    assert await story.bench.names() == ["referral.received", "consent.granted"]
    async with story.bench.parts.transaction() as unit:
        rows = await unit.sql("SELECT key, seq, version, org FROM stream")
    assert rows == [{"key": answers[0].json()["facility_id"], "seq": 2, "version": 1, "org": "b1"}]
