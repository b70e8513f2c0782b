"""The branch before its first loan: staff on the register, partners admitted, agreements in force."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import httpx

from deploy.demo.client import Client
from deploy.demo.policies import Assumptions, assumptions
from libs.runtime.outward import Direct

POLICY = {"cn-branch": "branch", "us-sba": "branch-us-sba"}
CURRENCY = {"cn-branch": "CNY", "us-sba": "USD"}


LISTEN_SECONDS_MAX = 30.0
"""For a partner's machine to register its webhook, once the bank has admitted it."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Who acts on one facility, all different people; `approvers` from the lowest level up."""

    lead: str
    assistant: str
    resolver: str
    reviewer: str
    approvers: tuple[str, ...]
    appraisers: tuple[str, str]


class Branch:
    """People and agreements of one profile, from its dated file."""

    def __init__(self, profile: str, on: date, ways: Mapping[str, str] | None = None) -> None:
        """`ways` says where the machines of partners are, by their ids; others are reached at `PARTNER_URL`."""
        self.profile, self.ways = profile, ways or {}
        self.terms: Assumptions = assumptions(POLICY[profile], on)
        self.effective = self.terms.version.effective

    def crew(self, number: int) -> Crew:
        """The crew of the `number`th life: everybody takes turns, nobody has two parts in one file."""
        managers, reviewers = self.terms.words("staff", "managers"), self.terms.words("staff", "reviewers")
        appraisers = self.terms.words("staff", "appraisers")
        apart = 1 + number // len(managers) % (len(managers) - 1)
        return Crew(
            lead=managers[number % len(managers)],
            assistant=managers[(number + apart) % len(managers)],
            resolver=reviewers[(number + 1) % len(reviewers)],
            reviewer=reviewers[number % len(reviewers)],
            approvers=tuple(str(row["id"]) for row in self.terms.rows("staff", "approvers")),
            appraisers=(appraisers[0], appraisers[1]),
        )

    async def open(self, client: Client) -> None:
        """Register everybody and conclude every agreement; repeatable, each step has its own idempotency key."""
        for staff, role, level in self._everybody():
            person = {"staff_id": staff, "branch": "branch", "role": role, "level": level}
            person["trained_until"] = self.terms.day("staff", "trained_until").isoformat()
            await self._post(client, "application", "/v1/staff", person, key=f"staff:{staff}")
        for partner in self.terms.rows("partners"):
            await self._post(client, "guarantee", "/v1/partners", dict(partner), key=f"partner:{partner['partner_id']}")
        await self._connect(client)
        for row in self.terms.rows("agreements"):
            currency = CURRENCY[self.profile]
            body: dict[str, Any] = {**row, "capacity": {"amount": row["capacity"], "currency": currency}}
            body |= {"effective": self.effective.isoformat(), "source": self.terms.version.ref}
            await self._agree(client, body)

    async def _connect(self, client: Client) -> None:
        """The way to each partner's machine; a machine of this run has credentials of this run."""
        for partner, url in self.ways.items():
            way = {"effective": self.effective.isoformat(), "adapter": "standard", "base_url": url}
            body = {**way, "credential": f"Bearer {hashlib.sha256(url.encode()).hexdigest()}"}
            await self._post(
                client, "guarantee", f"/v1/partners/{partner}/connections", body, key=f"connection:{partner}"
            )
        await asyncio.gather(*(_listening(url) for url in self.ways.values()))

    def _everybody(self) -> list[tuple[str, str, str]]:
        people = [(name, "customer_manager", "sub-branch") for name in self.terms.words("staff", "managers")]
        people += [(name, "reviewer", "branch") for name in self.terms.words("staff", "reviewers")]
        people += [(row["id"], "approver", row["level"]) for row in self.terms.rows("staff", "approvers")]
        people.append(("inspector", "inspector", "branch"))
        return people

    async def _agree(self, client: Client, terms: dict[str, Any]) -> None:
        """Both sides sign what was admitted: for the bank it is another person than drafted it."""
        code, partner = terms["code"], terms["partner_id"]
        drafted = await self._post(client, "guarantee", "/v1/agreements", terms, key=f"agreement:{code}")
        for party in ("bank", partner):
            body = {"party": party, "effective": terms["effective"], "digest": drafted["digest"]}
            path, key = f"/v1/agreements/{code}/signatures", f"signature:{code}:{party}"
            await client.post("guarantee", path, body, actor="signatory", role="admin", org="branch", key=key)

    async def _post(self, client: Client, service: str, path: str, body: dict[str, Any], *, key: str) -> Any:
        return await client.post(service, path, body, actor="admin", role="admin", org="branch", key=key)


async def _listening(url: str) -> None:
    """Wait until the machine has registered its webhook: it is told by it of what happens afterwards alone."""
    late = time.monotonic() + LISTEN_SECONDS_MAX
    async with httpx.AsyncClient(trust_env=False, timeout=LISTEN_SECONDS_MAX, transport=Direct()) as http:
        while not (await http.get(f"{url}/totals")).json()["listening"]:
            if time.monotonic() > late:
                raise TimeoutError(f"the partner at {url} registered no webhook")
            await asyncio.sleep(0.1)
