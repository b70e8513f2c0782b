"""Claim, determination, write-off, recovery and the book, through the real doors on real PostgreSQL."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from libs.events.application import LoanClosed, LoanWrittenOff, RecoveryReceived
from libs.events.guarantee import ClaimAppealed, ClaimDenied, ClaimWithdrawn
from services.application.main import service
from tests.application.story import TODAY, Story, cny, money

LATE = date(2026, 12, 17)


async def bad(story: Story, days: int = 91) -> None:
    await story.disbursed()
    await story.missed(days)


async def test_write_off_waits_for_class_determination_and_claim(story: Story) -> None:
    await story.disbursed()
    await story.missed(1)
    assert (await story.write_off()).json()["code"] == "not_non_performing"
    await story.bench.tick(date(2026, 3, 21))
    assert (await story.write_off()).json()["code"] == "case_not_determined"
    await story.bench.react(story.claim_filed(), story.determined(), on=LATE)
    assert (await story.write_off()).json()["code"] == "claim_unanswered"
    await story.bench.react(story.claim_paid(), on=LATE)
    assert (await story.write_off("999999.99")).json()["code"] == "amount_not_outstanding"
    assert (await story.write_off()).status_code == 200
    assert (await story.write_off()).json()["code"] == "loan_not_active"


async def test_written_off_gross_less_the_partners_part_is_ours(story: Story) -> None:
    await bad(story)
    await story.bench.react(story.claim_filed(), story.claim_paid(), story.determined(), on=LATE)
    told = len(await story.bench.names())
    assert (await story.write_off()).json()["status"] == "written_off"
    events = (await story.bench.published())[told:]
    assert events[0] == LoanWrittenOff(
        facility_id=story.facility_id,
        loan_id=story.loan_id,
        gross=cny("1000000"),
        claim_paid=cny("800000"),
        net=cny("200000"),
    )
    assert (await story.bench.names())[told:] == ["loan.written_off", "provision.changed"]
    await story.bench.react(story.disposed("700000"), on=LATE)
    recovery, closed = (await story.bench.published())[-2:]
    assert isinstance(recovery, RecoveryReceived)
    assert (recovery.amount, recovery.final) == (cny("700000"), True)
    assert isinstance(closed, LoanClosed)
    assert closed.outcome == "written_off"
    assert (await story.loan())["status"] == "closed"
    await story.bench.tick(date(2027, 12, 31))
    assert (await story.bench.published())[-1] == closed


async def test_a_sale_before_the_write_off_is_booked_with_it(story: Story) -> None:
    await bad(story)
    await story.bench.react(story.disposed("1500000"), story.determined(), on=LATE)
    assert "recovery.received" not in await story.bench.names()
    told = len(await story.bench.names())
    assert (await story.write_off()).json()["status"] == "closed"
    assert (await story.bench.names())[told:] == [
        "loan.written_off",
        "provision.changed",
        "recovery.received",
        "loan.closed",
    ]
    recovery = (await story.bench.published())[-2]
    assert isinstance(recovery, RecoveryReceived)
    assert (recovery.amount, recovery.final) == (cny("1000000"), True)


async def test_the_loan_ends_when_the_last_item_is_sold(story: Story) -> None:
    item = {"kind": "house", "declared_value": money("1500000"), "index_series": "cn-house-hangzhou"}
    await story.investigated(security=[item, item])
    facts = (story.verified(), story.rated(), story.bound(), story.valued(), story.valued(item="c2"))
    await story.bench.react(*facts, story.perfected(), story.perfected("c2"), on=TODAY)
    await story.done("review", {"opinion": "sound"}, role="reviewer", actor="sun")
    await story.done("decision", {"decision": "approve"}, role="approver", actor="qian")
    await story.done("contract", {"contract_no": "HT-1"}, role="customer_manager", actor="li")
    await story.draw()
    await story.bench.answer("core_bank.disburse", 200)
    await story.missed(91)
    await story.bench.react(story.determined(), story.disposed("300000"), on=LATE)
    assert (await story.write_off()).json()["status"] == "written_off"
    await story.bench.react(story.disposed("0", "c2"), on=LATE)
    recoveries = [body for body in await story.bench.published() if isinstance(body, RecoveryReceived)]
    assert [(body.amount, body.final) for body in recoveries] == [(cny("300000"), False)]
    assert (await story.loan())["status"] == "closed"


@pytest.mark.parametrize("answer", [ClaimDenied, ClaimWithdrawn])
async def test_a_claim_that_came_to_nothing_frees_the_write_off(story: Story, answer: type) -> None:
    await bad(story)
    facts: dict[str, Any] = {"facility_id": story.facility_id, "cover_id": "cover", "claim_id": "k"}
    if answer is ClaimDenied:
        facts["reason"] = "late"
    await story.bench.react(story.claim_filed(), answer(**facts), story.determined(), on=LATE)
    assert (await story.write_off()).status_code == 200
    written_off = next(body for body in await story.bench.published() if isinstance(body, LoanWrittenOff))
    assert written_off.net == cny("1000000")


async def test_an_appealed_claim_holds_the_write_off_up_again(story: Story) -> None:
    await bad(story)
    named: dict[str, Any] = {"facility_id": story.facility_id, "cover_id": "cover", "claim_id": "k"}
    denied, appealed = ClaimDenied(**named, reason="late", appeal_by=LATE), ClaimAppealed(**named, grounds=("on_time",))
    await story.bench.react(story.claim_filed(), denied, appealed, story.determined(), on=LATE)
    answer = await story.write_off()
    assert (answer.status_code, answer.json()["code"]) == (409, "claim_unanswered")
    await story.bench.react(ClaimDenied(**named, reason="late"), on=LATE)
    assert (await story.write_off()).status_code == 200


async def test_an_investigator_does_not_write_off_his_own_loan(story: Story) -> None:
    await bad(story)
    await story.bench.react(story.determined(), on=LATE)
    promoted = {
        "staff_id": "li",
        "branch": "b1",
        "role": "approver",
        "level": "head office",
        "trained_until": "2029-12-31",
    }
    await story.register(promoted)
    answer = await story.write_off(actor="li")
    assert (answer.status_code, answer.json()["code"]) == (403, "maker_is_checker")


async def test_money_on_a_written_off_loan_is_no_repayment(story: Story) -> None:
    await bad(story)
    await story.bench.react(story.determined(), on=LATE)
    await story.write_off()
    answer = await story.repay("1", "p1")
    assert (answer.status_code, answer.json()["code"]) == (409, "loan_not_active")


async def test_a_claim_on_a_facility_without_a_loan_parks(story: Story) -> None:
    await story.signed()
    await story.bench.react(story.claim_filed(), on=TODAY)
    (reason,) = await story.bench.parked()
    assert reason.startswith("no_loan")


async def test_the_book_adds_up_by_class(story: Story) -> None:
    await bad(story)
    (book,) = (await story.bench.get("/v1/portfolio")).json()["books"]
    assert (book["granted"]["amount"], book["disbursed"]["amount"]) == ("1000000.00", "1000000.00")
    (only,) = book["classes"]
    assert (only["risk_class"], only["loans"]) == ("substandard", 1)
    assert only["provision"]["amount"] == book["provision"]["amount"] == "250000.00"
    assert book["adequacy"]["required"]["amount"] == "1500000.00"
    assert book["adequacy"]["shortfall"]["amount"] == "1250000.00"
    await story.bench.react(story.determined(), story.disposed("300000"), on=LATE)
    await story.write_off()
    (book,) = (await story.bench.get("/v1/portfolio")).json()["books"]
    assert (book["written_off"]["amount"], book["recovered"]["amount"]) == ("1000000.00", "300000.00")
    assert book["outstanding"]["amount"] == book["provision"]["amount"] == "0.00"


async def test_the_list_is_read_page_by_page(story: Story) -> None:
    await story.begin()
    first = story.facility_id
    await story.begin()
    second = story.facility_id
    page = (await story.bench.get("/v1/facilities?limit=1")).json()
    assert [item["facility_id"] for item in page["items"]] == [first]
    await story.begin()  # one more comes between two pages
    rest = (await story.bench.get(f"/v1/facilities?cursor={page['next']}")).json()
    assert [item["facility_id"] for item in rest["items"]] == [second, story.facility_id]
    assert rest["next"] == ""
    assert (await story.bench.get("/v1/facilities?limit=0")).status_code == 422


async def test_the_american_profile_lends_dollars(bench: Any) -> None:
    async with bench(service, profile="us-sba") as made:
        story = Story(made)
        await story.begin()
        answer = await story.submit()
        assert (answer.status_code, answer.json()["code"]) == (422, "currency_not_lent")
