"""A little life in each service before it is attacked: requests must come past "not found" to reach the rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from libs.events import application as events
from tests.application import story as application
from tests.collateral import stories as collateral
from tests.console import samples as console
from tests.guarantee import packs
from tests.guarantee import stories as guarantee
from tests.harness.bench import Bench
from tests.incentive import stories as incentive
from tests.rating import facts as rating

Known = dict[str, list[str]]


async def seed(bench: Bench) -> Known:
    """Give the bench's service a facility; returns what it knows by the name of the field that would hold it."""
    return await _SEEDS[bench.service.name](bench)


async def _application(bench: Bench) -> Known:
    story = application.Story(bench)
    await story.disbursed()
    later = {"maturity": "2026-06-20", "document": "d-1"}
    extension = await story.done(f"loans/{story.loan_id}/extensions", later, role="customer_manager", actor="li")
    staff = ["li", "wang", "sun", "qian", "zhou"]
    return {
        "facility_id": [story.facility_id],
        "loan_id": [story.loan_id],
        "extension_id": [extension["extension_id"]],
        "consent_id": [story.consent_id],
        "purpose": ["claim", "credit_assessment"],
        "purposes": ["claim", "credit_assessment"],
        "partner": ["guarantor"],
        "partners": ["guarantor"],
        "actor": staff,
        "staff": staff,
        "staff_id": [*staff, "new-1", "new-2"],
        "lead": ["li"],
        "assistant": ["wang", "zhao"],
        "industry": ["retail", "industry"],
        "words": ["house", "hangzhou", "reg-4321", "working-capital", "cn-house-hangzhou"],
    }


async def _collateral(bench: Bench) -> Known:
    await collateral.perfected(bench, collateral.offer(), collateral.offer())
    await bench.react(collateral.submitted(facility="f-2"), collateral.disbursed(), on=collateral.APPLIED_ON)
    return {
        "facility_id": [collateral.F, "f-2"],
        "series": [collateral.SERIES],
        "actor": ["a-1", "a-2", "a-3"],
        "words": ["hangzhou-real-estate", "R-1"],
    }


async def _console(bench: Bench) -> Known:
    await bench.open(console.DAY)
    await bench.react(console.sample(events.ReferralReceived, facility_id="f-1", branch="b1"), on=console.DAY)
    return {"facility_id": ["f-1"], "actor": ["ann"], "words": ["word", "referred"]}


async def _guarantee(bench: Bench) -> Known:
    await guarantee.admit(bench, guarantee.AGREED, guarantee.NAMED)
    await packs.register_key(bench)
    await packs.hand_in(bench)
    story = guarantee.Story()
    await story.go_overdue(bench)
    path = f"/v1/partners/{guarantee.PARTNER['partner_id']}/lists/filings/2025-09"
    assert (await bench.post(path, [], role="customer_manager", org="")).status_code == 200
    target = {"url": "https://partner/hooks"}
    hook = await bench.post("/v1/partners/city-guarantee/webhooks", target, role="admin")
    return {
        "endpoint_id": [hook.json()["endpoint"]["endpoint_id"]],
        "url": ["https://partner/hooks", "https://127.0.0.1/"],
        "base_url": ["https://partner", "https://127.0.0.1"],
        "types": ["claim.filed.v1", "cover.bound.v1", "loan.overdue.v1"],
        "facility_id": [story.facility_id],
        "loan_id": [story.loan_id],
        "code": ["reg-4321", "reg-4321", "reg-4321", "named", "new-1", "new-2", "new-3"],
        "partner_id": ["city-guarantee", "new-1", "new-2"],
        "pack_version": ["1"],
        "key_id": ["k1", "k2"],
        "party": ["bank", "guarantor", "government", "city-guarantee"],
        "about": ["filings"],
        "month": ["2025-09"],
        "grades": ["A", "B"],
        "words": ["guarantor", "borrower"],
    }


async def _incentive(bench: Bench) -> Known:
    await bench.open(incentive.DISBURSED_ON)
    await bench.react(incentive.disbursed(), incentive.reclassified(), on=incentive.DISBURSED_ON)
    return {"facility_id": ["f-1"], "staff_id": ["s-lead", "s-approve"], "words": ["s-lead"]}


async def _rating(bench: Bench) -> Known:
    await bench.open(rating.DAY)
    for facility_id in ("f-1", "f-2", "f-3"):
        submitted, found = rating.application(facility_id=facility_id), rating.findings()
        await bench.react(submitted, replace(found, facility_id=facility_id), on=rating.DAY)
    return {"facility_id": ["f-1", "f-2", "f-3", "f-4"], "words": ["word"]}


_SEEDS: dict[str, Any] = {
    "application": _application,
    "collateral": _collateral,
    "console": _console,
    "guarantee": _guarantee,
    "incentive": _incentive,
    "rating": _rating,
}
