"""Every door of every service lets in exactly whom tests/hostile/doors.py expects, by role, branch and party."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from libs.runtime.service import Service
from tests.harness.bench import Bench
from tests.hostile.doors import COMMON, OPERATOR, OWN, PAGES, SERVICES, About, Rule, doors_of, every_role
from tests.hostile.seeds import Known, seed
from tests.hostile.shapes import Shapes

ROLES = every_role()
NOWHERE = "/sign-in"
HOME, ELSEWHERE = "b1", "b2"
PARTY = "city-guarantee"
SCOPES = sorted({rule.scope for rule in OWN["guarantee"].values()} - {""})
FORM = {"content-type": "application/x-www-form-urlencoded"}


def routes(service: Service) -> set[str]:
    """ "METHOD /path" of every route that the service really has."""
    return {
        f"{method} {route.path}"
        for route in iter_route_contexts(service.app.routes)
        for method in route.methods or ()
        if method != "HEAD"
    }


def expected(name: str) -> dict[str, Rule]:
    return {**doors_of(name), **(PAGES if name == "console" else {})}


class Knock:
    """Sound requests at the doors of one service, so that only the caller decides."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.shapes = Shapes(bench.service.app.openapi())
        self.known: Known = {}

    async def at(self, door: str, headers: dict[str, str]) -> httpx.Response:
        """The answer at a door: about what the seeds know, else about things called abc."""
        method, _, path = door.partition(" ")
        path = path.replace("{item}", "1").replace("{pack_version}", "1")
        path = path.replace("{about}", "filings").replace("{month}", "2025-09")
        path = re.sub(r"\{(\w+)\}", lambda match: self.known.get(match[1], ["abc"])[0], path)
        headers = {"idempotency-key": str(uuid.uuid4()), **headers}
        if method == "GET":
            return await self.bench.http.get(path, headers=headers)
        operation: dict[str, Any] = self.shapes.operations.get(door, {})
        if "requestBody" not in operation:
            return await self.bench.http.post(path, content="confirmed=yes", headers=headers | FORM)
        body = self.shapes.plain(operation["requestBody"]["content"]["application/json"]["schema"])
        if "branch" in body:
            body["branch"] = HOME
        if "facility_id" in body:
            body["facility_id"] = self.known.get("facility_id", ["abc"])[0]
        return await self.bench.http.post(path, json=body, headers=headers)


@pytest.fixture(params=sorted(SERVICES))
async def knock(request: pytest.FixtureRequest, bench: Callable[..., Bench]) -> AsyncIterator[Knock]:
    async with bench(SERVICES[request.param]) as opened:
        yield Knock(opened)


@pytest.fixture
async def seeded(knock: Knock) -> Knock:
    """With a facility of the branch HOME in it."""
    knock.known = await seed(knock.bench)
    return knock


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_route_is_expected_and_every_expected_door_is_there(name: str) -> None:
    assert routes(SERVICES[name]) == set(expected(name))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_the_document_names_the_scope_of_every_door_that_partners_may_use(name: str) -> None:
    told = {
        door: operation["security"][0]["bearer"]
        for door, operation in Shapes(SERVICES[name].app.openapi()).operations.items()
        if "security" in operation
    }
    assert {door: scopes for door, scopes in told.items() if scopes} == {
        door: [rule.scope] for door, rule in OWN[name].items() if rule.scope
    }


def test_only_reading_is_open_and_operators_alone_change_operations() -> None:
    for door, rule in COMMON.items():
        if door.startswith("POST "):
            assert rule == OPERATOR, door
    for doors in OWN.values():
        for door, rule in doors.items():
            assert not rule.open, door


async def test_without_a_good_token_nobody_comes_in(knock: Knock) -> None:
    forged = knock.bench.issuer.token("someone", *ROLES, audience="another")
    for door, rule in expected(knock.bench.service.name).items():
        for header in ("", f"Bearer {forged}", "Basic c29tZW9uZTp4"):
            answer = await knock.at(door, {"authorization": header} if header else {})
            if rule.open:
                assert answer.status_code not in (401, 403) or door == "POST /sign-in", door
            elif door in PAGES:
                assert answer.status_code == 303, door
                assert answer.headers["location"].startswith(NOWHERE), door
            else:
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), door
                assert answer.headers["www-authenticate"] == "Bearer", door


async def test_each_role_comes_in_where_it_is_expected_and_nowhere_else(knock: Knock) -> None:
    for door, rule in expected(knock.bench.service.name).items():
        if rule.open:
            continue
        for role in ROLES:
            answer = await knock.at(door, knock.bench.bearer("someone", role))
            came_in = role in rule.roles
            assert turned_away(answer) is not came_in, (door, role, answer.status_code, answer.text[:200])
            if came_in:
                assert answer.status_code not in (400, 401, 403, 422), (door, role, answer.text[:200])


