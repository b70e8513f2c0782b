"""A claim's life between filing and outcome, over both sides' doors: every day that passes unused names its side."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from libs.events.guarantee import ClaimDenied, ClaimWithdrawn, DeadlineMissed
from services.guarantee.main import service
from tests.guarantee.partner_client import CALLING, OWN_PARTY, Partner, claimed, money
from tests.guarantee.stories import AGREED, CLAIM_DAY, DAY, DUE, Story, admit, capacity, cny
from tests.harness.bench import Bench

CLOCKS = {
    "notice_days": 10,
    "decide_days": 30,
    "answer_days": 15,
    "appeal_days": 20,
    "interim_days": 60,
    "interim_share": "0.50",
}
AGREEMENT = {**CALLING, "code": "clocks", "claims": CLOCKS}
ONE = Story(agreement="clocks")
STATEMENT = {"kind": "bank_statement", "reference": "file/7", "digest": "ab" * 32}


@pytest.fixture
async def b(bench: Callable[..., Bench]) -> AsyncIterator[Bench]:
    """A claim filed on its day under an agreement that gives both sides days."""
    async with bench(service) as opened:
        await admit(opened, AGREEMENT)
        await claimed(opened, ONE)
        yield opened


async def ours(b: Bench, what: str, **body: Any) -> httpx.Response:
    claim = await Partner(b, OWN_PARTY).claim_of(ONE)
    path = f"/v1/facilities/{ONE.facility_id}/claims/{claim['claim_id']}/{what}"
    return await b.post(path, body, role="customer_manager")


async def theirs(b: Bench, what: str, **body: Any) -> httpx.Response:
    return await Partner(b, OWN_PARTY).on_claim(ONE, what, **body)


async def missed(b: Bench) -> list[tuple[str, str, date]]:
    return [(e.duty, e.side, e.due) for e in await b.published() if isinstance(e, DeadlineMissed)]


async def test_a_query_stops_the_partners_clock_and_its_answer_starts_it_anew(b: Bench) -> None:
    queried = (await theirs(b, "queries", asked=["bank_statement"])).json()
    assert (queried["state"], queried["asked"], queried["act_by"]) == (
        "filed",
        ["bank_statement"],
        str(CLAIM_DAY + timedelta(days=15)),
    )
    assert (await theirs(b, "queries", asked=["contract"])).json()["code"] == "query_open"
    await b.tick(CLAIM_DAY + timedelta(days=15))
    answered = (await ours(b, "answers", evidence=[STATEMENT])).json()
    assert (answered["asked"], answered["evidence"]) == ([], [STATEMENT])
    assert answered["act_by"] == str(CLAIM_DAY + timedelta(days=45))
    assert (await ours(b, "answers", evidence=[STATEMENT])).json()["code"] == "nothing_asked"
    await b.tick(CLAIM_DAY + timedelta(days=45))
    assert (await theirs(b, "decision", accepted=True)).json()["state"] == "accepted"
    assert (await b.names())[-4:] == ["claim.filed", "claim.queried", "claim.answered", "claim.accepted"]
    assert await missed(b) == []


async def test_days_that_pass_name_the_bank_for_its_answer_and_the_partner_for_its_decision(b: Bench) -> None:
    await theirs(b, "queries", asked=["bank_statement"])
    answer_by = CLAIM_DAY + timedelta(days=15)
    await b.tick(answer_by + timedelta(days=1))
    decide_by = answer_by + timedelta(days=31)
    assert await missed(b) == [("answer", "bank", answer_by)]
    assert (await Partner(b, OWN_PARTY).claim_of(ONE))["act_by"] == str(decide_by)
    await b.tick(decide_by + timedelta(days=1))
    assert ("decision", OWN_PARTY, decide_by) in await missed(b)
    assert (await theirs(b, "decision", accepted=True)).status_code == 200, "late is better than never"


async def test_a_denial_is_appealed_once_and_the_second_word_is_the_last(b: Bench) -> None:
    denied = (await theirs(b, "decision", accepted=False, reason="misuse_of_funds")).json()
    assert (denied["state"], denied["appeal_by"]) == ("denied", str(CLAIM_DAY + timedelta(days=20)))
    assert (await theirs(b, "decision", accepted=True)).json()["code"] == "claim_denied"
    await b.react(ONE.recovered("1000"), on=CLAIM_DAY)
    assert (await b.names())[-1] == "claim.denied", "a recovery waits while the claim may come back"
    await b.tick(CLAIM_DAY + timedelta(days=20))
    appealed = (await ours(b, "appeals", grounds=["funds_traced"], evidence=[STATEMENT])).json()
    assert (appealed["state"], appealed["appealed"], appealed["appeal_by"]) == ("filed", True, None)
    again = (await theirs(b, "decision", accepted=False, reason="misuse_of_funds")).json()
    assert (again["state"], again["appeal_by"]) == ("denied", None)
    assert (await ours(b, "appeals", grounds=["funds_traced"])).json()["code"] == "denial_final"
    denials = [event for event in await b.published() if isinstance(event, ClaimDenied)]
    assert [event.appeal_by for event in denials] == [CLAIM_DAY + timedelta(days=20), None]


async def test_a_claim_won_on_appeal_is_paid_like_any_other(b: Bench) -> None:
    await theirs(b, "decision", accepted=False, reason="late_notice")
    await b.react(ONE.recovered("1000"), on=CLAIM_DAY)
    await ours(b, "appeals", grounds=["notice_on_record"])
    await theirs(b, "decision", accepted=True)
    paid = await theirs(b, "payments", amount=money("80000.00"), receipt="R-1")
    assert paid.json()["state"] == "paid"
    assert (await b.names())[-4:] == ["claim.appealed", "claim.accepted", "claim.paid", "recovery.shared"]


async def test_a_denial_that_nobody_appeals_against_in_time_ends_the_claim(b: Bench) -> None:
    await theirs(b, "decision", accepted=False, reason="misuse_of_funds")
    await b.react(ONE.closed("written_off"), on=CLAIM_DAY)
    assert await capacity(b, "clocks") != ("0.00", "0.00"), "the cover stands behind what may be appealed"
    await b.tick(CLAIM_DAY + timedelta(days=21))
    assert (await ours(b, "appeals", grounds=["late"])).json()["code"] == "denial_final"
    assert await capacity(b, "clocks") == ("0.00", "0.00")
    assert await missed(b) == [], "an appeal is a right and no duty"


async def test_a_part_is_paid_in_advance_and_the_rest_at_last_to_the_cent(b: Bench) -> None:
    early = {"kind": "interim", "amount": money("30000.00"), "receipt": "I-1"}
    assert (await theirs(b, "payments", **early)).json()["interim"] == money("30000.00")
    for body, code in (
        (early, "receipt_counted"),
        ({**early, "receipt": "I-2", "amount": money("50000.00")}, "interim_differs"),
        ({**early, "receipt": "I-2", "amount": money("0.00")}, "interim_differs"),
        ({**early, "receipt": "I-2", "amount": money("1.00", "USD")}, "payment_differs"),
    ):
        assert (await theirs(b, "payments", **body)).json()["code"] == code, body
    await b.tick(CLAIM_DAY + timedelta(days=61))
    assert ("interim_payment", OWN_PARTY, CLAIM_DAY + timedelta(days=60)) in await missed(b), "30,000 of 40,000"
    await theirs(b, "decision", accepted=True)
    whole = await theirs(b, "payments", amount=money("80000.00"), receipt="R-1")
    assert (whole.json()["code"], whole.json()["owed"]) == ("payment_differs", "50000.00 CNY")
    used = await theirs(b, "payments", amount=money("50000.00"), receipt="I-1")
    assert used.json()["code"] == "receipt_counted"
    assert (await theirs(b, "payments", amount=money("50000.00"), receipt="R-1")).json()["state"] == "paid"


async def test_enough_in_advance_misses_no_day(b: Bench) -> None:
    await theirs(b, "payments", kind="interim", amount=money("40000.00"), receipt="I-1")
    await b.tick(CLAIM_DAY + timedelta(days=61))
    assert [duty for duty, _, _ in await missed(b)] == ["decision"]


async def test_a_cure_before_payment_withdraws_the_claim_and_what_was_paid_in_advance_goes_back(b: Bench) -> None:
    await theirs(b, "payments", kind="interim", amount=money("40000.00"), receipt="I-1")
    await theirs(b, "decision", accepted=False, reason="misuse_of_funds")
    await b.react(ONE.cured("100000"), on=CLAIM_DAY)
    (withdrawn,) = [event for event in await b.published() if isinstance(event, ClaimWithdrawn)]
    assert withdrawn.returned == cny("40000.00")
    await b.tick(CLAIM_DAY + timedelta(days=100))
    assert await missed(b) == []
    assert (await theirs(b, "decision", accepted=True)).json()["code"] == "claim_withdrawn"
    assert (await ours(b, "appeals", grounds=["late"])).json()["code"] == "claim_withdrawn"


async def test_a_late_payment_names_the_partner_once(b: Bench) -> None:
    accepted = (await theirs(b, "decision", accepted=True)).json()
    pay_by = date.fromisoformat(accepted["pay_by"])
    for days in (0, 14, 28):
        await b.tick(pay_by + timedelta(days=days))
    assert await missed(b) == [("payment", OWN_PARTY, pay_by)]


async def test_a_partner_that_calls_us_finds_the_notice_of_loss_at_once(b: Bench) -> None:
    events = (await Partner(b, OWN_PARTY).get("/partner-events?types=loss.notified.v1")).json()["items"]
    assert [(event["body"]["loan_id"], event["body"]["since"]) for event in events] == [(ONE.loan_id, str(DUE))]


async def test_where_we_call_a_person_gives_notice_and_without_it_nothing_is_claimed(
    bench: Callable[..., Bench],
) -> None:
    story = Story(agreement="called")
    notices = f"/v1/facilities/{story.facility_id}/loss-notices"
    loan = {"loan_id": story.loan_id}
    demand = {
        **loan,
        "partner": OWN_PARTY,
        "principal": money("70000"),
        "interest": money("0"),
        "claimed": money("56000"),
        "evidence": [STATEMENT],
    }
    async with bench(service) as b:
        await admit(b, {**AGREED, "code": "called", "claims": {"notice_days": 10, "documents": ["bank_statement"]}})
        await story.bind(b)
        await b.react(story.disbursed(), story.repaid("30000", "70000"), on=DAY)
        assert (await b.post(notices, loan, role="customer_manager")).json()["code"] == "not_in_arrears"
        await b.react(story.overdue("70000"), on=DUE + timedelta(days=1))
        await b.tick(DUE + timedelta(days=11))
        assert await missed(b) == [("notice_of_loss", "bank", DUE + timedelta(days=10))]
        await b.tick(CLAIM_DAY)
        claims = f"/v1/facilities/{story.facility_id}/claims"
        assert (await b.post(claims, demand, role="customer_manager")).json()["refused"] == "documents_missing"
        assert (await b.post(notices, loan, role="customer_manager")).json()["notified_on"] == str(CLAIM_DAY)
        assert (await b.post(notices, loan, role="customer_manager")).json()["code"] == "notified_before"
        assert (await b.post(claims, demand, role="customer_manager")).json()["refused"] is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"claims": {"interim_share": "0.5"}}, "interim_incomplete"),
        ({"contact": "we_call", "claims": {"appeal_days": 10}}, "partner_does_not_call"),
        ({"contact": "we_call", "claims": {"answer_days": 10}}, "partner_does_not_call"),
    ],
)
async def test_clocks_that_cannot_run_are_no_terms(b: Bench, change: dict[str, Any], code: str) -> None:
    answer = await b.post("/v1/agreements", {**AGREEMENT, "code": "x", **change}, role="admin")
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_partner_that_says_yes_and_no_at_once_has_decided_once(b: Bench) -> None:
    said = await asyncio.gather(
        *(theirs(b, "decision", accepted=yes, reason="" if yes else "late_notice") for yes in (True, False) * 10)
    )
    assert Counter(answer.status_code for answer in said) == {200: 1, 409: 19}
    names = Counter(await b.names())
    assert names["claim.accepted"] + names["claim.denied"] == 1


async def test_a_partner_that_said_yes_pays_once_and_does_not_deny_any_more(b: Bench) -> None:
    accepted = (await theirs(b, "decision", accepted=True)).json()
    paying = [theirs(b, "payments", amount=accepted["claimed"], receipt=f"r-{number}") for number in range(10)]
    denying = [theirs(b, "decision", accepted=False, reason="late_notice") for _ in range(10)]
    paid, denied = await asyncio.gather(asyncio.gather(*paying), asyncio.gather(*denying))
    assert Counter(answer.status_code for answer in paid) == {200: 1, 409: 9}
    assert {answer.status_code for answer in denied} == {409}
    names = Counter(await b.names())
    assert (names["claim.paid"], names["claim.denied"]) == (1, 0)
