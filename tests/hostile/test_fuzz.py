"""Requests drawn from a service's own OpenAPI document never break it, and every answer is one that it documents."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import Any

import httpx
import jsonschema_rs
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.harness.bench import Bench
from tests.hostile.doors import ANY_TOKEN, NOBODY_ASKED, SERVICES, doors_of
from tests.hostile.seeds import seed
from tests.hostile.shapes import Asked, Shapes
from tests.hostile.table import documented

REQUESTS_PER_OPERATION = 25
KNOWN_MAX = 200


class Attack:
    """One service with a little data in it, and the judge of its answers."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.name = bench, bench.service.name
        self.document = bench.service.app.openapi()
        self.shapes = Shapes(self.document)
        self.operations = self.shapes.operations()
        self.problems = documented(self.name)
        self.known: list[str] = []
        self.statuses: dict[str, set[int]] = {}

    async def send(self, asked: Asked) -> httpx.Response:
        """Send the request in a role that may use the door."""
        roles = doors_of(self.name)[asked.door]
        role = "operator" if roles in (ANY_TOKEN, NOBODY_ASKED) else min(roles)
        actor = self.known[int(asked.actor.removeprefix("known:")) % len(self.known)]
        headers = {"authorization": f"Bearer {self.token(actor, role)}", "idempotency-key": str(uuid.uuid4())}
        method, url = asked.door.partition(" ")[0], asked.url(self.known)
        if method == "GET":
            return await self.bench.http.get(url, headers=headers)
        content = asked.content(self.known)
        headers["content-type"] = "application/json"
        note(f"{method} {url} {content[:600]!r} as {role} {actor}")
        return await self.bench.http.post(url, content=content, headers=headers)

    @cache  # noqa: B019 - an attack lives as long as its test
    def token(self, actor: str, role: str) -> str:
        return self.bench.issuer.token(actor, role, org="b1")

    def judge(self, asked: Asked, answer: httpx.Response) -> None:
        """Fail unless the answer is one of those the document promises for this door."""
        said = f"{answer.status_code} {answer.text[:600]}"
        responses = self.operations[asked.door]["responses"]
        self.statuses.setdefault(asked.door, set()).add(answer.status_code)
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
            if name.endswith(("_id", "code")) and isinstance(part, str) and part and len(self.known) < KNOWN_MAX:
                self.known.append(part)


@pytest.fixture(params=sorted(SERVICES))
async def attack(request: pytest.FixtureRequest, bench: Callable[..., Bench]) -> AsyncIterator[Attack]:
    async with bench(SERVICES[request.param]) as opened:
        attacked = Attack(opened)
        attacked.known = await seed(opened)
        yield attacked


# No shrinking: what a service answers depends on what came before. Derandomized: the same requests every time.
@settings(
    max_examples=1,
    phases=[Phase.generate],
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
async def test_no_drawn_request_breaks_a_service_or_its_promises(attack: Attack, data: st.DataObject) -> None:
    strategy = attack.shapes.requests()
    for _ in range(len(attack.operations) * REQUESTS_PER_OPERATION):
        asked = data.draw(strategy)
        attack.judge(asked, await attack.send(asked))
