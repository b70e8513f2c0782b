"""Who may do what at guarantee's door, what it says no to, and what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.guarantee.main import service
from tests.guarantee.stories import AGREED, DAY, NAMED, PARTNER, Story, admit
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
ONE = Story()
PREMIUM = {"amount": {"amount": "800.00", "currency": "CNY"}}


async def test_only_an_administrator_admits_partners_and_agreements(bench: Benches) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        for path, body in (("/v1/partners", PARTNER), ("/v1/agreements", AGREED)):
            answer = await b.post(path, body, role="customer_manager")
            assert (answer.status_code, answer.json()["code"]) == (403, "role_needed")


async def test_a_partner_or_an_agreement_is_admitted_once(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        for path, body, code in (
            ("/v1/partners", PARTNER, "partner_exists"),
            ("/v1/agreements", AGREED, "agreement_exists"),
        ):
            answer = await b.post(path, body, role="admin")
            assert (answer.status_code, answer.json()["code"]) == (409, code)


async def test_an_agreement_needs_an_admitted_partner(bench: Benches) -> None:
    async with bench(service) as b:
        await b.open(DAY)
        assert (await b.post("/v1/agreements", AGREED, role="admin")).status_code == 404


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"bank_share_min": "0.21"}, "bank_share_below_minimum"),
        ({"share_max": "0.79"}, "shares_above_maximum"),
        ({"share_source": "answer"}, "shares_named_twice"),
        ({"shares": []}, "parties_incomplete"),
        ({"share_max": "1.01"}, "invalid_request"),
        ({"share_source": "guess"}, "invalid_request"),
        ({"grades": []}, "invalid_request"),
        ({"capacity": {"amount": "-1", "currency": "CNY"}}, "invalid_request"),
        ({"code": "a b"}, "invalid_request"),
        ({"unheard": 1}, "invalid_request"),
    ],
)
async def test_terms_that_cannot_be_are_invalid(bench: Benches, change: dict[str, Any], code: str) -> None:
    async with bench(service) as b:
        await admit(b)
        answer = await b.post("/v1/agreements", {**AGREED, **change}, role="admin")
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert (await b.get("/v1/agreements")).json() == {"items": [], "next": ""}


async def test_a_repeated_admission_gets_the_first_answer(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b)
        first = await b.post("/v1/agreements", AGREED, role="admin", key="k")
        again = await b.post("/v1/agreements", AGREED, role="admin", key="k")
        assert (first.status_code, again.status_code, again.text) == (201, 201, first.text)
        assert again.headers["idempotency-replayed"] == "true"


async def test_agreements_are_listed_by_code_with_what_is_left(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED, NAMED)
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        first = (await b.get("/v1/agreements?limit=1")).json()
        for code in ("early", "middle", "zone"):  # admitted between two pages
            await b.post("/v1/agreements", {**AGREED, "code": code}, role="admin")
        rest = (await b.get(f"/v1/agreements?cursor={first['next']}")).json()
        listed = [*first["items"], *rest["items"]]
        assert [entry["agreement"]["code"] for entry in listed] == ["named", "reg-4321", "zone"]
        assert rest["next"] == ""
        shown = (await b.get("/v1/agreements/reg-4321")).json()
        assert shown == listed[1]
        assert {name: shown[name]["amount"] for name in ("capacity", "reserved", "bound", "available")} == {
            "capacity": "1000000.00",
            "reserved": "80000.00",
            "bound": "0.00",
            "available": "920000.00",
        }
        assert (await b.get("/v1/agreements/none")).status_code == 404
        assert (await b.get("/v1/agreements?limit=0")).status_code == 422


async def test_core_banking_reports_a_premium_once_and_to_the_cent(bench: Benches) -> None:
    path = f"/v1/facilities/{ONE.facility_id}/premium-payments"
    async with bench(service) as b:
        await admit(b, AGREED)
        assert (await b.post(path, PREMIUM, role="core_bank")).status_code == 404
        await ONE.bind(b)
        assert (await b.post(path, PREMIUM, role="core_bank")).json()["code"] == "no_premium_due"
        await b.react(ONE.disbursed(), on=DAY)
        assert (await b.post(path, PREMIUM, role="customer_manager")).status_code == 403
        short = await b.post(path, {"amount": {"amount": "799.99", "currency": "CNY"}}, role="core_bank")
        assert (short.status_code, short.json()["code"], short.json()["due"]) == (409, "premium_differs", "800.00 CNY")
        foreign = await b.post(path, {"amount": {"amount": "800.00", "currency": "USD"}}, role="core_bank")
        assert foreign.json()["code"] == "premium_differs"
        assert (await b.post(path, PREMIUM, role="core_bank")).status_code == 200
        assert (await b.names())[-1] == "premium.paid"
        assert (await b.post(path, PREMIUM, role="core_bank")).json()["code"] == "no_premium_due"


async def test_a_facility_shows_its_facts_cover_loans_and_claims(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        assert (await b.get(f"/v1/facilities/{ONE.facility_id}")).status_code == 404
        await b.react(ONE.rated(), on=DAY)
        early = (await b.get(f"/v1/facilities/{ONE.facility_id}")).json()
        assert (early["file"]["grade"], early["file"]["agreement"], early["cover"]) == ("A", None, None)
        await b.react(ONE.submitted(), on=DAY)
        await b.answer("partner.cover", 200, accepted=True)
        await b.react(ONE.disbursed(), on=DAY)
        view = (await b.get(f"/v1/facilities/{ONE.facility_id}")).json()
        assert (view["cover"]["state"], view["cover"]["guaranteed"]) == (
            "active",
            {"amount": "80000.00", "currency": "CNY"},
        )
        assert [loan["loan_id"] for loan in view["loans"]] == [ONE.loan_id]
        assert view["claims"] == []


async def test_the_us_profile_binds_what_the_partner_names(bench: Benches) -> None:
    story = Story(agreement="sba-7a")
    named = {**NAMED, "code": "sba-7a", "share_max": "0.90", "bank_share_min": "0.10", "effective": "1970-01-01"}
    async with bench(service, profile="us-sba") as b:
        await admit(b, named)
        await b.react(story.submitted(), story.rated(), on=DAY)
        await b.answer("partner.cover", 200, accepted=True, guaranteed="85000.00", reason="")
        view = (await b.get(f"/v1/facilities/{story.facility_id}")).json()
        assert (view["cover"]["state"], view["cover"]["held"]["amount"]) == ("bound", "85000.00")
