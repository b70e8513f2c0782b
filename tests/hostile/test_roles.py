"""Every door of every service asks for exactly the roles that tests/hostile/doors.py expects; none is unlisted."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from libs.runtime.service import Service
from tests.harness.bench import Bench
from tests.hostile.doors import ANY_TOKEN, COMMON, NOBODY_ASKED, OWN, PAGES, SERVICES, doors_of, every_role
from tests.hostile.shapes import Shapes

ROLES = every_role()
NOWHERE = "/sign-in"
FORM = {"content-type": "application/x-www-form-urlencoded"}


def routes(service: Service) -> set[str]:
    """ "METHOD /path" of every route that the service really has."""
    return {
        f"{method} {route.path}"
        for route in iter_route_contexts(service.app.routes)
        for method in route.methods or ()
        if method != "HEAD"
    }


def expected(name: str) -> dict[str, frozenset[str]]:
    return {**doors_of(name), **(PAGES if name == "console" else {})}


class Knock:
    """Sound requests at the doors of one service, so that only the caller's role decides."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.shapes = Shapes(bench.service.app.openapi(), Random(1), {})

    async def at(self, door: str, *, role: str = "", header: str = "") -> httpx.Response:
        """The answer at a door to a token of one role, to another Authorization header, or to none."""
        method, _, path = door.partition(" ")
        path = path.replace("{item}", "1")
        path = re.sub(r"\{\w+\}", "abc", path)
        headers = {"idempotency-key": str(uuid.uuid4())}
        if role:
            headers["authorization"] = f"Bearer {self.bench.issuer.token('someone', role, org='b1')}"
        elif header:
            headers["authorization"] = header
        if method == "GET":
            return await self.bench.http.get(path, headers=headers)
        operation: dict[str, Any] = self.shapes.operations.get(door, {})
        if "requestBody" not in operation:
            return await self.bench.http.post(path, headers=headers | FORM)
        body = self.shapes.plain(operation["requestBody"]["content"]["application/json"]["schema"])
        return await self.bench.http.post(path, json=body, headers=headers)


@pytest.fixture(params=sorted(SERVICES))
async def knock(request: pytest.FixtureRequest, bench: Callable[..., Bench]) -> AsyncIterator[Knock]:
    async with bench(SERVICES[request.param]) as opened:
        yield Knock(opened)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_route_is_expected_and_every_expected_door_is_there(name: str) -> None:
    assert routes(SERVICES[name]) == set(expected(name))


def test_only_reading_is_open_and_operators_alone_change_operations() -> None:
    for door, roles in COMMON.items():
        if door.startswith("POST "):
            assert roles == {"operator"}, door
    for doors in OWN.values():
        for door, roles in doors.items():
            assert roles != NOBODY_ASKED, door
            assert roles != ANY_TOKEN or door.startswith("GET "), door


async def test_without_a_good_token_nobody_comes_in(knock: Knock) -> None:
    forged = knock.bench.issuer.token("someone", *ROLES, audience="another")
    for door, roles in expected(knock.bench.service.name).items():
        for header in ("", f"Bearer {forged}", "Basic c29tZW9uZTp4"):
            answer = await knock.at(door, header=header)
            if roles == NOBODY_ASKED:
                assert answer.status_code not in (401, 403) or door == "POST /sign-in", door
            elif door in PAGES:
                assert (answer.status_code, answer.headers["location"]) == (303, NOWHERE), door
            else:
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), door
                assert answer.headers["www-authenticate"] == "Bearer", door


async def test_each_role_comes_in_where_it_is_expected_and_nowhere_else(knock: Knock) -> None:
    for door, roles in expected(knock.bench.service.name).items():
        if roles == NOBODY_ASKED:
            continue
        for role in ROLES:
            answer = await knock.at(door, role=role)
            came_in = role in roles or roles == ANY_TOKEN
            assert turned_away(answer) is not came_in, (door, role, answer.status_code, answer.text[:200])
            if came_in:
                assert answer.status_code not in (400, 401, 422), (door, role, answer.text[:200])


def turned_away(answer: httpx.Response) -> bool:
    """Whether the caller's role was not enough; a page says so by sending the visitor to sign in."""
    if answer.headers.get("location", "").startswith(NOWHERE):
        return True
    return answer.status_code == 403 and answer.json()["code"] == "role_needed"


async def test_a_pay_account_is_open_to_its_owner(bench: Callable[..., Bench]) -> None:
    async with bench(SERVICES["incentive"]) as b:
        own = await b.get("/v1/staff/s-1", role="stranger", actor="s-1")
        other = await b.get("/v1/staff/s-2", role="stranger", actor="s-1")
        assert (own.status_code, other.status_code) == (404, 403)
