"""schemathesis walks guarantee's own links, each call with ids of answers before it: no 500, nothing undocumented."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.generation.stateful.state_machine import APIStateMachine, normalize_name

from services.guarantee.api.links import LINKS
from services.guarantee.main import service
from tests.guarantee.partner_client import CALLING, OWN_PARTY, SCOPES
from tests.guarantee.stories import PARTNER
from tests.harness.bench import Bench
from tests.hostile.doors import OWN, About, doors_of
from tests.hostile.seeds import partners_year
from tests.hostile.test_interface import PLAIN, Attack, acquaint

SCENARIOS, STEPS = 24, 25
_COVERS = {f"GET {path}" for path in ("/v1/cover-requests", "/v1/cover-at-risk/facilities", "/v1/partner-events")}
ROOTS = (
    _COVERS,
    {"POST /v1/partners", "POST /v1/agreements", "GET /v1/agreements"},
    _COVERS,
    {"GET /v1/cover-at-risk", "GET /v1/recoveries", "GET /v1/cover-portfolio", "GET /v1/agreements"},
)
"""Where a walk may begin, which needs no id of an answer: a scenario each by turns."""
ASKING = {
    "since": ["2025-09-01"],
    "until": ["2026-12-31"],
    "pd_factor": ["1", "3"],
    "lgd_factor": ["1", "1.5"],
    "limit": ["1", "50"],
    "against": ["bank"],
}
ASKED, SHOWN = "/v1/cover-requests", "/v1/facilities/{facility_id}"
TAKEN_MIN, RULED_MIN = 48, 53
"""Of so many doors a 2xx is wanted at least, and of so many that or a rule that says no."""


class Walk(Attack):
    """A partner and the bank by turns, who remember what they were told."""

    def __init__(self, bench: Bench, runner: asyncio.Runner) -> None:
        super().__init__(bench, runner, partners_year)
        self.chance = random.Random(1)
        self.told: set[str] = set()
        self.lives: dict[str, list[tuple[str, str]]] = {"loan_id": [], "claim_id": []}
        for facility in self.known["facility_id"]:
            self._meet(runner.run(bench.get(f"/v1/facilities/{facility}")).json())
        self.least, self.born, self.own = True, 0, True

    def bearer(self, door: str) -> dict[str, str]:
        rule = doors_of(self.name)[door]
        if rule.scope and (not rule.roles or (self.own and self.chance.random() < 0.6)):
            return self.bench.bearer("system", "partner", party=OWN_PARTY, scope=" ".join(SCOPES))
        actor, role = self.chance.choice(["ann", "bob"]), min(rule.roles)
        return self.bench.bearer(actor, role, org="b1" if rule.about is About.BRANCH else "")

    def answer(self, case: Case, door: str) -> httpx.Response:
        """Send a case, mostly with names of ours where no answer before gave one."""
        if self.chance.random() < 0.9:
            self._mend(case, door)
        self.own = case.path_parameters.get("partner_id", OWN_PARTY) == OWN_PARTY
        answer = self.send(case, door)
        if answer.is_success and "json" in answer.headers.get("content-type", ""):
            self.told |= set(_texts(answer.json()))
            if door == f"GET {SHOWN}":
                self._meet(answer.json())
        return answer

    def _mend(self, case: Case, door: str) -> None:
        """What would only be turned away at the door is put right."""
        known = {**PLAIN, **self.known}
        case.path_parameters = acquaint(self.chance.choice, case.path_parameters, known, self.told)
        case.query = acquaint(self.chance.choice, case.query, known | ASKING, self.told)
        case.body = acquaint(self.chance.choice, case.body, known, self.told)
        self.born += 1
        if door == "POST /v1/agreements":
            case.body = {**CALLING, "code": f"new-{self.born}"}
        if door == "POST /v1/partners":
            case.body = {**PARTNER, "partner_id": f"new-{self.born}"}
        for name in ("If-Match", "If-None-Match"):
            case.headers.pop(name, None)
        case.query.pop("after_event", None)
        if case.query.get("cursor") not in self.told:
            case.query.pop("cursor", None)
        body = case.body if isinstance(case.body, dict) else {}
        for place in (case.path_parameters, body, *(row for row in body.get("rows", ()) if isinstance(row, dict))):
            if "accepted" in place:
                place["reason"] = "" if place["accepted"] else "misuse_of_funds"
            for name in ("loan_id", "claim_id"):
                if name in place and place[name] not in self.told:
                    facility, place[name] = self.chance.choice(self.lives[name])
                    where = place if "facility_id" in place else case.path_parameters
                    where["facility_id"] = facility

    def _meet(self, view: dict[str, Any]) -> None:
        """Remember which loans and claims belong to which facility."""
        for name, things in (("loan_id", view["loans"]), ("claim_id", view["claims"])):
            for thing in things:
                if (life := (view["file"]["facility_id"], thing[name])) not in self.lives[name]:
                    self.lives[name].append(life)

    def machines(self, document: dict[str, Any]) -> tuple[type[APIStateMachine], ...]:
        """What walks along the links of the document, and holds every answer against it: one for each of ROOTS."""
        # A person would take any row of a list; a link can only name the first.
        text = json.dumps(document).replace("/0/", "/*/")
        schema = schemathesis.openapi.from_dict(json.loads(text))
        schema.config.phases.stateful.inference.algorithms = []
        walk = self

        schema.config.generation.update(modes=[GenerationMode.POSITIVE])
        base = schema.as_state_machine()

        class Machine(base):  # type: ignore[misc,valid-type] - made from the document
            def call(self, case: Case, **_: Any) -> Response:
                if walk.least:  # hypothesis tries the least example first, which is always the same
                    walk.least = False
                    hypothesis.reject()
                return Response.from_httpx(walk.answer(case, case.operation.label), verify=False)

            def validate_response(self, response: Response, case: Case, **_: Any) -> None:
                walk.check(case, case.operation.label, response)

        return tuple(
            type(
                "From",
                (Machine,),
                dict.fromkeys(base.root_rules - {normalize_name(f"RANDOM -> {one}") for one in roots}),
            )
            for roots in ROOTS
        )

    def walk(self, document: dict[str, Any], scenarios: int) -> None:
        """So many scenarios, always the same. Each begins where the one before it left the books, so it is a run of its
        own: hypothesis would wonder why the same calls are answered otherwise.
        """
        machines = self.machines(document)
        settings = hypothesis.settings(
            max_examples=1,
            stateful_step_count=STEPS,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate],
        )
        for number in range(scenarios):
            machine = machines[number % len(machines)]
            self.least, machine._hypothesis_internal_use_seed = True, number  # type: ignore[attr-defined]  # Hypothesis does not tell it
            machine.run(settings=settings)


def _texts(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for part in value.values():
                yield from _texts(part)
        case list():
            for part in value:
                yield from _texts(part)
        case str():
            yield value


@pytest.fixture
def walk(bench: Callable[..., Bench]) -> Iterator[Walk]:
    with asyncio.Runner() as runner:
        walking = Walk(bench(service, partner_requests_minute_max=1_000_000), runner)
        yield walking
        walking.end()


def test_lies_of_a_document_are_found_and_every_door_is_reached_by_links_and_answers_as_documented(walk: Walk) -> None:
    for lie in LIES:
        told = few()
        walk.walk(told, 1)
        lie(told)
        with pytest.raises((FailureGroup, hypothesis.errors.Flaky)):
            walk.walk(told, 1)
    walk.walk(service.app.openapi(), SCENARIOS)
    linked = {way.where for ways in LINKS.values() for way in ways} | LINKS.keys()
    assert linked == OWN["guarantee"].keys(), "a door that no link leads to or from"
    taken = {door for door, seen in walk.statuses.items() if any(status < 300 for status in seen)}
    ruled = {door for door, seen in walk.statuses.items() if 409 in seen}
    assert len(taken) >= TAKEN_MIN, linked - taken
    assert len(taken | ruled) >= RULED_MIN, linked - taken - ruled


def few() -> dict[str, Any]:
    """The document of two doors that are always reached, with the links between them."""
    told = copy.deepcopy(service.app.openapi())
    told["paths"] = {path: told["paths"][path] for path in (ASKED, SHOWN)}
    for path, names in ((ASKED, {"show_facility"}), (SHOWN, set())):
        links = told["paths"][path]["get"]["responses"]["200"]["links"]
        for name in links.keys() - names:
            del links[name]
    return told


def wrong_type(told: dict[str, Any]) -> None:
    """A field is said to be another kind of thing than it is."""
    told["components"]["schemas"]["CoverRequestView"]["properties"]["amount"] = {"type": "integer"}


def no_status(told: dict[str, Any]) -> None:
    """A status is not documented."""
    responses = told["paths"][SHOWN]["get"]["responses"]
    responses["202"] = responses.pop("200")


def no_content(told: dict[str, Any]) -> None:
    """A media type is not documented."""
    answer = told["paths"][ASKED]["get"]["responses"]["200"]
    answer["content"] = {"text/csv": answer["content"].pop("application/json")}


LIES = (wrong_type, no_status, no_content)
