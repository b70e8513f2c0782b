"""What an agreement says is acted on: rollovers, enforcement order, subrogation, lead, contribution, how full it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from libs.events.guarantee import CoverRefused, PartnerReinstated, PartnerSuspended, PartnerWarned
from services.guarantee.domain.claim_rules import ClaimFault, fault_of, files_itself
from services.guarantee.domain.contribution import contributions
from services.guarantee.domain.defence import at_risk
from services.guarantee.domain.health import judge, new_record, value_of
from services.guarantee.domain.terms import Liability, UseMeasure
from services.guarantee.main import service
from tests.guarantee.partner_client import CALLING, OWN_PARTY, Partner, claimed, money
from tests.guarantee.stories import AGREED, DAY, Story, admit, cny
from tests.guarantee.test_claim import basis, demand
from tests.guarantee.test_cover import AGREED as PLAIN
from tests.guarantee.test_cover_at_risk import agreement, proof, sound
from tests.guarantee.test_undertakings import sign
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
ONE, TWO = Story(name="one"), Story(name="two")
PATH = f"/v1/facilities/{ONE.facility_id}"

# --- the first loan is no rollover ----------------------------------------------------------------------------------


async def test_the_first_loan_under_an_agreement_may_not_be_a_rollover_a_later_one_may(bench: Benches) -> None:
    third = Story(name="third")
    async with bench(service) as b:
        await admit(b, {**AGREED, "eligibility": {"first_not_rollover": True}})
        rollover = replace(TWO.submitted(), renews="loan-at-another-bank")
        await b.react(rollover, TWO.rated(), on=DAY)
        (refused,) = [event for event in await b.published() if isinstance(event, CoverRefused)]
        assert (refused.facility_id, refused.reason) == (TWO.facility_id, "first_loan_is_rollover")
        await ONE.bind(b)
        await b.react(ONE.disbursed(), on=DAY)
        await b.react(replace(third.submitted(), renews=ONE.loan_id), third.rated(), on=DAY)
        assert (await b.names())[-1] == "capacity.reserved"


# --- the order of enforcement (Civil Code 392) ----------------------------------------------------------------------

RANKED = Liability(enforcement_order=("mortgage", "owner", "insurer-1", "pledge"), period_months=6)


def test_whoever_comes_later_is_claimed_only_after_those_before_it_were_enforced() -> None:
    ranked = replace(PLAIN, liability=RANKED)
    assert not files_itself(ranked)
    one = ("enforced-mortgage",)
    assert fault_of(demand(documents=one), basis(agreement=ranked)) is ClaimFault.DOCUMENTS_MISSING
    assert fault_of(demand(documents=(*one, "enforced-owner")), basis(agreement=ranked)) is None
    last = replace(PLAIN, liability=replace(RANKED, enforcement_order=("mortgage",)))  # not named: it comes last
    assert fault_of(demand(), basis(agreement=last)) is ClaimFault.DOCUMENTS_MISSING
    assert fault_of(demand(documents=one), basis(agreement=last)) is None


def test_an_enforcement_that_is_not_proved_puts_the_cover_at_risk() -> None:
    ranked = replace(sound(), agreement=agreement(liability=replace(RANKED, enforcement_order=("mortgage",))))
    assert [gap.defence for gap in at_risk(ranked).gaps] == ["execution_not_tried"]
    proved = replace(ranked, proofs=(*ranked.proofs, proof("enforced-mortgage")))
    assert at_risk(proved).gaps == ()


# --- who is creditor, and who leads ---------------------------------------------------------------------------------


async def paid(b: Bench, **liability: Any) -> None:
    """80,000 of a loss of 100,000 paid, and 10,000 of it recovered by the bank."""
    await admit(b, {**CALLING, "liability": liability})
    await claimed(b, ONE)
    await Partner(b, OWN_PARTY).on_claim(ONE, "decision", accepted=True)
    await Partner(b, OWN_PARTY).on_claim(ONE, "payments", amount=money("80000.00"), receipt="R-1")
    await b.react(ONE.recovered("10000"), on=b.parts.open_on)


async def creditors(b: Bench) -> dict[str, str]:
    seen = (await Partner(b, OWN_PARTY).get(f"/facilities/{ONE.facility_id}")).json()["creditors"]
    return {one["party"]: one["amount"]["amount"] for one in seen}


async def report(b: Bench, receipt: str = "A-1") -> Any:
    body = {"loan_id": ONE.loan_id, "amount": money("1000.00"), "receipt": receipt}
    return (await Partner(b, OWN_PARTY).post(f"/facilities/{ONE.facility_id}/recoveries", body)).json()


@pytest.mark.parametrize(
    ("subrogation", "left"),
    [
        ("paid_part", {"bank": "18000.00", "guarantor": "72000.00"}),
        ("whole", {"guarantor": "90000.00"}),
        ("on_demand", {"bank": "90000.00"}),
    ],
)
async def test_what_was_paid_decides_who_is_creditor_of_what_is_left(
    bench: Benches, subrogation: str, left: dict[str, str]
) -> None:
    async with bench(service) as b:
        await paid(b, recovery_lead=OWN_PARTY, subrogation=subrogation)
        assert await creditors(b) == left
        if subrogation == "on_demand":
            assert (await report(b))["code"] == "subrogation_not_demanded"
            path = f"{PATH}/loans/{ONE.loan_id}/proofs"
            assert (await b.post(path, {"duty": "subrogation_demanded"}, role="customer_manager")).is_success
            assert await creditors(b) == {"bank": "18000.00", "guarantor": "72000.00"}
        assert (await report(b))["shared"] == money("11000.00")


async def test_a_partner_that_does_not_lead_recovery_reports_none(bench: Benches) -> None:
    async with bench(service) as b:
        await paid(b)
        assert (await report(b))["code"] == "recovery_led_by_other"
        answer = await b.post(
            "/v1/agreements", {**CALLING, "code": "x", "liability": {"recovery_lead": "stranger"}}, role="admin"
        )
        assert answer.json()["code"] == "lead_unknown"


# --- contribution between guarantors --------------------------------------------------------------------------------


def test_guarantors_contribute_as_agreed_none_beyond_what_it_signed_and_none_where_nothing_was_agreed() -> None:
    others = {"owner": cny("100000"), "spouse": cny("10000")}
    equal = contributions("equally", cny("80000"), cny("80000"), others)
    assert equal == {"owner": cny("26666.67"), "spouse": cny("10000")}
    by_amount = contributions("by_amount", cny("80000"), cny("80000"), others)
    assert by_amount == {"owner": cny("42105.26"), "spouse": cny("4210.53")}
    assert contributions("", cny("80000"), cny("80000"), others) == {}


@pytest.mark.parametrize("agreed", ["equally", ""])
async def test_the_recovery_book_shows_what_the_partner_may_ask_of_other_guarantors(
    bench: Benches, agreed: str
) -> None:
    async with bench(service) as b:
        await admit(b, {**CALLING, "liability": {"contribution": agreed}})
        await b.react(ONE.submitted(), on=DAY)
        await sign(b, "owner_guarantee")
        await claimed(b, ONE)
        await Partner(b, OWN_PARTY).on_claim(ONE, "decision", accepted=True)
        await Partner(b, OWN_PARTY).on_claim(ONE, "payments", amount=money("80000.00"), receipt="R-1")
        month = f"{b.parts.open_on:%Y-%m}"
        book = (await Partner(b, OWN_PARTY).get(f"/partners/{OWN_PARTY}/recoveries/{month}")).json()
        shown = {one["guarantor"]: one["amount"]["amount"] for one in book["contributions"]}
        assert shown == ({"p-owner": "40000.00"} if agreed else {})
        unknown = {**CALLING, "code": "x", "liability": {"contribution": "as friends do"}}
        assert (await b.post("/v1/agreements", unknown, role="admin")).json()["code"] == "contribution_unknown"


# --- how full an agreement is ---------------------------------------------------------------------------------------

USE = {"warn_at": "0.5", "throttle_to": "0.9", "suspend_at": "0.8", "reinstate_at": "0.4"}


def test_the_use_is_what_covers_hold_of_the_capacity() -> None:
    record = new_record(PLAIN)
    assert value_of(record, UseMeasure.CAPACITY_USE) is None
    assert (
        value_of(replace(record, bound=cny("40"), capacity=cny("100")), UseMeasure.CAPACITY_USE) == cny("0.40").amount
    )
    assert judge(record, (), "").warn == ()


async def test_a_full_agreement_warns_throttles_stops_and_is_open_again_once_loans_are_repaid(bench: Benches) -> None:
    stories = [Story(name=f"s{number}") for number in range(3)]
    async with bench(service) as b:
        await admit(b, {**AGREED, "capacity": {"amount": "200000.00", "currency": "CNY"}, "use": USE})
        for story in stories[:2]:
            await story.bind(b)
            await b.react(story.disbursed(), on=DAY)
        warned, suspended = [e for e in await b.published() if isinstance(e, (PartnerWarned, PartnerSuspended))]
        assert isinstance(warned, PartnerWarned)
        assert (warned.measure, str(warned.value)) == ("capacity_use", "0.800000")
        assert isinstance(suspended, PartnerSuspended)
        assert suspended.reason == "capacity_use"
        await b.react(stories[2].submitted(), stories[2].rated(), on=DAY)
        assert (await b.published())[-1].reason == "agreement_suspended"
        await b.react(stories[0].repaid("90000", "10000"), on=DAY)
        assert "partner.reinstated" not in await b.names(), "44 % is above 40 %"
        await b.react(stories[0].repaid("10000", "0"), stories[0].closed("repaid"), on=DAY)
        assert [type(event) for event in await b.published()].count(PartnerReinstated) == 1
        assert (await b.get("/v1/agreements/reg-4321")).json()["suspended_since"] is None