def turned_away(answer: httpx.Response) -> bool:
    """Whether the caller's role was not enough; a page says so by sending the visitor to sign in."""
    if answer.headers.get("location", "").startswith(NOWHERE):
        return True
    return answer.status_code == 403 and ("role_needed" in answer.text or "party_needed" in answer.text)


async def test_a_branch_comes_to_its_own_and_what_is_below_and_nowhere_else(seeded: Knock) -> None:
    for door, rule in expected(seeded.bench.service.name).items():
        for role in sorted(rule.roles):
            for org in (HOME, "", ELSEWHERE, "b", f"{HOME}/below"):
                answer = await seeded.at(door, seeded.bench.bearer("someone", role, org=org))
                told = (door, role, org, answer.status_code, answer.text[:200])
                foreign, code = org not in (HOME, ""), _code(answer)
                match rule.about:
                    case About.BRANCH if door in PAGES:
                        assert (answer.status_code == 404) is foreign, told
                    case About.BRANCH:
                        assert ((answer.status_code, code) == (403, "other_branch")) is foreign, told
                    case About.BANK:
                        assert ((answer.status_code, code) == (403, "head_office_needed")) is (org != ""), told
                    case About.LIST:
                        assert answer.status_code == 200, told
                        assert _shows(answer, seeded) is not foreign, told
                    case About.NOBODY:
                        assert code not in ("other_branch", "head_office_needed"), told


async def test_what_another_branch_was_refused_changed_nothing_and_is_not_replayed(seeded: Knock) -> None:
    doors = [door for door, rule in expected(seeded.bench.service.name).items() if rule.about is About.BRANCH]
    for door in doors:
        role, key = min(expected(seeded.bench.service.name)[door].roles), str(uuid.uuid4())
        refused = await seeded.at(door, {**seeded.bench.bearer("someone", role, org=ELSEWHERE), "idempotency-key": key})
        own = await seeded.at(door, {**seeded.bench.bearer("someone", role, org=HOME), "idempotency-key": key})
        assert _code(refused) == "other_branch" or door in PAGES, door
        assert "idempotency-replayed" not in own.headers, door
        again = await seeded.at(door, {**seeded.bench.bearer("someone", role, org=ELSEWHERE), "idempotency-key": key})
        assert (again.status_code, again.text) == (refused.status_code, refused.text), "nobody reads another's answer"


async def test_no_door_of_the_bank_is_open_to_a_partner_whatever_its_token_carries(seeded: Knock) -> None:
    for door, rule in expected(seeded.bench.service.name).items():
        if rule.open or rule.scope:
            continue
        for role in ("partner", *sorted(rule.roles)):
            headers = seeded.bench.bearer("someone", role, org=HOME, party=PARTY, scope=" ".join(SCOPES))
            answer = await seeded.at(door, headers)
            told = (door, role, answer.status_code, answer.text[:300])
            assert answer.status_code == 403 or answer.headers.get("location", "").startswith(NOWHERE), told


async def test_a_foreign_cover_looks_to_a_partner_like_none_at_all(bench: Callable[..., Bench]) -> None:
    async with bench(SERVICES["guarantee"]) as opened:
        (facility_id,) = (await seed(opened))["facility_id"]
        headers = opened.bearer("someone", "partner", party="another-partner", scope="covers.read")
        foreign = await opened.http.get(f"/v1/facilities/{facility_id}", headers=headers)
        absent = await opened.http.get("/v1/facilities/absent", headers=headers)
        assert foreign.text.replace(facility_id, "absent") == absent.text


async def test_a_pay_account_is_open_to_its_owner(bench: Callable[..., Bench]) -> None:
    async with bench(SERVICES["incentive"]) as b:
        own = await b.get("/v1/staff/s-1", role="stranger", actor="s-1")
        other = await b.get("/v1/staff/s-2", role="stranger", actor="s-1")
        assert (own.status_code, other.status_code) == (404, 403)


def _code(answer: httpx.Response) -> str:
    problem = answer.headers.get("content-type", "") == "application/problem+json"
    return str(answer.json()["code"]) if problem else ""


def _shows(answer: httpx.Response, knock: Knock) -> bool:
    """Whether a list shows anything of the seeded facility."""
    if answer.url.path == "/v1/portfolio":
        return bool(answer.json()["books"])
    return knock.known["facility_id"][0] in answer.text
