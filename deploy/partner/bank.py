"""The platform as a partner sees it: a token by client credentials, its webhook, its events, its own answers there."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

import httpx

from libs.runtime.outward import Direct

CREATED, UNKNOWN = 201, 404
PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where the platform is and who the partner is there."""

    partner_id: str
    guarantee_url: str
    token_url: str
    client_id: str
    client_secret: str


class Bank:
    """A client of the platform's public API; `transport` is httpx's own unless given."""

    def __init__(self, access: Access, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.access = access
        self._http = httpx.AsyncClient(timeout=20, trust_env=False, transport=transport or Direct())
        self._token, self._until = "", 0.0

    async def close(self) -> None:
        """Release the connections."""
        await self._http.aclose()

    async def register(self, hook: str, key: str) -> str:
        """Register the webhook; returns its secret, empty while the bank has not admitted the partner."""
        path = f"/v1/partners/{self.access.partner_id}/webhooks"
        answer = await self.post(path, {"url": hook}, key=key)
        if answer.status_code == UNKNOWN:
            return ""
        answer.raise_for_status()
        return str(answer.json()["secret"])

    async def events(self, cursor: str) -> dict[str, Any]:
        """A page of the partner's events after a cursor."""
        url = f"{self.access.guarantee_url}/v1/partner-events"
        headers = {"authorization": f"Bearer {await self._bearer()}"}
        answer = await self._http.get(url, params={"cursor": cursor, "limit": PAGE}, headers=headers)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def post(self, path: str, body: dict[str, Any], *, key: str = "") -> httpx.Response:
        """A command under an idempotency key: a fresh one unless it is a repeat."""
        headers = {"authorization": f"Bearer {await self._bearer()}", "idempotency-key": key or str(uuid.uuid4())}
        return await self._http.post(self.access.guarantee_url + path, json=body, headers=headers)

    async def _bearer(self) -> str:
        if time.monotonic() >= self._until:
            form = {"grant_type": "client_credentials"}
            by = (self.access.client_id, self.access.client_secret)
            answer = await self._http.post(self.access.token_url, data=form, auth=by)
            answer.raise_for_status()
            told = answer.json()
            self._token, self._until = told["access_token"], time.monotonic() + told["expires_in"] * 0.8
        return self._token
