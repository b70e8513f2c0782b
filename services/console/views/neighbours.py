"""Asks every service how it is and what it has parked, at its operators' door: it only passes on, and decides nothing.

The console has no rights of its own: everything is asked with the visitor's own token, its own account too. An answer
that does not come within the time limit is `unreachable`; one silent service never hides the others.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import FastAPI

from libs.runtime.outward import Direct
from libs.runtime.paging import PAGE_ROWS_MAX
from services.console.domain.health import Health, read_health

ANSWER_SECONDS_MAX = 2.0
REDRIVE_SECONDS_MAX = 30.0
OWN_NAME = "console"
OWN_URL = "http://itself"
OK, FORBIDDEN, UNAVAILABLE = 200, (401, 403), 503
_UNANSWERED = (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError)


def open_client(app: FastAPI) -> httpx.AsyncClient:
    """A client for one page; the console itself is asked in this process, and no proxy is on the way to the others."""
    itself = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(timeout=ANSWER_SECONDS_MAX, trust_env=False, transport=Direct(), mounts={OWN_URL: itself})


@dataclass(frozen=True, slots=True)
class Parked:
    """What one service has parked: its rows, or why they are not known."""

    service: str
    rows: tuple[Mapping[str, Any], ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an operator's order to one service: a code, and the service's own words."""

    code: str
    detail: str = ""


class Neighbours:
    """Every service by its address, asked in one visitor's name."""

    def __init__(self, http: httpx.AsyncClient, others: Mapping[str, str], token: str) -> None:
        self._http = http
        self.urls = {name: url.rstrip("/") for name, url in others.items() if name != OWN_NAME} | {OWN_NAME: OWN_URL}
        self._headers = {"Authorization": f"Bearer {token}"}

    async def health(self) -> tuple[Health, ...]:
        """Every service's account of itself, asked at the same time."""
        return tuple(await asyncio.gather(*(self._health(name, url) for name, url in self.urls.items())))

    async def _health(self, name: str, url: str) -> Health:
        try:
            ready, status = await asyncio.gather(self._get(f"{url}/health/ready"), self._get(f"{url}/v1/ops/status"))
            readiness = "ready" if ready.status_code == OK else "not_ready"
            if status.status_code in FORBIDDEN:
                return Health(name=name, readiness=readiness, withheld=True)
            status.raise_for_status()
            return read_health(name, readiness, status.json())
        except _UNANSWERED:
            return Health(name=name, readiness="unreachable")

    async def parked(self) -> tuple[Parked, ...]:
        """The parked keys of every service, oldest first within each."""
        return tuple(await asyncio.gather(*(self.parked_at(name) for name in self.urls)))

    async def parked_at(self, name: str, key: str = "") -> Parked:
        """The parked keys of one service, or every event of one key in the order of arrival."""
        try:
            path = f"/{quote(key, safe='')}" if key else ""
            answer = await self._get(f"{self.urls[name]}/v1/ops/parked{path}?limit={PAGE_ROWS_MAX}")
            if answer.status_code != OK:
                return Parked(name, (), str(answer.json()["code"]))
            return Parked(name, tuple(answer.json()["items"]))
        except _UNANSWERED:
            return Parked(name, (), "unreachable")

    async def redrive(self, name: str, key: str) -> Answered:
        """Have one service apply a key's parked events again."""
        return await self._order(
            f"{self.urls[name]}/v1/ops/parked/{quote(key, safe='')}/redrive", "redriven", "applied"
        )

    async def discard(self, name: str, event_id: str, reason: str) -> Answered:
        """Have one service drop a parked event for good."""
        url = f"{self.urls[name]}/v1/ops/discarded/{quote(event_id, safe='')}"
        return await self._order(url, "discarded", "discarded", {"reason": reason})

    async def _order(self, url: str, done: str, field: str, body: Mapping[str, str] | None = None) -> Answered:
        try:
            headers = {**self._headers, "Idempotency-Key": str(uuid.uuid4())}
            answer = await self._http.post(url, json=body, headers=headers, timeout=REDRIVE_SECONDS_MAX)
            told = answer.json()
            if answer.status_code == OK:
                return Answered(done, str(told[field]))
            return Answered(str(told["code"]), str(told.get("detail", "")))
        except _UNANSWERED:
            return Answered("unreachable")

    async def _get(self, url: str) -> httpx.Response:
        return await self._http.get(url, headers=self._headers)
