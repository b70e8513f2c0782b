"""Guarantors and counter-guarantees: signed for the right creditor, perfected, asked for before the money, released."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from libs.events.guarantee_upkeep import CounterGuaranteePerfected, GuarantorSigned
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, DAY, Story, admit, cny
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
ONE = Story()
PATH = f"/v1/facilities/{ONE.facility_id}"
ASKED = {
    **AGREED,
    "binding": {"notice": True},
    "liability": {"undertakings": ["owner_guarantee", "second_mortgage"]},
}


async def sign(bench: Bench, kind: str, guarantor: str = "p-owner", **more: Any) -> dict[str, Any]:
    body = {
        "kind": kind,
        "guarantor": guarantor,
        "liability": "joint",
        "amount": {"amount": "100000.00", "currency": "CNY"},
        "document": "G-1",
        **more,
    }
    found: dict[str, Any] = (await bench.post(f"{PATH}/undertakings", body, role="customer_manager")).json()
    return found


async def perfect(bench: Bench, undertaking_id: str) -> dict[str, Any]:
    path = f"{PATH}/undertakings/{undertaking_id}/perfection"
    found: dict[str, Any] = (await bench.post(path, {"registration": "R-9"}, role="customer_manager")).json()
    return found


async def test_everybody_signs_for_the_right_creditor_and_the_notice_waits_for_what_the_partner_asks(
    bench: Benches,
) -> None:
    async with bench(service) as b:
        await admit(b, ASKED)
        assert (await sign(b, "owner_guarantee"))["code"] == "not_found"  # a facility that nobody knows
        await b.react(ONE.submitted(), on=DAY)
        assert (await sign(b, "second_mortgage"))["code"] == "no_partner_to_favour"
        assert (await sign(b, "owner_guarantee"))["creditor"] == "bank"
        assert (await sign(b, "spouse_guarantee"))["creditor"] == "bank"
        assert (await sign(b, "owner_guarantee"))["code"] == "undertaking_signed_before"
        await b.react(ONE.rated(), on=DAY)
        await b.answer("partner.cover", 200, accepted=True)
        mortgage = await sign(b, "second_mortgage")
        assert (mortgage["creditor"], mortgage["state"]) == ("city-guarantee", "signed")

        notice = {"number": "F-1"}
        early = (await b.post(f"{PATH}/disbursement-notices", notice, role="customer_manager")).json()
        assert (early["code"], early["missing"]) == ("undertakings_missing", "second_mortgage")
        assert (await perfect(b, mortgage["undertaking_id"]))["state"] == "perfected"
        assert (await perfect(b, mortgage["undertaking_id"]))["code"] == "undertaking_not_open"
        assert (await b.post(f"{PATH}/disbursement-notices", notice, role="customer_manager")).status_code == 200

        signed = [body for body in await b.published() if isinstance(body, GuarantorSigned)]
        assert [(one.kind, one.creditor, one.liability) for one in signed] == [
            ("owner_guarantee", "bank", "joint"),
            ("spouse_guarantee", "bank", "joint"),
            ("second_mortgage", "city-guarantee", "joint"),
        ]
        (entered,) = [body for body in await b.published() if isinstance(body, CounterGuaranteePerfected)]
        assert (entered.registration, entered.amount) == ("R-9", cny("100000"))

        partners = await b.http.get(PATH, headers=b.bearer("p", "partner", party="city-guarantee", scope="covers.read"))
        assert [one["kind"] for one in partners.json()["undertakings"]] == ["second_mortgage"]

        await b.react(ONE.disbursed(), ONE.repaid("100000", "0"), ONE.closed("repaid"), on=DAY)
        standing = (await b.get(PATH)).json()["undertakings"]
        assert {(one["state"], one["released_on"]) for one in standing} == {("released", DAY.isoformat())}
        assert (await perfect(b, mortgage["undertaking_id"]))["code"] == "undertaking_not_open"
        assert await b.parked() == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": {"amount": "0.00", "currency": "CNY"}}, "undertaking_empty"),
        ({"guarantor": "Zhang San"}, "invalid_request"),  # an id, never a name
        ({"kind": "mother_in_law"}, "invalid_request"),
    ],
)
async def test_an_undertaking_that_cannot_be_is_turned_away(bench: Benches, change: dict[str, Any], code: str) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await b.react(ONE.submitted(), on=DAY)
        assert (await sign(b, **{"kind": "company_guarantee", **change}))["code"] == code


async def test_a_write_off_frees_nobody(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await ONE.bind(b)
        await sign(b, "owner_guarantee")
        await b.react(ONE.disbursed(), ONE.closed("written_off"), on=DAY)
        assert [one["state"] for one in (await b.get(PATH)).json()["undertakings"]] == ["signed"]


async def test_a_refused_application_releases_who_had_signed_and_a_guarantee_needs_no_registry(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await b.react(ONE.submitted(), on=DAY)
        signed = await sign(b, "owner_guarantee")
        assert (await perfect(b, signed["undertaking_id"]))["code"] == "perfection_not_needed"
        assert (await perfect(b, "none"))["code"] == "no_undertaking"
        await b.react(ONE.refused(), on=DAY)
        assert [one["state"] for one in (await b.get(PATH)).json()["undertakings"]] == ["released"]
