"""The life of a cover on a real database: facts in any order, partners' answers, days that pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from libs.events.guarantee import (
    ClaimAccepted,
    ClaimDenied,
    ClaimFiled,
    ClaimPaid,
    CoverActivated,
    CoverBound,
    CoverRefused,
    CoverReleased,
    PremiumDue,
    RecoveryShared,
)
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, CLAIM_DAY, DAY, DUE, NAMED, Story, admit, capacity, cny
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
ONE = Story()


async def facility(bench: Bench, story: Story = ONE) -> dict[str, Any]:
    body: dict[str, Any] = (await bench.get(f"/v1/facilities/{story.facility_id}")).json()
    return body


async def last(bench: Bench, kind: type) -> Any:
    return [body for body in await bench.published() if isinstance(body, kind)][-1]


async def test_a_cover_is_asked_for_when_application_and_rating_are_both_known(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await b.react(ONE.submitted(), on=DAY)
        assert await b.names() == []
        await b.react(ONE.rated(), on=DAY)
        assert await b.names() == ["cover.requested", "capacity.reserved"]
        ((kind, reference, request),) = await b.calls()
        assert (kind, reference) == ("partner.cover", request["body"]["reference"])
        assert {key: value for key, value in request["body"].items() if key != "reference"} == {
            "agreement": "reg-4321",
            "facility_ref": ONE.facility_id,
            "amount": "100000.00",
            "currency": "CNY",
            "business_date": "2025-09-01",
        }
        assert await capacity(b) == ("80000.00", "0.00")


async def test_the_order_in_which_the_facts_come_does_not_matter(bench: Benches) -> None:
    dumps, names = [], []
    for order in itertools.permutations([ONE.submitted(), ONE.rated()]):
        async with bench(service) as b:
            await admit(b, AGREED)
            await b.react(*order, on=DAY)
            await b.answer("partner.cover", 200, accepted=True, guaranteed="80000.00", reason="")
            dumps.append(await b.dump())
            names.append(await b.names())
    assert dumps[0] == dumps[1]
    assert names[0] == names[1] == ["cover.requested", "capacity.reserved", "cover.bound"]


async def test_the_same_event_twice_asks_once(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        twice = (ONE.submitted(), ONE.rated())
        arrivals = [b._arrival(body, ONE.facility_id, DAY) for body in twice]
        await b.consumer.apply(arrivals)
        await b.consumer.apply(arrivals)
        assert len(await b.calls()) == 1
        assert await capacity(b) == ("80000.00", "0.00")
        assert await b.parked() == []


async def test_a_loan_without_an_agreement_is_not_followed(bench: Benches) -> None:
    story = Story(agreement="")
    async with bench(service) as b:
        await admit(b, AGREED)
        await b.react(story.submitted(), story.rated(), story.disbursed(), story.repaid("1", "99999"), on=DAY)
        await b.react(
            story.overdue("99999"), story.cured("99999"), story.recovered("5"), story.closed("repaid"), on=DAY
        )
        assert (await b.names(), await b.calls(), await b.parked()) == ([], [], [])
        assert (await facility(b, story))["cover"] is None


@pytest.mark.parametrize(
    ("agreement", "grade", "reason"),
    [
        ("reg-4321", "C", "grade_not_eligible"),
        ("nobody", "A", "agreement_unknown"),
        ("later", "A", "agreement_not_in_force"),
        ("full", "A", "capacity_exhausted"),
    ],
)
async def test_a_cover_that_the_terms_rule_out_is_refused_and_nobody_is_asked(
    bench: Benches, agreement: str, grade: str, reason: str
) -> None:
    story = Story(agreement=agreement)
    async with bench(service) as b:
        full = {**AGREED, "code": "full", "capacity": {"amount": "79999.99", "currency": "CNY"}}
        await admit(b, AGREED, {**AGREED, "code": "later", "effective": "2025-09-02"}, full)
        await b.react(story.submitted(), story.rated(grade), on=DAY)
        (event,) = await b.published()
        assert isinstance(event, CoverRefused)
        assert (event.agreement, event.reason) == (agreement, reason)
        assert await b.calls() == []
        await b.react(story.disbursed(), on=DAY)
        assert (await b.names(), await b.parked()) == (["cover.refused"], [])


async def test_a_cover_binds_with_the_shares_that_were_agreed(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await ONE.bind(b)
        bound = await last(b, CoverBound)
        assert (bound.guaranteed, [share.party for share in bound.shares]) == (
            cny("80000"),
            ["guarantor", "reguarantor", "bank", "government"],
        )
        assert await capacity(b) == ("80000.00", "80000.00")


async def test_a_partner_that_guarantees_less_gives_the_rest_of_the_hold_back(bench: Benches) -> None:
    story = Story(agreement="named")
    async with bench(service) as b:
        await admit(b, NAMED)
        await b.react(story.submitted(), story.rated(), on=DAY)
        await b.answer("partner.cover", 200, accepted=True, guaranteed="50000.00", reason="")
        assert (await last(b, CoverBound)).guaranteed == cny("50000")
        assert await capacity(b, "named") == ("50000.00", "50000.00")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, {"accepted": False, "reason": "industry_excluded"}, "industry_excluded"),
        (422, {}, "request_rejected"),
        (200, {"accepted": True, "guaranteed": "80000.05"}, "guaranteed_above_maximum"),
    ],
)
async def test_a_cover_that_was_not_agreed_is_refused_and_the_hold_goes_back(
    bench: Benches, status: int, body: dict[str, Any], reason: str
) -> None:
    story = Story(agreement="named")
    async with bench(service) as b:
        await admit(b, NAMED)
        await b.react(story.submitted(), story.rated(), on=DAY)
        await b.answer("partner.cover", status, **body)
        assert (await b.names())[-2:] == ["cover.refused", "capacity.released"]
        assert (await last(b, CoverRefused)).reason == reason
        assert await capacity(b, "named") == ("0.00", "0.00")


async def test_an_application_refused_before_its_rating_never_asks_the_partner(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await b.react(ONE.submitted(), ONE.refused(), ONE.rated(), on=DAY)
        assert (await b.names(), await b.calls(), await b.parked()) == ([], [], [])


async def test_an_application_refused_while_the_partner_thinks_gives_the_hold_back(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await b.react(ONE.submitted(), ONE.rated(), ONE.refused(), on=DAY)
        assert (await b.names())[-1] == "capacity.released"
        assert await capacity(b) == ("0.00", "0.00")
        await b.answer("partner.cover", 200, accepted=False, reason="late")
        assert (await b.names())[-1] == "capacity.released"
        assert (await facility(b))["cover"]["state"] == "withdrawn"


async def test_an_application_refused_after_binding_releases_the_cover(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await ONE.bind(b)
        await b.react(ONE.refused(), on=DAY)
        assert (await last(b, CoverReleased)).amount == cny("80000")
        assert await capacity(b) == ("0.00", "0.00")


async def test_a_disbursement_puts_the_cover_in_force_and_the_premium_falls_due_on_what_was_drawn(
    bench: Benches,
) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await ONE.bind(b)
        await b.react(ONE.disbursed("50000"), on=DAY)
        assert (await b.names())[-2:] == ["cover.activated", "premium.due"]
        assert (await last(b, CoverActivated)).amount == cny("50000")
        assert await capacity(b) == ("40000.00", "40000.00")
        due = await last(b, PremiumDue)
        assert (due.amount, due.payer, due.due) == (cny("400.00"), "borrower", DAY)


async def test_a_disbursement_before_the_partner_answered_is_impossible_and_parks(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await b.react(ONE.submitted(), ONE.rated(), ONE.disbursed(), on=DAY)
        (reason,) = await b.parked()
        assert reason.startswith("cover_not_bound")


async def test_a_repaid_loan_ends_its_cover_and_frees_the_capacity(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await ONE.bind(b)
        await b.react(ONE.disbursed(), ONE.repaid("100000", "0"), ONE.closed("repaid"), on=DAY)
        assert (await b.names())[-1] == "cover.released"
        assert await capacity(b) == ("0.00", "0.00")


async def test_a_claim_is_filed_on_the_last_day_of_waiting_and_not_before(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await ONE.go_overdue(b)
        await b.tick(CLAIM_DAY - timedelta(days=1))
        assert "claim.filed" not in await b.names()
        await b.tick(CLAIM_DAY)
        filed = await last(b, ClaimFiled)
        assert (filed.loss, filed.claimed) == (cny("70000"), cny("56000"))
        ((kind, reference, request),) = await b.calls()
        cover_id = (await facility(b))["cover"]["cover_id"]
        assert (kind, reference) == ("partner.claim", filed.claim_id)
        assert request["body"] == {
            "reference": filed.claim_id,
            "cover_reference": cover_id,
            "loss": "70000.00",
            "claimed": "56000.00",
            "currency": "CNY",
            "business_date": CLAIM_DAY.isoformat(),
        }


async def test_an_accepted_claim_is_paid_and_every_recovery_is_shared(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        pay_by = await ONE.accept_claim(b)
        accepted = await last(b, ClaimAccepted)
        assert (accepted.amount, accepted.pay_by) == (cny("56000"), pay_by)
        assert pay_by == b.parts.policies.profile.calendar.add_working_days(CLAIM_DAY, 10)
        await b.tick(pay_by)
        ((kind, reference, request),) = await b.calls()
        assert (kind, reference, request["on"]) == ("partner.claim_payment", accepted.claim_id, pay_by.isoformat())
        await b.answer("partner.claim_payment", 200, paid=True, receipt="R-1")
        paid = await last(b, ClaimPaid)
        assert (paid.amount, paid.receipt) == (cny("56000"), "R-1")
        assert {part.party: part.amount for part in paid.parts} == {
            "guarantor": cny("28000"),
            "reguarantor": cny("21000"),
            "bank": cny("14000"),
            "government": cny("7000"),
        }
        await b.react(ONE.recovered("10000.01"), ONE.closed("written_off"), on=pay_by)
        assert (await b.names())[-2:] == ["recovery.shared", "cover.released"]
        shared = await last(b, RecoveryShared)
        assert sum(part.amount.amount for part in shared.parts) == cny("10000.01").amount
        assert await capacity(b) == ("0.00", "0.00")


async def test_a_cure_before_filing_forgets_the_claim(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await ONE.go_overdue(b)
        await b.react(ONE.cured("60000"), on=DUE + timedelta(days=1))
        await b.tick(CLAIM_DAY)
        assert "claim.filed" not in await b.names()


async def test_a_cure_before_payment_withdraws_the_claim_and_a_later_default_claims_anew(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        pay_by = await ONE.accept_claim(b)
        await b.react(ONE.cured("60000"), on=CLAIM_DAY)
        assert (await b.names())[-1] == "claim.withdrawn"
        await b.tick(pay_by)
        assert await b.calls() == []
        await b.react(ONE.overdue("60000"), on=pay_by)
        await b.tick(pay_by + timedelta(days=1))
        assert (await last(b, ClaimFiled)).loss == cny("60000")
        assert [claim["state"] for claim in (await facility(b))["claims"]].count("filed") == 1


async def test_a_yes_to_a_claim_that_was_cured_meanwhile_changes_nothing(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await ONE.go_overdue(b)
        await b.tick(CLAIM_DAY)
        await b.react(ONE.cured("60000"), on=CLAIM_DAY)
        await b.answer("partner.claim", 200, accepted=True, reason="")
        assert (await b.names())[-1] == "claim.withdrawn"


async def test_a_denied_claim_leaves_loss_and_recovery_with_the_bank(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await ONE.go_overdue(b)
        await b.tick(CLAIM_DAY)
        await b.answer("partner.claim", 200, accepted=False, reason="material_breach")
        await b.react(ONE.recovered("10000"), ONE.closed("written_off"), on=CLAIM_DAY)
        assert (await b.names())[-2:] == ["claim.denied", "cover.released"]


@pytest.mark.parametrize("paid", [True, False])
async def test_a_recovery_while_the_claim_is_open_waits_for_its_outcome(bench: Benches, paid: bool) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        pay_by = await ONE.accept_claim(b)
        await b.tick(pay_by)
        await b.react(ONE.recovered("10000"), ONE.closed("written_off"), on=pay_by)
        assert (await b.names())[-1] == "claim.accepted"
        if paid:
            await b.answer("partner.claim_payment", 200, paid=True, receipt="R-1")
            assert (await b.names())[-3:] == ["claim.paid", "recovery.shared", "cover.released"]
        else:
            await _never_pay(b)
            assert (await b.names())[-2:] == ["claim.denied", "cover.released"]
        assert await capacity(b) == ("0.00", "0.00")


async def test_whether_payment_or_recovery_comes_first_ends_the_same(bench: Benches) -> None:
    dumps = []
    for recovered_first in (True, False):
        async with bench(service) as b:
            await admit(b, AGREED)
            pay_by = await ONE.accept_claim(b)
            await b.tick(pay_by)
            if recovered_first:
                await b.react(ONE.recovered("10000"), on=pay_by)
            await b.answer("partner.claim_payment", 200, paid=True, receipt="R-1")
            if not recovered_first:
                await b.react(ONE.recovered("10000"), on=pay_by)
            assert (await last(b, RecoveryShared)).amount == cny("10000")
            dumps.append(await b.dump())
    assert dumps[0] == dumps[1]


async def test_a_payment_that_never_comes_ends_as_a_denial(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await b.tick(await ONE.accept_claim(b))
        times = await _never_pay(b)
        assert times == 13  # on the day it was due and twelve times more
        assert (await last(b, ClaimDenied)).reason == "payment_not_received"


async def test_nothing_is_claimed_twice_for_one_loss(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        pay_by = await ONE.accept_claim(b)
        await b.tick(pay_by)
        await b.answer("partner.claim_payment", 200, paid=True, receipt="R-1")
        await b.react(ONE.cured("60000"), ONE.overdue("60000"), on=pay_by)
        await b.tick(pay_by + timedelta(days=200))
        assert (await b.names()).count("claim.filed") == 1


async def _never_pay(bench: Bench) -> int:
    """Answer "not paid" (or "never heard of it") whenever asked, until nothing is due; how often it was asked."""
    times = 0
    while await bench.calls():
        times += 1
        if times % 2:
            await bench.answer("partner.claim_payment", 200, paid=False)
        else:
            await bench.answer("partner.claim_payment", 404)
        async with bench.parts.engine.connect() as conn:
            due = (await conn.exec_driver_sql("SELECT min(due) FROM timers")).scalar()
        if due is not None:
            await bench.tick(due)
    return times
