"""Between approval and pay-out: the partner binds what was held, and its disbursement notice lets the money go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from libs.events.application import FacilityGranted
from libs.events.guarantee import CapacityReserved, CoverBound
from libs.events.guarantee_upkeep import DisbursementNoticeIssued
from services.guarantee.main import service
from tests.guarantee.partner_client import OWN_PARTY, Partner
from tests.guarantee.stories import AGREED, DAY, MATURITY, Story, admit, capacity, cny
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
ONE = Story()
LATE = {**AGREED, "binding": {"before_disbursement": True, "notice": True, "hold_days": 5}}
GRANTED = FacilityGranted(facility_id=ONE.facility_id, borrower_id="b1", limit=cny("100000"), valid_until=MATURITY)


async def notice(bench: Bench) -> httpx.Response:
    path = f"/v1/facilities/{ONE.facility_id}/disbursement-notices"
    return await bench.post(path, {"number": "F-2025-1"}, role="customer_manager")


async def test_capacity_is_held_before_the_approval_and_the_partner_binds_and_notifies_after_it(
    bench: Benches,
) -> None:
    async with bench(service) as b:
        await admit(b, LATE)
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        (held,) = await b.published()
        assert isinstance(held, CapacityReserved)
        assert (held.bind_after_approval, await b.calls(), await capacity(b)) == (True, [], ("80000.00", "0.00"))
        assert (await notice(b)).json()["code"] == "cover_not_bound"
        await b.react(GRANTED, on=DAY)
        assert ((await b.names())[-1], len(await b.calls())) == ("cover.requested", 1)
        await b.answer("partner.cover", 200, accepted=True)
        bound = (await b.published())[-1]
        assert isinstance(bound, CoverBound)
        assert (bound.notice_needed, await capacity(b)) == (True, ("80000.00", "80000.00"))
        guarantor = Partner(b, OWN_PARTY)
        path = f"/facilities/{ONE.facility_id}/disbursement-notices"
        assert (await guarantor.post(path, {"number": "F-2025-1"})).status_code == 200
        issued = (await b.published())[-1]
        assert isinstance(issued, DisbursementNoticeIssued)
        assert (issued.notice, issued.amount) == ("F-2025-1", cny("100000"))
        assert (await notice(b)).json()["code"] == "notice_issued_before"
        await b.react(ONE.disbursed(), on=DAY)
        assert ("cover.activated" in await b.names(), await b.parked()) == (True, [])


async def test_an_agreement_suspended_before_the_approval_is_not_asked_after_it(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, LATE)
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        await b.post("/v1/agreements/reg-4321/suspension", {"reason": "x"}, role="risk_director")
        await b.react(GRANTED, on=DAY)
        assert (await b.names())[-2:] == ["cover.refused", "capacity.released"]
        assert (await b.calls(), await capacity(b)) == ([], ("0.00", "0.00"))


async def test_a_refused_application_gives_back_what_was_only_held(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, LATE)
        await b.react(ONE.submitted(), ONE.rated(), ONE.refused(), on=DAY)
        assert ((await b.names())[-1], await capacity(b)) == ("capacity.released", ("0.00", "0.00"))


@pytest.mark.parametrize(
    ("binding", "code"),
    [
        ({"timing": "filed_after_disbursement", "file_days": 5, "notice": True}, "filed_and_awaited"),
        ({"timing": "filed_after_disbursement", "file_days": 5, "before_disbursement": True}, "filed_and_awaited"),
        ({"timing": "filed_after_disbursement", "file_days": 5, "quoted": True}, "nobody_answers"),
    ],
)
async def test_a_batch_partner_is_not_waited_for(bench: Benches, binding: dict[str, Any], code: str) -> None:
    async with bench(service) as b:
        await admit(b)
        answer = await b.post("/v1/agreements", {**AGREED, "binding": binding}, role="admin")
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_who_agreed_on_no_notice_issues_none(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await ONE.bind(b)
        assert (await notice(b)).json()["code"] == "notice_not_agreed"
