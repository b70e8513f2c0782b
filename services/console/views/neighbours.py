"""Asks the other services how they are, at their operators' doors: it only reads, and never for a decision.

The console has no rights of its own: what needs an operator is asked with the operator's own token. An answer that
does not come within the time limit is `unreachable`; one silent service never hides the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from libs.runtime.paging import PAGE_ROWS_MAX
from services.console.domain.health import Health, read_health

ANSWER_SECONDS_MAX = 2.0
OK = 200


def open_client() -> httpx.AsyncClient:
    """A client for one page; proxies of the environment are not for calls inside the house."""
    return httpx.AsyncClient(timeout=ANSWER_SECONDS_MAX, trust_env=False)


@dataclass(frozen=True, slots=True)
class Parked:
    """What one service has parked: its rows, or why they are not known."""

    service: str
    rows: tuple[Mapping[str, Any], ...]
    problem: str = ""


async def ask_all(http: httpx.AsyncClient, services: Mapping[str, str], token: str) -> tuple[Health, ...]:
    """Every service's account of itself, asked at the same time, in the order of `services`."""
    return tuple(await asyncio.gather(*(_ask(http, name, url.rstrip("/"), token) for name, url in services.items())))


async def _ask(http: httpx.AsyncClient, name: str, url: str, token: str) -> Health:
    try:
        ready, status = await asyncio.gather(
            http.get(f"{url}/health/ready"), http.get(f"{url}/ops/status", headers=bearer(token))
        )
        status.raise_for_status()
        return read_health(name, "ready" if ready.status_code == OK else "not_ready", status.json())
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return Health(name=name, readiness="unreachable")


async def list_parked(http: httpx.AsyncClient, services: Mapping[str, str], token: str) -> tuple[Parked, ...]:
    """The parked keys of every service, oldest first within each."""
    return tuple(await asyncio.gather(*(_parked(http, name, url.rstrip("/"), token) for name, url in services.items())))


async def _parked(http: httpx.AsyncClient, name: str, url: str, token: str) -> Parked:
    try:
        answer = await http.get(f"{url}/ops/parked?limit={PAGE_ROWS_MAX}", headers=bearer(token))
        if answer.status_code != OK:
            return Parked(name, (), str(answer.json()["code"]))
        return Parked(name, tuple(answer.json()["items"]))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return Parked(name, (), "unreachable")


def bearer(token: str) -> dict[str, str]:
    """The header that asks in the operator's own name."""
    return {"Authorization": f"Bearer {token}"}
