"""Drawdown, pay-out, repayment, arrears, inspection: the loan's life through the real doors on real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest

from libs.events.application import (
    DisbursementFailed,
    InspectionCompleted,
    LoanClosed,
    LoanOverdue,
    LoanReclassified,
    ProvisionChanged,
    RepaymentReceived,
)
from services.application.commands.drawing import PAY_OUT
from tests.application.story import DUES, TODAY, Story, cny, money, schedule


async def test_core_banking_is_told_once_when_the_last_condition_is_met(story: Story) -> None:
    await story.approved()
    drawn = await story.draw()
    assert (drawn["status"], drawn["waits_for"]) == ("requested", ["contract", "security"])
    await story.done("contract", {"contract_no": "HT-1"}, role="customer_manager", actor="li")
    assert await story.bench.calls() == []
    await story.bench.react(story.perfected(), on=TODAY)
    ((kind, reference, request),) = await story.bench.calls()
    assert (kind, reference) == (PAY_OUT, story.loan_id)
    assert request == {
        "facility_ref": story.facility_id,
        "amount": "1000000.00",
        "currency": "CNY",
        "business_date": "2025-09-08",
    }
    await story.bench.react(story.perfected(), on=TODAY)  # a corrected registration pays nothing again
    assert (await story.bench.names()).count("disbursement.requested") == 1


async def test_a_facility_without_cover_is_paid_on_contract_and_security_alone(story: Story) -> None:
    await story.investigated(agreement="")
    await story.bench.react(story.verified(), story.rated(), story.valued("1000000"), story.perfected(), on=TODAY)
    await story.done("review", {"opinion": "sound"}, role="reviewer", actor="sun")
    await story.done("decision", {"decision": "approve"}, role="approver", actor="qian")
    await story.done("contract", {"contract_no": "HT-1"}, role="customer_manager", actor="li")
    assert (await story.draw())["status"] == "disbursing"


async def test_a_refused_cover_that_the_approver_accepted_does_not_hold_the_money(story: Story) -> None:
    await story.investigated()
    facts = (story.verified(), story.rated(), story.valued("1000000"), story.cover_refused(), story.perfected())
    await story.bench.react(*facts, on=TODAY)
    ours = await story.done("review", {"opinion": "sound"}, role="reviewer", actor="sun")
    assert ours == {"recommendation": "approve", "reasons": ["cover_refused"]}
    await story.done("decision", {"decision": "approve"}, role="approver", actor="qian")
    await story.done("contract", {"contract_no": "HT-1"}, role="customer_manager", actor="li")
    assert (await story.draw())["waits_for"] == []
    assert len(await story.bench.calls()) == 1


async def test_the_loan_begins_provided_for_and_names_who_stood_for_it(story: Story) -> None:
    event = await story.disbursed()
    assert (event.lead, event.assistant, event.reviewer, event.approver) == ("li", "wang", "sun", "qian")
    assert (event.amount, event.maturity, event.grade) == (cny("1000000"), DUES[-1], "A")
    provided = (await story.bench.published())[-1]
    assert isinstance(provided, ProvisionChanged)
    assert (provided.before, provided.after, provided.risk_class) == (cny(0), cny("10000"), "normal")
    loan = await story.loan()
    assert (loan["status"], loan["outstanding"]) == ("active", {"amount": "1000000.00", "currency": "CNY"})


async def test_a_declined_pay_out_moves_no_money_and_frees_the_limit(story: Story) -> None:
    await story.signed()
    await story.bench.react(story.perfected(), on=TODAY)
    await story.draw()
    await story.bench.answer(PAY_OUT, 409, reason="account closed")
    failed = (await story.bench.published())[-1]
    assert isinstance(failed, DisbursementFailed)
    assert failed.reason == "account closed"
    assert (await story.loan())["status"] == "failed"
    first = story.loan_id
    assert (await story.draw())["status"] == "disbursing"
    assert story.loan_id != first


async def test_a_success_that_says_unpaid_is_a_decline(story: Story) -> None:
    await story.signed()
    await story.bench.react(story.perfected(), on=TODAY)
    await story.draw()
    await story.bench.answer(PAY_OUT, 200, paid=False)
    assert (await story.bench.names())[-1] == "disbursement.failed"


async def test_only_one_loan_is_drawn_under_a_facility(story: Story) -> None:
    await story.disbursed()
    body = {"amount": money("1"), "schedule": [{"due": DUES[0].isoformat(), "principal": money("1")}]}
    answer = await story.post("drawdowns", body, role="customer_manager", actor="li")
    assert (answer.status_code, answer.json()["code"]) == (409, "already_drawn")


@pytest.mark.parametrize(
    ("amount", "plan", "status", "code"),
    [
        ("1000000", ("400000", "599999.99"), 422, "schedule_not_amount"),
        ("1000000.01", ("400000", "600000.01"), 409, "above_limit"),
    ],
)
async def test_a_drawdown_outside_the_facility_is_refused(
    story: Story, amount: str, plan: tuple[str, str], status: int, code: str
) -> None:
    await story.signed()
    body = {"amount": money(amount), "schedule": schedule(*plan)}
    answer = await story.post("drawdowns", body, role="customer_manager", actor="li")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_loan_repaid_as_planned_closes_quietly(story: Story) -> None:
    await story.disbursed()
    told = len(await story.bench.names())
    await story.bench.tick(DUES[0])
    first = await story.repay("400000", "p1", interest="8000")
    assert first.json()["outstanding"]["amount"] == "600000.00"
    await story.bench.tick(date(2025, 12, 21))
    await story.bench.tick(DUES[1])
    last = await story.repay("600000", "p2", interest="12000")
    assert (last.status_code, last.json()["status"]) == (201, "closed")
    assert (await story.bench.names())[told:] == [
        "repayment.received",
        "repayment.received",
        "provision.changed",
        "loan.closed",
    ]
    closed = (await story.bench.published())[-1]
    assert isinstance(closed, LoanClosed)
    assert closed.outcome == "repaid"
    await story.bench.tick(date(2026, 3, 21))
    assert len(await story.bench.names()) == told + 4
    assert (await story.facility())["status"] == "closed"


async def test_money_that_cannot_be_booked_says_why(story: Story) -> None:
    await story.disbursed()
    assert (await story.repay("1000000.01", "p1")).json()["code"] == "principal_above_outstanding"
    assert (await story.repay("0", "p1")).json()["code"] == "repayment_empty"
    assert (await story.repay("1", "p1")).status_code == 201
    assert (await story.repay("1", "p1")).json()["code"] == "payment_already_booked"
    body = {"principal": money("1"), "interest": money("0"), "reference": "p2"}
    other = await story.post("loans/unheard-of/repayments", body, role="core_bank", actor="core")
    assert (other.status_code, other.json()["code"]) == (404, "not_found")


async def test_a_missed_due_date_walks_down_the_classes(story: Story) -> None:
    await story.disbursed()
    told = len(await story.bench.names())
    await story.bench.tick(DUES[0])
    assert len(await story.bench.names()) == told
    await story.missed(361)
    events = (await story.bench.published())[told:]
    overdue = events[0]
    assert isinstance(overdue, LoanOverdue)
    assert (overdue.since, overdue.days_past_due, overdue.outstanding) == (DUES[0], 1, cny("1000000"))
    steps = [(e.before, e.after, e.days_past_due, e.npl) for e in events if isinstance(e, LoanReclassified)]
    assert steps == [
        ("normal", "special_mention", 1, False),
        ("special_mention", "substandard", 91, True),
        ("substandard", "doubtful", 271, True),
        ("doubtful", "loss", 361, True),
    ]
    provisions = [(e.before, e.after) for e in events if isinstance(e, ProvisionChanged)]
    assert provisions == [
        (cny("10000"), cny("20000")),
        (cny("20000"), cny("250000")),
        (cny("250000"), cny("500000")),
        (cny("500000"), cny("1000000")),
    ]
    assert len(events) == 9


async def test_a_skipped_month_gives_the_class_of_the_day(story: Story) -> None:
    await story.disbursed()
    told = len(await story.bench.names())
    await story.bench.tick(date(2026, 12, 31))
    assert (await story.bench.names())[told:] == ["loan.overdue", "loan.reclassified", "provision.changed"]
    assert (await story.loan())["risk_class"] == "loss"


async def test_arrears_cleared_cure_the_loan_and_it_is_normal_again(story: Story) -> None:
    await story.disbursed()
    await story.missed(1)
    told = len(await story.bench.names())
    assert (await story.repay("399999.99", "p1")).json()["risk_class"] == "special_mention"
    assert (await story.repay("0.01", "p2")).json()["risk_class"] == "normal"
    assert (await story.bench.names())[told:] == [
        "repayment.received",
        "repayment.received",
        "loan.cured",
        "loan.reclassified",
        "provision.changed",
    ]
    assert (await story.loan())["provision"]["amount"] == "6000.00"


async def test_a_bad_loan_repaid_in_full_is_cured_and_closed(story: Story) -> None:
    await story.disbursed()
    await story.missed(91)
    assert (await story.repay("999999.99", "p1")).json()["risk_class"] == "substandard"
    assert (await story.loan())["overdue_since"] == DUES[1].isoformat()
    told = len(await story.bench.names())
    await story.repay("0.01", "p2")
    assert (await story.bench.names())[told:] == [
        "repayment.received",
        "loan.cured",
        "provision.changed",
        "loan.closed",
    ]


async def test_a_cured_bad_loan_stays_bad_until_its_clean_period_is_over(story: Story) -> None:
    plan = {"2025-12-20": "400000", "2026-06-20": "200000", "2026-09-20": "200000", "2027-03-20": "200000"}
    await story.complete(tenor_months=24)
    await story.bench.react(story.perfected(), on=TODAY)
    await story.done("review", {"opinion": "sound"}, role="reviewer", actor="sun")
    await story.done("decision", {"decision": "approve"}, role="approver", actor="qian")
    await story.done("contract", {"contract_no": "HT-1"}, role="customer_manager", actor="li")
    await story.draw([{"due": due, "principal": money(amount)} for due, amount in plan.items()])
    await story.bench.answer(PAY_OUT, 200, paid=True)
    await story.missed(91)
    assert (await story.repay("400000", "p1")).json()["risk_class"] == "substandard"
    for number, due in enumerate(("2026-06-20", "2026-09-20"), start=2):
        await story.bench.tick(date.fromisoformat(due))
        assert (await story.repay("200000", f"p{number}")).json()["risk_class"] == "substandard"
    told = len(await story.bench.names())
    await story.bench.tick(date(2026, 9, 21))  # six months and two instalments after the cure of 2026-03-21
    assert (await story.bench.names())[told:] == ["loan.reclassified", "provision.changed"]
    assert (await story.loan())["provision"]["amount"] == "2000.00"


async def test_an_inspection_is_recorded_with_its_evidence_by_somebody_outside_the_file(story: Story) -> None:
    await story.disbursed()
    path = f"loans/{story.loan_id}/inspections"
    finding = {"code": "falsified_file", "staff": "li", "evidence": "invoice 17 does not exist"}
    own = await story.post(path, {"findings": [finding]}, role="inspector", actor="wang")
    assert (own.status_code, own.json()["code"]) == (403, "maker_is_checker")
    unknown = await story.post(path, {"findings": [{**finding, "staff": "x"}]}, role="inspector", actor="ins")
    assert (unknown.status_code, unknown.json()["code"]) == (422, "staff_unknown")
    bare = await story.post(path, {"findings": [{**finding, "evidence": ""}]}, role="inspector", actor="ins")
    assert (bare.status_code, bare.json()["code"]) == (422, "invalid_request")
    assert (await story.done(path, {"findings": [finding]}, role="inspector", actor="ins"))["findings"] == 1
    inspected = (await story.bench.published())[-1]
    assert isinstance(inspected, InspectionCompleted)
    assert (inspected.inspector, inspected.findings[0].staff) == ("ins", "li")
    assert (await story.done(path, {}, role="inspector", actor="ins"))["findings"] == 0


async def test_a_loan_that_was_not_paid_out_is_not_inspected(story: Story) -> None:
    await story.signed()
    await story.draw()
    answer = await story.post(f"loans/{story.loan_id}/inspections", {}, role="inspector", actor="ins")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_paid_out")


async def test_of_many_drawdowns_at_once_one_is_taken(story: Story) -> None:
    await story.signed()
    body = {"amount": money("1000000"), "schedule": schedule("400000", "600000")}
    answers = await asyncio.gather(
        *(story.post("drawdowns", body, role="customer_manager", actor="li") for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]
    assert (await story.bench.names()).count("drawdown.requested") == 1


async def test_of_many_repayments_at_once_every_cent_is_booked_and_none_twice(story: Story) -> None:
    await story.disbursed()
    answers = await asyncio.gather(*(story.repay("150000", f"p{number}") for number in range(8)))
    assert sorted(answer.status_code for answer in answers) == [*[201] * 6, 409, 409]
    assert (await story.loan())["outstanding"]["amount"] == "100000.00"
    told = [body.outstanding for body in await story.bench.published() if isinstance(body, RepaymentReceived)]
    assert told == [cny(1_000_000 - 150_000 * number) for number in range(1, 7)]
