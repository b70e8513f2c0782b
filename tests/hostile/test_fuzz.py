"""Requests drawn from a service's own OpenAPI document never break it, and every answer is one that it documents."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import cache
from random import Random
from typing import Any

import httpx
import jsonschema_rs
import pytest

from tests.harness.bench import Bench
from tests.hostile.doors import ANY_TOKEN, NOBODY_ASKED, SERVICES, doors_of
from tests.hostile.seeds import seed
from tests.hostile.shapes import Asked, Shapes
from tests.hostile.table import documented

REQUESTS_PER_OWN_DOOR = 60
REQUESTS_PER_COMMON_DOOR = 6
SEED = 20260105
NEVER_FOUND = {  # the seeds park nothing, and no call of theirs fails
    "POST /ops/discarded/{event_id}",
    "POST /ops/calls/{call_id}/retry",
    "POST /ops/calls/{call_id}/settle",
}
KNOWN_MAX = 4  # of one name: what is known must be met again


class Attack:
    """One service with a little data in it, and the judge of its answers."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.name = bench, bench.service.name
        self.document = bench.service.app.openapi()
        self.known: dict[str, list[str]] = {}
        self.chance = Random(f"{SEED}/{self.name}")
        self.shapes = Shapes(self.document, self.chance, self.known)
        self.problems = documented(self.name)
        self.statuses: dict[str, Counter[int]] = {}

    async def send(self, asked: Asked) -> httpx.Response:
        """Send the request in a role that may use the door."""
        roles = doors_of(self.name)[asked.door]
        role = "operator" if roles in (ANY_TOKEN, NOBODY_ASKED) else min(roles)
        actor = self.chance.choice(self.known.get("actor") or ["someone"])
        headers = {"authorization": f"Bearer {self.token(actor, role)}", "idempotency-key": str(uuid.uuid4())}
        if asked.door.startswith("GET "):
            return await self.bench.http.get(asked.url, headers=headers)
        headers["content-type"] = "application/json"
        return await self.bench.http.post(asked.url, content=asked.content, headers=headers)

    @cache  # noqa: B019 - an attack lives as long as its test
    def token(self, actor: str, role: str) -> str:
        return self.bench.issuer.token(actor, role, org="b1")

    def judge(self, asked: Asked, answer: httpx.Response) -> None:
        """Fail unless the answer is one of those the document promises for this door."""
        said = f"{asked.door} {asked.url[:300]} {asked.content[:900]!r} -> {answer.status_code} {answer.text[:600]}"
        responses = self.shapes.operations[asked.door]["responses"]
        self.statuses.setdefault(asked.door, Counter())[answer.status_code] += 1
        assert answer.status_code < 500 or asked.door == "GET /health/ready", said
        assert str(answer.status_code) in responses, said
        if answer.status_code < 300:
            assert answer.headers["content-type"] == "application/json", said
            schema = responses[str(answer.status_code)]["content"]["application/json"]["schema"]
            self.fits(schema, answer.json())
            self.learn(answer.json())
            return
        assert answer.headers["content-type"] == "application/problem+json", said
        told = answer.json()
        self.fits({"$ref": "#/components/schemas/Problem"}, told)
        assert told["status"] == answer.status_code, said
        assert (told["status"], told["code"]) in self.problems, said

    def fits(self, schema: dict[str, Any], value: Any) -> None:
        """Fail unless a body is what the document says."""
        whole = {**schema, "components": self.document["components"]}
        jsonschema_rs.Draft202012Validator(whole).validate(value)

    def learn(self, value: Any) -> None:
        """Keep the ids that an answer names: later requests use them."""
        for name, part in value.items() if isinstance(value, dict) else ():
            if name in self.known and isinstance(part, str) and len(self.known[name]) < KNOWN_MAX:
                self.known[name].append(part)


@pytest.fixture(params=sorted(SERVICES))
async def attack(request: pytest.FixtureRequest, bench: Callable[..., Bench]) -> AsyncIterator[Attack]:
    async with bench(SERVICES[request.param]) as opened:
        attacked = Attack(opened)
        attacked.known.update(await seed(opened))
        yield attacked


async def test_no_drawn_request_breaks_a_service_or_its_promises(attack: Attack) -> None:
    doors = [
        door
        for door in attack.shapes.operations
        for _ in range(REQUESTS_PER_OWN_DOOR if " /v1/" in door else REQUESTS_PER_COMMON_DOOR)
    ]
    attack.chance.shuffle(doors)
    for door in doors:
        asked = attack.shapes.request(door)
        attack.judge(asked, await attack.send(asked))
    unheard = [door for door in doors if not attack.statuses[door].keys() - {400, 404, 422}]
    assert set(unheard) <= NEVER_FOUND, "these requests never came as far as a rule: the attack has gone blunt"
