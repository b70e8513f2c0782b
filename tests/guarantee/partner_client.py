"""A partner's client and two partners that call us, for the tests of their doors."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import httpx

from tests.guarantee.stories import AGREED, CLAIM_DAY, DAY, Story, admit, agree
from tests.harness.bench import Bench
from tests.hostile.doors import OWN

OWN_PARTY, OTHER_PARTY = "city-guarantee", "rural-guarantee"
SCOPES = sorted({rule.scope for rule in OWN["guarantee"].values()} - {""})
CALLING = {**AGREED, "contact": "partner_calls", "liability": {"recovery_lead": OWN_PARTY}}
OTHERS = {**CALLING, "code": "rural", "partner_id": OTHER_PARTY, "liability": {"recovery_lead": OTHER_PARTY}}


def money(amount: str, currency: str = "CNY") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


@dataclass(frozen=True, slots=True)
class Partner:
    """One partner's client."""

    bench: Bench
    party: str
    scopes: str = " ".join(SCOPES)

    def _headers(self, key: str, more: dict[str, str]) -> dict[str, str]:
        token = self.bench.bearer("client", "partner", party=self.party, scope=self.scopes)
        return {**token, "idempotency-key": key or str(uuid.uuid4()), **more}

    async def post(self, path: str, body: Any, *, key: str = "", **more: str) -> httpx.Response:
        headers = self._headers(key, {name.replace("_", "-"): value for name, value in more.items()})
        return await self.bench.http.post(f"/v1{path}", json=body, headers=headers)

    async def get(self, path: str) -> httpx.Response:
        return await self.bench.http.get(f"/v1{path}", headers=self._headers("", {}))

    async def requests(self) -> list[dict[str, Any]]:
        return list((await self.get("/cover-requests")).json()["items"])

    async def answer(self, story: Story, *, cover_id: str = "", **body: Any) -> httpx.Response:
        if not cover_id:
            cover_id = (await self.get(f"/facilities/{story.facility_id}")).json()["cover"]["cover_id"]
        return await self.post(f"/facilities/{story.facility_id}/cover-answers", {"cover_id": cover_id, **body})

    async def claim_of(self, story: Story) -> dict[str, Any]:
        view = (await self.get(f"/facilities/{story.facility_id}")).json()
        return dict(view["claims"][-1])

    async def on_claim(self, story: Story, what: str, **body: Any) -> httpx.Response:
        claim = await self.claim_of(story)
        return await self.post(f"/facilities/{story.facility_id}/claims/{claim['claim_id']}/{what}", body)


async def admit_two(b: Bench) -> None:
    """Two partners that call us, each with an agreement."""
    await admit(b, CALLING)
    other = {"partner_id": OTHER_PARTY, "name": "Rural Guarantee", "kind": "guarantor"}
    await b.post("/v1/partners", other, role="admin")
    await agree(b, OTHERS)


async def claimed(b: Bench, story: Story) -> None:
    """Asked, bound, disbursed, overdue and claimed, on the claim's day."""
    await b.react(story.submitted(), story.rated(), on=DAY)
    partner = OTHER_PARTY if story.agreement == "rural" else OWN_PARTY
    assert (await Partner(b, partner).answer(story, accepted=True)).status_code == 200
    await b.react(story.disbursed(), story.overdue("100000"), on=DAY)
    await b.tick(CLAIM_DAY)
