"""A claim that must not be filed is refused with its own code, and leaves no trace but the event that says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from libs.events.guarantee import CapReached, ClaimFiled, ClaimPaid, ClaimRefused
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, CLAIM_DAY, DAY, DUE, MATURITY, Story, admit, capacity, cny
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
ONE = Story()
PAPERS = {"claims": {"documents": ["contract", "statement"]}}
CLAIM = {
    "loan_id": ONE.loan_id,
    "partner": "city-guarantee",
    "principal": {"amount": "70000.00", "currency": "CNY"},
    "interest": {"amount": "0.00", "currency": "CNY"},
    "claimed": {"amount": "56000.00", "currency": "CNY"},
    "documents": ["contract", "statement"],
}
PATH = f"/v1/facilities/{ONE.facility_id}/claims"


def money(amount: str, currency: str = "CNY") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


async def overdue(bench: Bench, terms: dict[str, Any] | None = None) -> None:
    """A covered loan of 100,000 in arrears with 70,000 outstanding, under an agreement that wants papers."""
    await admit(bench, {**AGREED, **PAPERS, **(terms or {})})
    await ONE.go_overdue(bench)


async def claim(bench: Bench, **change: Any) -> dict[str, Any]:
    answer = await bench.post(PATH, {**CLAIM, **change}, role="customer_manager")
    assert answer.status_code == 200, answer.text
    decision: dict[str, Any] = answer.json()
    return decision


async def refuses(bench: Bench, code: str, **change: Any) -> None:
    """The claim is refused by this rule; nothing of the business changed, one event says why, nobody was asked."""
    before, told, calls = await bench.dump(), await bench.published(), await bench.calls()
    assert await claim(bench, **change) == {"claim_id": "", "refused": code}
    (event,) = (await bench.published())[len(told) :]
    assert isinstance(event, ClaimRefused)
    assert (event.reason, event.loan_id) == (code, ONE.loan_id)
    assert (await bench.dump(), await bench.calls()) == (before, calls)


async def test_a_sound_claim_is_filed_and_sent_once(bench: Benches) -> None:
    async with bench(service) as b:
        await overdue(b)
        await b.tick(CLAIM_DAY)
        assert "claim.filed" not in await b.names()  # it needs papers, so no clock files it
        filed = await claim(b)
        assert (filed["refused"], await b.names()) == (None, [*(await b.names())[:-1], "claim.filed"])
        ((kind, reference, request),) = await b.calls()
        assert (kind, reference) == ("partner.claim", filed["claim_id"])
        assert (request["body"]["loss"], request["body"]["claimed"]) == ("70000.00", "56000.00")
        await refuses(b, "claimed_before")
        await b.answer("partner.claim", 200, accepted=False, reason="papers_unreadable")
        assert (await claim(b))["refused"] is None  # what was denied may be claimed again


async def test_each_wrong_figure_partner_currency_and_paper_has_its_code(bench: Benches) -> None:
    async with bench(service) as b:
        await overdue(b)
        await b.open(CLAIM_DAY)
        await refuses(b, "wrong_amount", principal=money("70000.01"))
        await refuses(b, "wrong_amount", claimed=money("56000.01"))
        await refuses(b, "wrong_amount", interest=money("1.00"))
        await refuses(b, "wrong_partner", partner="another")
        await refuses(b, "foreign_currency", principal=money("70000.00", "USD"))
        await refuses(b, "foreign_currency", cost=money("1.00", "USD"))
        await refuses(b, "documents_missing", documents=["contract"])
        assert (await claim(b))["refused"] is None


@pytest.mark.parametrize(
    ("terms", "day", "code"),
    [
        ({}, CLAIM_DAY - timedelta(days=1), "too_early"),
        ({"claims": {**PAPERS["claims"], "file_days_max": 30}}, CLAIM_DAY + timedelta(days=31), "too_late"),
        ({"liability": {"period_months": 6}}, MATURITY + timedelta(days=182), "too_late"),
    ],
)
async def test_a_claim_too_early_or_too_late_is_refused(
    bench: Benches, terms: dict[str, Any], day: date, code: str
) -> None:
    async with bench(service) as b:
        await overdue(b, terms)
        await b.open(day)
        await refuses(b, code)


async def test_a_claim_on_a_cured_loan_or_on_a_cover_that_ended_is_refused(bench: Benches) -> None:
    async with bench(service) as b:
        await overdue(b)
        await b.open(CLAIM_DAY)
        await b.react(ONE.cured("70000"), on=CLAIM_DAY)
        await refuses(b, "not_in_arrears")
        await b.react(ONE.repaid("70000", "0"), ONE.closed("repaid"), on=CLAIM_DAY)
        assert (await b.names())[-1] == "cover.released"
        await refuses(b, "cover_ended")


@pytest.mark.parametrize(("in_suspension", "filed"), [("paid", True), ("refused", False)])
async def test_during_a_suspension_the_agreement_says_whether_claims_are_paid(
    bench: Benches, in_suspension: str, filed: bool
) -> None:
    async with bench(service) as b:
        await overdue(b, {"claims": {**PAPERS["claims"], "in_suspension": in_suspension}})
        await b.open(CLAIM_DAY)
        reason = {"reason": "overdue_ratio"}
        assert (await b.post("/v1/agreements/reg-4321/suspension", reason, role="risk_director")).status_code == 200
        if filed:
            assert (await claim(b))["refused"] is None
        else:
            await refuses(b, "agreement_suspended")


BATCH = {"binding": {"timing": "filed_after_disbursement", "file_days": 10}}


async def test_a_batch_drawdown_is_covered_at_once_and_filed_later(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, {**AGREED, **PAPERS, **BATCH})
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        assert (await b.names(), await b.calls()) == (["capacity.reserved", "cover.bound"], [])
        await b.react(ONE.disbursed(), on=DAY)
        filing = {"loan_id": ONE.loan_id}
        path = f"/v1/facilities/{ONE.facility_id}/filings"
        await b.open(DAY + timedelta(days=10))
        assert (await b.post(path, filing, role="customer_manager")).status_code == 200
        assert (await b.names())[-1] == "cover.filed"
        assert (await b.post(path, filing, role="customer_manager")).json()["code"] == "filed_before"
        await b.tick(DAY + timedelta(days=11))
        assert (await b.names())[-1] == "cover.filed"


async def test_a_drawdown_never_filed_is_not_covered_and_a_claim_on_it_is_refused(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, {**AGREED, **PAPERS, **BATCH})
        await b.react(ONE.submitted(), ONE.rated(), ONE.disbursed(), ONE.repaid("30000", "70000"), on=DAY)
        await b.tick(DAY + timedelta(days=10))
        assert await capacity(b) == ("56000.00", "56000.00")
        await b.tick(DAY + timedelta(days=11))
        assert (await b.names())[-2:] == ["cover.removed", "cover.endangered"]
        assert await capacity(b) == ("0.00", "0.00")
        late = await b.post(
            f"/v1/facilities/{ONE.facility_id}/filings", {"loan_id": ONE.loan_id}, role="customer_manager"
        )
        assert late.json()["code"] == "filing_too_late"
        await b.react(ONE.overdue("70000"), on=DUE)
        await b.open(CLAIM_DAY)
        await refuses(b, "drawdown_not_filed")
        await b.react(ONE.repaid("70000", "0"), ONE.closed("repaid"), on=CLAIM_DAY)
        assert (await capacity(b), await b.parked()) == (("0.00", "0.00"), [])


async def test_a_clock_that_files_claims_what_is_left_under_the_cap_and_nothing_above_it(bench: Benches) -> None:
    """Two loans of 100,000 at 80 %: a cap of 40 % of 160,000 is 64,000; the first claim takes 56,000 of it."""
    other, third = Story(name="other"), Story(name="third")
    capped = {**AGREED, "cap": {"rate": "0.40"}}
    async with bench(service) as b:
        await admit(b, capped)
        for story in (ONE, other):
            await story.bind(b)
            await b.react(story.disbursed(), story.repaid("30000", "70000"), on=DAY)
        for story in (ONE, other):
            await b.react(story.overdue("70000"), on=DUE)
        await b.tick(CLAIM_DAY)
        filed = [event for event in await b.published() if isinstance(event, ClaimFiled)]
        assert sorted(str(event.claimed.amount) for event in filed) == ["56000.00", "8000.00"]
        (reached,) = [event for event in await b.published() if isinstance(event, CapReached)]
        assert (reached.cap, reached.used, reached.period) == (cny("64000"), cny("64000"), "reg-4321/2025")

        await third.bind(b)  # of the same cohort, with nothing left under the cap: 0.4 x 80 more of room
        await b.react(third.disbursed("100"), third.overdue("100"), on=DUE)
        await b.tick(CLAIM_DAY + timedelta(days=1))
        filed = [event for event in await b.published() if isinstance(event, ClaimFiled)]
        assert filed[-1].claimed == cny("32")
        await _pay(b)
        paid = [event for event in await b.published() if isinstance(event, ClaimPaid)]
        for event in paid:
            assert sum(part.amount.amount for part in event.parts) in (cny("70000").amount, cny("100").amount)
        assert sum(event.amount.amount for event in paid) == cny("64032").amount


async def test_a_claim_above_what_the_cap_leaves_is_refused(bench: Benches) -> None:
    async with bench(service) as b:
        await overdue(b, {"cap": {"rate": "0.10"}})  # 8,000
        await b.open(CLAIM_DAY)
        await refuses(b, "over_cap")
        assert (await claim(b, claimed=money("8000.00")))["refused"] is None


async def test_a_denied_claim_gives_the_cap_back_to_the_next(bench: Benches) -> None:
    async with bench(service) as b:
        await overdue(b, {"cap": {"rate": "0.10"}})
        await b.open(CLAIM_DAY)
        for _ in range(2):
            assert (await claim(b, claimed=money("8000.00")))["refused"] is None
            await b.answer("partner.claim", 200, accepted=False, reason="papers_unreadable")


async def test_reimbursements_run_on_their_own_clocks_behind_the_direct_payer(bench: Benches) -> None:
    chain = {
        **AGREED,
        "legs": [
            {"party": "reguarantor", "working_days": 10, "proof": "payment certificate"},
            {"party": "government", "working_days": 20, "proof": "payment certificate"},
        ],
    }
    async with bench(service) as b:
        await admit(b, chain)
        pay_by = await ONE.accept_claim(b)
        await b.tick(pay_by)
        await b.answer("partner.claim_payment", 200, paid=True, receipt="R-1")
        view = (await b.get(f"/v1/facilities/{ONE.facility_id}")).json()
        legs = {leg["party"]: leg for leg in view["reimbursements"]}
        assert {party: (leg["amount"]["amount"], leg["payee"]) for party, leg in legs.items()} == {
            "reguarantor": ("21000.00", "guarantor"),
            "government": ("7000.00", "guarantor"),
        }
        path = f"{PATH}/{view['claims'][0]['claim_id']}/reimbursements"
        money_in = {"party": "reguarantor", "amount": money("21000.00"), "receipt": "B-1"}
        assert (await b.post(path, money_in, role="customer_manager")).status_code == 200
        assert (await b.names())[-1] == "reguarantee.reimbursed"
        await b.tick(date.fromisoformat(legs["reguarantor"]["due"]) + timedelta(days=1))
        assert (await b.names())[-1] == "reguarantee.reimbursed"
        await b.tick(date.fromisoformat(legs["government"]["due"]) + timedelta(days=1))
        owed = (await b.published())[-1]
        assert (owed.party, owed.amount) == ("government", cny("7000"))


async def _pay(bench: Bench) -> None:
    """Every open claim is accepted, and paid on its day."""
    while await bench.calls():
        kind = (await bench.calls())[0][0]
        if kind == "partner.claim":
            await bench.answer(kind, 200, accepted=True, reason="")
        else:
            await bench.answer(kind, 200, paid=True, receipt="R")
        async with bench.parts.engine.connect() as conn:
            due = (await conn.exec_driver_sql("SELECT min(due) FROM timers WHERE kind = 'claim.payment'")).scalar()
        if due is not None and not await bench.calls():
            await bench.tick(due)
