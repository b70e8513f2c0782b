"""A client of the platform's REST APIs, as a core-banking system would write one: it repeats what was not answered."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import httpx

from libs.kernel.money import Money
from libs.runtime.auth import HEAD_OFFICE, Issuer
from libs.runtime.outward import Direct

TRIES_MAX = 60
UNAVAILABLE = (502, 503, 504)
AT_ONCE = 8  # a pool is searched connection by connection for each request


class Unexpected(Exception):
    """The platform answered what the driver did not plan for."""


class Client:
    """Calls services by name; with several replicas the calls go round. `transport` is httpx's own unless given."""

    def __init__(
        self,
        urls: dict[str, list[str]],
        issuer: Issuer,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        at_once: int = AT_ONCE,
    ) -> None:
        self._urls, self._issuer = urls, issuer
        self._tokens: dict[tuple[str, str, str], str] = {}
        self._turn = 0
        self._gate = asyncio.Semaphore(at_once)

        def pool() -> httpx.AsyncClient:
            return httpx.AsyncClient(timeout=30, trust_env=False, transport=transport or Direct())

        self._http, self._pools = pool(), {service: pool() for service in urls}
        self.sent = 0

    async def close(self) -> None:
        """Release the connections."""
        for pool in (self._http, *self._pools.values()):
            await pool.aclose()

    async def post(
        self, service: str, path: str, body: dict[str, Any], *, actor: str, role: str, org: str, key: str
    ) -> dict[str, Any]:
        """POST a command under an idempotency key; repeated until it is answered. Raises Unexpected above 399."""
        headers = {"authorization": f"Bearer {self._token(actor, role, org)}", "idempotency-key": key}
        return await self._answered(
            service, path, lambda url: self._pools[service].post(url, json=body, headers=headers)
        )

    async def get(self, service: str, path: str) -> dict[str, Any]:
        """GET as an operator."""
        headers = {"authorization": f"Bearer {self._token('driver', 'operator', '')}"}
        return await self._answered(service, path, lambda url: self._pools[service].get(url, headers=headers))

    async def tell(self, url: str, body: dict[str, Any]) -> None:
        """POST a fact to a stand-in; told twice it changes nothing, so it is repeated until it is answered."""
        await self._answered("", url, lambda address: self._http.post(address, json=body))

    async def _answered(self, service: str, path: str, send: Any) -> dict[str, Any]:
        problem = ""
        for attempt in range(TRIES_MAX):
            urls = self._urls.get(service, [""])
            self._turn += 1
            url = urls[self._turn % len(urls)] + path
            async with self._gate:
                try:
                    response = await send(url)
                except httpx.TransportError as error:
                    problem = repr(error)
                else:
                    self.sent += 1
                    if response.status_code < 400:  # noqa: PLR2004 - HTTP's own border
                        return dict(response.json()) if response.content else {}
                    problem = f"{response.status_code} {response.text[:500]}"
                    if response.status_code not in UNAVAILABLE:
                        raise Unexpected(f"{service} {path}: {problem}")
            await asyncio.sleep(min(2.0, 0.05 * 2**attempt))
        raise Unexpected(f"{service} {path}: no answer after {TRIES_MAX} tries, last {problem}")

    def _token(self, actor: str, role: str, org: str) -> str:
        wanted = (actor, role, org)
        if wanted not in self._tokens:
            self._tokens[wanted] = self._issuer.token(actor, role, org=org, level="" if org else HEAD_OFFICE)
        return self._tokens[wanted]


def money(amount: Money) -> dict[str, str]:
    """An amount on the wire."""
    return {"amount": str(amount.amount), "currency": amount.currency}


def amount_of(wire: dict[str, str]) -> Money:
    """An amount off the wire."""
    return Money(Decimal(wire["amount"]), wire["currency"])
