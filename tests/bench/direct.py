"""The platform without the platform: the same commands called directly, events handed over, one process, one database.

No HTTP, no token, no idempotency key, no Kafka, no relay: what is left is the services' rules and what they write.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import httpx
from fastapi import FastAPI, Response
from fastapi.routing import iter_route_contexts
from pydantic import TypeAdapter
from pydantic_core import to_json
from starlette.routing import compile_path

from deploy.demo.branch import Branch
from deploy.demo.client import Client, Unexpected
from deploy.demo.lives import Life
from libs.kernel.errors import Rejection
from libs.runtime.auth import HEAD_OFFICE, Caller
from libs.runtime.http import Command, CommandDoor
from libs.runtime.tx import Tx
from tests.harness.bench import Bench
from tests.harness.whole import SERVICES, STAND_INS, InOrder, Router, Switchboard

AT_ONCE = 8
"""As many commands under way as the driver of the real platform has."""


class DirectDoor(CommandDoor):
    """A door that a command walks through unasked: one transaction, and that is all."""

    admits_parties = True

    async def execute(
        self, command: Command, *, keys: Sequence[str], owner: str = "", status: int = 200, own: Command | None = None
    ) -> Response:
        """The command and its commit; nobody asks whose it is."""
        del own
        async with self.parts.transaction() as unit:
            await unit.lock(keys, dict.fromkeys(keys, owner))
            result = await command(Tx(unit, self._cause(keys), self.parts.open_on))
            await unit.flush()
        return Response(to_json(result), status_code=status)

    overwrite = execute

    async def query(self, read: Command, *, key: Any = "") -> Response:  # noqa: ARG002 - the reading door's words
        """The answer."""
        async with self.parts.transaction() as unit:
            return Response(to_json(await read(Tx(unit, self._cause(), self.parts.open_on))))


@cache
def _hints(endpoint: Any) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(endpoint, include_extras=True)
    return {name: TypeAdapter(hint) for name, hint in hints.items() if name not in ("door", "return")}


@cache
def _doors(app: FastAPI) -> list[tuple[str, re.Pattern[str], Any]]:
    """Method, path and function of every endpoint."""
    routes = [(route, compile_path(route.path)[0]) for route in iter_route_contexts(app.routes) if route.path]
    return [(method, path, route.endpoint) for route, path in routes for method in route.methods or ()]


def _endpoint(app: FastAPI, method: str, path: str) -> tuple[Any, dict[str, str]]:
    for its_method, its_path, endpoint in _doors(app):
        if its_method == method and (found := its_path.match(path)):
            return endpoint, found.groupdict()
    raise Unexpected(f"no door {method} {path}")


class Direct(Client):
    """What the driver takes for a client."""

    def __init__(self, benches: Mapping[str, Bench]) -> None:
        self._benches = benches
        self._http = httpx.AsyncClient(transport=Switchboard(STAND_INS))
        self._gate = asyncio.Semaphore(AT_ONCE)
        self.sent = 0

    async def close(self) -> None:
        """Hang up."""
        await self._http.aclose()

    async def tell(self, url: str, body: dict[str, Any]) -> None:
        """A fact for a stand-in."""
        (await self._http.post(url, json=body)).raise_for_status()

    async def post(
        self, service: str, path: str, body: dict[str, Any], *, actor: str, role: str, org: str, key: str
    ) -> dict[str, Any]:
        """Call the endpoint's own function; raises Unexpected for what it refuses."""
        del key
        return await self._through(
            "POST", service, path, Caller(actor, frozenset({role}), org, "" if org else HEAD_OFFICE), body
        )

    async def get(self, service: str, path: str) -> dict[str, Any]:
        """The same for a question of an operator."""
        return await self._through(
            "GET", service, path, Caller("driver", frozenset({"operator"}), "", HEAD_OFFICE), None
        )

    async def _through(self, method: str, service: str, path: str, caller: Caller, body: Any) -> dict[str, Any]:
        app = self._benches[service].service.app
        endpoint, names = _endpoint(app, method, path)
        hints = _hints(endpoint)
        words = {name: hints[name].validate_python(text) for name, text in names.items() if name in hints}
        if body is not None and "body" in hints:
            words["body"] = hints["body"].validate_python(body)
        request: Any = SimpleNamespace(app=app, path_params=names, headers={})
        async with self._gate:
            try:
                answer = await endpoint(**words, door=DirectDoor(request, caller))
            except Rejection as refusal:
                raise Unexpected(f"{service} {path}: {refusal.status} {refusal.code} {refusal.detail}") from refusal
        self.sent += 1
        return dict(json.loads(answer.body)) if answer.body else {}


@asynccontextmanager
async def world(admin_url: str, folder: Path, profile: str) -> AsyncIterator[tuple[Direct, Router]]:
    """Every service in this process, a client that calls them and a router that carries their events."""
    async with AsyncExitStack() as stack:
        benches = {
            service.name: await stack.enter_async_context(
                Bench(service, admin_url, folder, profile=profile, pool_size=24)
            )
            for service in SERVICES
        }
        client = Direct(benches)
        yield client, Router(benches, InOrder())
        await client.close()


def branch_of(lives: Sequence[Life]) -> Branch:
    """Who works there."""
    return Branch(lives[0].profile, min(life.applied_on for life in lives))


async def applied(router: Router) -> dict[str, dict[str, int]]:
    """How many events of each type took effect in each service."""
    found: dict[str, dict[str, int]] = {}
    for name, bench in router.benches.items():
        async with bench.parts.engine.connect() as conn:
            rows = Counter(
                dict([*map(tuple, await conn.exec_driver_sql("SELECT type, count(*) FROM inbox GROUP BY 1"))])
            )
        found[name] = {kind: rows[kind] for kind in bench.service.reactions}
    return found
