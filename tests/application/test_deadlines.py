"""Every wait of lending ends: by what was waited for, or on its day under its own name; the clock keeps no debris."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from libs.events.application import ApplicationRefused, DisbursementFailed, DisbursementUnknown
from libs.events.guarantee import CapacityReserved
from libs.events.guarantee_upkeep import DisbursementNoticeIssued
from libs.kernel.policy import in_force
from libs.runtime.policies import read_versions
from services.application.commands.deadlines import ANSWER, CONDITIONS, DECISION
from services.application.commands.drawing import LOOK, PAY_OUT
from tests.application.story import TODAY, Story, cny, schedule

VERSION = in_force(read_versions("application/deadlines"), TODAY)
assert VERSION is not None
DECIDE_BY, READY_BY, ANSWER_BY = (
    TODAY + timedelta(days=VERSION.terms[wait]) for wait in ("decision_days", "drawdown_days", "disbursement_days")
)
ONE_DAY = timedelta(days=1)


async def timers(story: Story) -> list[tuple[str, date]]:
    """What the clock still holds, earliest first."""
    async with story.bench.parts.engine.connect() as conn:
        rows = await conn.exec_driver_sql("SELECT kind, due FROM timers ORDER BY due, kind")
        return [(kind, due) for kind, due in rows]


async def told(story: Story, body: type) -> list[Any]:
    return [event for event in await story.bench.published() if isinstance(event, body)]


async def waiting_for_security(story: Story) -> None:
    """Drawn and signed, the interest in the house not yet registered."""
    await story.signed()
    await story.draw()


async def ordered(story: Story) -> None:
    """Core banking was told to pay and has not answered."""
    await waiting_for_security(story)
    await story.bench.react(story.perfected(), on=TODAY)


async def test_an_undecided_file_is_refused_on_the_last_day_and_not_before(story: Story) -> None:
    await story.investigated()
    await story.bench.react(story.verified(), story.valued(), on=TODAY)
    assert await timers(story) == [(DECISION, DECIDE_BY)]
    await story.bench.tick(DECIDE_BY - ONE_DAY)
    assert await told(story, ApplicationRefused) == []
    await story.bench.tick(DECIDE_BY)
    (refused,) = await told(story, ApplicationRefused)
    assert refused.decided_by == "system:deadline"
    assert refused.reasons == ("deadline_passed", "rating_missing", "cover_missing")
    file = await story.facility()
    assert (file["status"], file["decision_reasons"]) == ("refused", list(refused.reasons))
    assert await timers(story) == []


async def test_a_file_that_nobody_investigated_says_so(story: Story) -> None:
    await story.begin()
    assert (await story.submit(agreement="", security=[])).status_code == 201
    await story.bench.tick(DECIDE_BY)
    (refused,) = await told(story, ApplicationRefused)
    assert refused.reasons == (
        "deadline_passed",
        "investigation_missing",
        "information_missing",
        "rating_missing",
    )


async def test_a_complete_file_lacks_its_review(story: Story) -> None:
    await story.complete()
    await story.bench.tick(DECIDE_BY)
    assert (await told(story, ApplicationRefused))[0].reasons == ("deadline_passed", "review_missing")


async def test_a_review_does_not_end_the_wait_for_the_decision(story: Story) -> None:
    await story.reviewed()
    assert await timers(story) == [(DECISION, DECIDE_BY)]
    await story.bench.tick(DECIDE_BY)
    assert (await told(story, ApplicationRefused))[0].reasons == ("deadline_passed", "decision_missing")


@pytest.mark.parametrize("decision", ["approve", "refuse"])
async def test_a_decision_ends_the_wait(story: Story, decision: str) -> None:
    await story.reviewed()
    body = {"decision": decision, "reasons": ["seen on site"]}
    await story.done("decision", body, role="approver", actor="qian")
    assert await timers(story) == []
    before = await story.bench.names()
    await story.bench.tick(DECIDE_BY)
    assert await story.bench.names() == before


async def test_facts_after_the_deadline_are_stored_and_reopen_nothing(story: Story) -> None:
    await story.investigated()
    await story.bench.tick(DECIDE_BY)
    before = await story.bench.names()
    late = (story.rated(), story.verified(), story.bound(), story.valued(), story.perfected())
    await story.bench.react(*late, on=DECIDE_BY)
    assert await story.bench.parked() == []
    assert await story.bench.names() == before
    answer = await story.post("review", {"opinion": "sound"}, role="reviewer", actor="sun")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_status")


async def test_a_drawdown_whose_conditions_stay_unmet_fails_on_the_last_day(story: Story) -> None:
    await waiting_for_security(story)
    assert await timers(story) == [(CONDITIONS, READY_BY)]
    await story.bench.tick(READY_BY - ONE_DAY)
    assert (await story.loan())["status"] == "requested"
    await story.bench.tick(READY_BY)
    (failed,) = await told(story, DisbursementFailed)
    assert (failed.loan_id, failed.reason) == (story.loan_id, "conditions_not_met_in_time:security")
    assert (await story.loan())["status"] == "failed"
    assert await timers(story) == []


async def test_every_unmet_condition_is_named(story: Story) -> None:
    await story.approved()
    await story.draw()
    await story.bench.tick(READY_BY)
    assert (await told(story, DisbursementFailed))[0].reason == "conditions_not_met_in_time:contract,security"


async def test_a_late_condition_pays_nothing_and_the_limit_is_free_again(story: Story) -> None:
    await waiting_for_security(story)
    await story.bench.tick(READY_BY)
    await story.bench.react(story.perfected(), on=READY_BY)
    assert await story.bench.calls() == []
    assert "disbursement.requested" not in await story.bench.names()
    lapsed = story.loan_id
    assert (await story.draw(schedule("400000", "600000")))["status"] == "disbursing"
    assert [reference for _, reference, _ in await story.bench.calls()] == [story.loan_id]
    assert story.loan_id != lapsed


@pytest.mark.parametrize("security_first", [True, False])
async def test_the_last_condition_ends_the_wait_in_whatever_order_they_come(story: Story, security_first: bool) -> None:
    await story.approved()
    await story.draw()
    sign = ("contract", {"contract_no": "HT-1"})
    if security_first:
        await story.bench.react(story.perfected(), story.bound(), on=TODAY)
    await story.done(*sign, role="customer_manager", actor="li")
    if not security_first:
        await story.bench.react(story.bound(), story.perfected(), on=TODAY)
    assert await timers(story) == [(ANSWER, ANSWER_BY)]
    await story.bench.answer(PAY_OUT, 200, paid=True)
    await story.bench.tick(READY_BY)
    assert (await story.loan())["status"] == "active"
    assert await told(story, DisbursementFailed) == []


async def test_a_drawdown_that_is_ready_at_once_waits_only_for_the_answer(story: Story) -> None:
    await story.disbursed()
    assert [kind for kind, _ in await timers(story)] == [LOOK]


@pytest.mark.parametrize(("status", "body"), [(200, {"paid": True}), (409, {"reason": "account closed"})])
async def test_any_answer_ends_the_wait_for_it(story: Story, status: int, body: dict[str, Any]) -> None:
    await ordered(story)
    await story.bench.answer(PAY_OUT, status, **body)
    assert ANSWER not in [kind for kind, _ in await timers(story)]
    await story.bench.tick(ANSWER_BY)
    assert await told(story, DisbursementUnknown) == []


async def test_an_answer_that_stays_away_is_told_once_and_nothing_is_assumed(story: Story) -> None:
    await ordered(story)
    await story.bench.tick(ANSWER_BY - ONE_DAY)
    assert await told(story, DisbursementUnknown) == []
    for days in range(3):
        await story.bench.tick(ANSWER_BY + timedelta(days=days))
    (unknown,) = await told(story, DisbursementUnknown)
    assert (unknown.loan_id, unknown.reference, unknown.since) == (story.loan_id, story.loan_id, TODAY)
    assert (await story.loan())["status"] == "disbursing"
    assert (await story.facility())["loan_id"] == story.loan_id
    assert len(await story.bench.calls()) == 1
    assert await timers(story) == []


@pytest.mark.parametrize(
    ("status", "paid", "stands", "last"),
    [(200, True, "active", "loan.disbursed"), (200, False, "failed", "disbursement.failed")],
)
async def test_an_answer_after_its_deadline_still_counts(
    story: Story, status: int, paid: bool, stands: str, last: str
) -> None:
    await ordered(story)
    await story.bench.tick(ANSWER_BY)
    await story.bench.answer(PAY_OUT, status, paid=paid)
    assert (await story.loan())["status"] == stands
    names = await story.bench.names()
    assert names.index("disbursement.unknown") < names.index(last)


async def promised(story: Story) -> None:
    """Approved on a cover that the partner binds only afterwards, contract and security done, drawdown asked for."""
    await story.investigated()
    held = CapacityReserved(
        facility_id=story.facility_id,
        cover_id="cover",
        agreement="reg-4321",
        amount=cny("800000"),
        bind_after_approval=True,
    )
    await story.bench.react(story.verified(), story.rated(), held, story.valued(), story.perfected(), on=TODAY)
    ours = await story.done("review", {"opinion": "sound"}, role="reviewer", actor="sun")
    assert ours["recommendation"] == "approve"
    await story.done("decision", {"decision": "approve"}, role="approver", actor="qian")
    await story.done("contract", {"contract_no": "HT-1"}, role="customer_manager", actor="li")
    assert (await story.draw())["waits_for"] == ["cover"]


async def test_money_waits_for_the_bind_after_the_approval_and_then_for_the_guarantors_notice(story: Story) -> None:
    await promised(story)
    await story.bench.react(replace(story.bound(), notice_needed=True), on=TODAY)
    assert await story.bench.calls() == []
    notice = DisbursementNoticeIssued(
        facility_id=story.facility_id, cover_id="cover", partner="p", amount=cny("1000000"), notice="F-1"
    )
    await story.bench.react(notice, on=TODAY)
    assert [kind for kind, _, _ in await story.bench.calls()] == [PAY_OUT]


@pytest.mark.parametrize(("bound", "lacking"), [(True, "disbursement_notice"), (False, "cover")])
async def test_a_notice_or_a_bind_that_never_comes_ends_the_drawdown_by_name(
    story: Story, bound: bool, lacking: str
) -> None:
    await promised(story)
    # A refusal after the approval is no leave to pay: the approval counted on the cover.
    after = replace(story.bound(), notice_needed=True) if bound else story.cover_refused()
    await story.bench.react(after, on=TODAY)
    assert await story.bench.calls() == []
    await story.bench.tick(READY_BY)
    (failed,) = await told(story, DisbursementFailed)
    assert failed.reason == f"conditions_not_met_in_time:{lacking}"
