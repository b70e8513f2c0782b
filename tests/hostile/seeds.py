"""A little life in each service before it is attacked: requests must come past "not found" to reach the rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from libs.events import application as events
from tests.application import story as application
from tests.collateral import stories as collateral
from tests.console import samples as console
from tests.guarantee import packs, partner_client
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


CLOCKS = {
    "notice_days": 10,
    "decide_days": 30,
    "answer_days": 15,
    "appeal_days": 20,
    "interim_days": 60,
    "interim_share": "0.50",
}
LONG = {
    **partner_client.CALLING,
    "capacity": {"amount": "9000000.00", "currency": "CNY"},
    "claims": CLOCKS,
    "direct": "guarantor",
    "legs": [{"party": "reguarantor", "working_days": 30, "proof": "receipt"}],
    "cap": {"rate": "1"},
}
BATCH = {**LONG, "code": "batch", "binding": {"timing": "filed_after_disbursement", "file_days": 200}}
NOTICED = {**LONG, "code": "noticed", "binding": {"notice": True}}


async def partners_year(bench: Bench) -> Known:
    """A partner that calls us, with covers at every step of their lives: asked for, bound, drawn, claimed, paid."""
    await guarantee.admit(bench, LONG, BATCH, NOTICED)
    await packs.register_key(bench)
    await packs.hand_in(bench)
    partner = partner_client.Partner(bench, partner_client.OWN_PARTY)
    drawn = [
        guarantee.Story(name=f"drawn-{n}", agreement=code) for n, code in enumerate(["reg-4321"] * 8 + ["batch"] * 2)
    ]
    for story in drawn:
        await bench.react(story.submitted(), story.rated(), on=guarantee.DAY)
        if story.agreement != "batch":
            assert (await partner.answer(story, accepted=True)).status_code == 200
        await bench.react(story.disbursed(), story.overdue("70000"), on=guarantee.DAY)
    await bench.tick(guarantee.CLAIM_DAY)
    for story in drawn[:2]:
        claim = await partner.claim_of(story)
        assert (await partner.on_claim(story, "decision", accepted=True)).status_code == 200
        paid = await partner.on_claim(story, "payments", amount=claim["claimed"], receipt="R-1")
        assert paid.status_code == 200, paid.text
    denied = await partner.on_claim(drawn[2], "decision", accepted=False, reason="misuse_of_funds")
    assert denied.status_code == 200, denied.text
    asked = [
        guarantee.Story(name=f"asked-{n}", agreement=code) for n, code in enumerate(["reg-4321"] * 3 + ["noticed"] * 3)
    ]
    for story in asked:
        await bench.react(story.submitted(), story.rated(), on=guarantee.CLAIM_DAY)
    for story in asked[3:]:
        assert (await partner.answer(story, accepted=True)).status_code == 200
    return {
        "url": ["https://partner/hooks"],
        "base_url": ["https://partner"],
        "types": ["claim.filed.v1", "cover.bound.v1"],
        "facility_id": [story.facility_id for story in (*drawn, *asked)],
        "code": ["reg-4321", "batch", "noticed"],
        "agreement": ["reg-4321"],
        "partner_id": [partner_client.OWN_PARTY] * 6 + ["new-1", "new-2"],
        "partner": [partner_client.OWN_PARTY],
        "pack_version": ["1"],
        "key_id": ["k1", "k2", "k3"],
        "party": [partner_client.OWN_PARTY, "bank", "guarantor", "reguarantor"],
        "side": [partner_client.OWN_PARTY, "bank"],
        "about": ["filings", "claims"],
        "month": ["2025-09", "2025-12"],
        "grades": ["A", "B"],
        "receipt": [f"R-{n}" for n in range(9)],
        "branch": ["b1"],
        "as_of": ["2025-09-01", "2026-01-01"],
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
