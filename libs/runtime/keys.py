"""The issuer's public keys, from a file, a URL, or the issuer's own discovery document; read again when they rotate.

Whoever sends tokens that name unknown keys cannot make us read more often than once in `jwks_reread_seconds`.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from libs.runtime.logs import fault
from libs.runtime.outward import connecting
from libs.runtime.settings import Settings

FETCH_SECONDS_MAX = 5.0
DISCOVERY = "/.well-known/openid-configuration"
UNREADABLE = (OSError, ValueError, KeyError, TypeError, httpx.HTTPError, httpx.InvalidURL, JoseError)


class KeysUnavailable(Exception):
    """No key was ever read: nobody can be let in or turned away; answered 503."""


class SigningKeys:
    """The key set of one process; `edition` changes when a key came or went."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings, self._transport = settings, transport
        self._keys: KeySet | None = None
        self._known: set[str] = set()
        self._turn = asyncio.Lock()
        self._read_at = self._asked_at = -float("inf")
        self.edition = 0

    @property
    def old(self) -> bool:
        """Whether the keys are due to be read again."""
        return time.monotonic() - self._read_at > self._settings.jwks_seconds_max

    async def current(self) -> KeySet:
        """The keys, not older than `jwks_seconds_max` unless they cannot be read; raises KeysUnavailable."""
        if self.old:
            await self._read_once(self._read_at)
        if self._keys is None:
            raise KeysUnavailable
        return self._keys

    async def look_again(self) -> None:
        """Read the keys again because a token names one that we do not hold; not more often than allowed."""
        before, now = self._read_at, time.monotonic()
        if now - self._asked_at >= self._settings.jwks_reread_seconds:
            self._asked_at = now
            await self._read_once(before)

    async def _read_once(self, before: float) -> None:
        async with self._turn:
            if self._read_at != before:
                return  # somebody else read while we waited
            try:
                keys = KeySet.import_key_set(await self._fetch())
            except UNREADABLE as error:
                structlog.get_logger().warning("signing_keys_unreadable", error=fault(error))
                if self._keys is not None:  # the old ones still hold: no storm of tries while the issuer is away
                    self._read_at = time.monotonic()
                return
            kids = {str(key.kid) for key in keys}
            self.edition += kids != self._known
            self._keys, self._known, self._read_at = keys, kids, time.monotonic()

    async def _fetch(self) -> Any:
        settings = self._settings
        if settings.jwks_path is not None:
            return json.loads(await asyncio.to_thread(settings.jwks_path.read_text, encoding="utf-8"))
        # httpx's own transport unless one is given: the issuer may stand behind the environment's proxy.
        async with httpx.AsyncClient(timeout=FETCH_SECONDS_MAX, transport=self._transport) as http:
            with connecting():
                url = settings.jwks_url or await self._discovered(http)
                return (await http.get(url)).raise_for_status().json()

    async def _discovered(self, http: httpx.AsyncClient) -> str:
        issuer = self._settings.issuer_url
        found = (await http.get(issuer.rstrip("/") + DISCOVERY)).raise_for_status().json()
        if found["issuer"] != issuer:
            raise ValueError(f"{issuer} says it is {found['issuer']}")
        return str(found["jwks_uri"])
