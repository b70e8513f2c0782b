"""Review and decision through the real doors: complete files, maker and checker apart, authority, reasons."""

from __future__ import annotations

from datetime import date

import pytest

from libs.events.application import ApplicationApproved, ApplicationRefused, ApplicationReviewed, FacilityGranted
from tests.application.story import TODAY, TRAINED, Story, cny, money

OPINION = {"opinion": "sound"}


async def test_a_review_of_an_incomplete_file_names_what_is_missing(story: Story) -> None:
    await story.begin()
    await story.submit()
    answer = await story.post("review", OPINION, role="reviewer", actor="sun")
    assert (answer.status_code, answer.json()["code"]) == (409, "facts_incomplete")
    assert answer.json()["missing"] == "investigation,information,rating,valuation,cover"
    assert (await story.facility())["missing"] == ["investigation", "information", "rating", "valuation", "cover"]


async def test_facts_that_come_before_the_findings_are_kept(story: Story) -> None:
    await story.begin()
    await story.submit()
    await story.bench.react(story.valued(), story.bound(), on=TODAY)
    facility = await story.facility()
    assert facility["missing"] == ["investigation", "information", "rating"]
    assert facility["cover"] == "bound"


async def test_facts_leave_the_same_file_in_any_order(story: Story) -> None:
    await story.investigated()
    await story.bench.react(story.bound(), story.perfected(), on=TODAY)
    await story.bench.react(story.rated(), on=TODAY)
    await story.bench.react(story.valued(), story.verified(), on=TODAY)
    assert await story.bench.parked() == []
    facility = await story.facility()
    assert facility["missing"] == []
    assert (facility["grade"], facility["information"], facility["size_class"]) == ("A", "verified", "small")
    assert facility["items"][0]["perfected"] is True


async def test_a_fact_about_a_file_we_do_not_have_parks(story: Story) -> None:
    await story.bench.open(TODAY)
    story.facility_id = "unheard-of"
    await story.bench.react(story.rated(), on=TODAY)
    (reason,) = await story.bench.parked()
    assert reason.startswith("not_found")


async def test_an_approval_grants_the_limit_for_a_year(story: Story) -> None:
    await story.complete()
    ours = await story.done("review", OPINION, role="reviewer", actor="sun")
    assert ours == {"recommendation": "approve", "reasons": []}
    decided = await story.done("decision", {"decision": "approve"}, role="approver", actor="qian")
    assert decided["status"] == "approved"
    reviewed, approved, granted = (await story.bench.published())[-3:]
    assert isinstance(reviewed, ApplicationReviewed)
    assert isinstance(approved, ApplicationApproved)
    assert (approved.approver, approved.grade, approved.recommendation) == ("qian", "A", "approve")
    assert isinstance(granted, FacilityGranted)
    assert (granted.limit, granted.valid_until) == (cny("1000000"), date(2026, 9, 8))


async def test_a_refusal_is_an_event_with_reasons_and_the_end_of_the_file(story: Story) -> None:
    await story.reviewed()
    silent = await story.post("decision", {"decision": "refuse"}, role="approver", actor="qian")
    assert (silent.status_code, silent.json()["code"]) == (422, "reason_required")
    body = {"decision": "refuse", "reasons": ["concentration"]}
    assert (await story.done("decision", body, role="approver", actor="qian"))["status"] == "refused"
    refused = (await story.bench.published())[-1]
    assert isinstance(refused, ApplicationRefused)
    assert (refused.decided_by, refused.reasons) == ("qian", ("concentration",))
    assert (await story.bench.policies())[-1] == "application/review@2025-07-01"
    late = await story.post("contract", {"contract_no": "HT"}, role="customer_manager", actor="li")
    assert (late.status_code, late.json()["code"]) == (409, "wrong_status")
    await story.bench.react(story.cover_refused(), on=TODAY)
    assert await story.bench.parked() == []


async def test_a_weak_file_is_recommended_for_refusal_and_approved_only_with_a_reason(story: Story) -> None:
    await story.investigated()
    await story.bench.react(story.disputed(), story.rated("C"), story.valued(), story.bound(), on=TODAY)
    ours = await story.done("review", OPINION, role="reviewer", actor="sun")
    assert ours == {"recommendation": "refuse", "reasons": ["information_disputed", "grade_below_minimum"]}
    silent = await story.post("decision", {"decision": "approve"}, role="approver", actor="zhou")
    assert (silent.status_code, silent.json()["code"]) == (422, "reason_required")
    body = {"decision": "approve", "reasons": ["orders seen"]}
    beyond = await story.post("decision", body, role="approver", actor="qian")
    assert (beyond.status_code, beyond.json()["code"]) == (403, "authority_exceeded")
    decided = await story.done("decision", body, role="approver", actor="zhou")
    assert (decided["status"], decided["recommendation"]) == ("approved", "refuse")


async def test_a_branch_does_not_approve_beyond_its_amount(story: Story) -> None:
    await story.investigated(amount=money("5000000.01"))
    await story.bench.react(story.verified(), story.rated("B"), story.valued(), story.bound(), on=TODAY)
    await story.done("review", OPINION, role="reviewer", actor="sun")
    body = {"decision": "approve", "reasons": ["orders seen"]}
    answer = await story.post("decision", body, role="approver", actor="qian")
    assert (answer.status_code, answer.json()["code"]) == (403, "authority_exceeded")


@pytest.mark.parametrize(("actor", "role"), [("li", "reviewer"), ("zhao", "reviewer"), ("nobody", "reviewer")])
async def test_only_a_registered_reviewer_outside_the_file_reviews(story: Story, actor: str, role: str) -> None:
    await story.complete()
    answer = await story.post("review", OPINION, role=role, actor=actor)
    assert answer.status_code == 403


async def test_nobody_who_worked_on_the_file_decides_it(story: Story) -> None:
    await story.reviewed()
    for maker in ("li", "sun"):  # promoted since: the register says approver, the file remembers them
        body = {
            "staff_id": maker,
            "branch": "b1",
            "role": "approver",
            "level": "head office",
            "trained_until": TRAINED,
        }
        await story.register(body)
        answer = await story.post("decision", {"decision": "approve"}, role="approver", actor=maker)
        assert (answer.status_code, answer.json()["code"]) == (403, "maker_is_checker")


async def test_lapsed_training_decides_nothing(story: Story) -> None:
    await story.reviewed()
    await story.bench.open(date(2030, 1, 1))
    answer = await story.post("decision", {"decision": "approve"}, role="approver", actor="qian")
    assert (answer.status_code, answer.json()["code"]) == (403, "training_lapsed")


async def test_a_file_without_agreement_waits_for_no_cover(story: Story) -> None:
    await story.investigated(agreement="", security=[], amount=money("1000000"))
    await story.bench.react(story.verified(), story.rated(), on=TODAY)
    ours = await story.done("review", OPINION, role="reviewer", actor="sun")
    assert ours["reasons"] == ["security_insufficient"]


async def test_a_role_that_does_not_belong_is_turned_away_at_the_door(story: Story) -> None:
    await story.complete()
    answer = await story.post("review", OPINION, role="customer_manager", actor="sun")
    assert (answer.status_code, answer.json()["code"]) == (403, "role_needed")
