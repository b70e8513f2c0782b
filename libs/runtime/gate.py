"""The gate before every door: how many requests are inside at once, how long one may stay, and nobody while it shuts.

Whoever is turned away has caused nothing and may come again: 503 with Retry-After. Health and metrics are let by.
"""

from __future__ import annotations

import asyncio

from fastapi import Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.runtime.problems import problem
from libs.runtime.telemetry import MACHINES_ASK
from libs.runtime.wiring import Parts

LISTS = "/lists/"
HEAD_BYTES_MAX = 65_536
"""Request line and headers together."""
AT_ONCE = {"Retry-After": "1"}
GOODBYE = {**AT_ONCE, "Connection": "close"}


class Gate:
    """Counts the requests inside; only what times them is around it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer for it."""
        if scope["type"] != "http" or scope["path"].startswith(MACHINES_ASK):
            await self.app(scope, receive, send)
            return
        parts: Parts = scope["app"].state.parts
        refusal = self._refusal(scope, parts)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        self._inside += 1
        try:
            await self._let_in(scope, receive, send, parts.settings.request_seconds_max)
        finally:
            self._inside -= 1

    def _refusal(self, scope: Scope, parts: Parts) -> Response | None:
        if parts.draining:
            return problem(503, "draining", "this process is ending; another one answers", headers=GOODBYE)
        if self._inside >= parts.settings.requests_max:
            return problem(503, "overloaded", "too many requests are under way", headers=AT_ONCE)
        head = len(scope["path"]) + len(scope["query_string"])
        if head + sum(len(name) + len(value) for name, value in scope["headers"]) > HEAD_BYTES_MAX:
            return problem(431, "head_too_large", f"at most {HEAD_BYTES_MAX} bytes", headers={"Connection": "close"})
        return None

    async def _let_in(self, scope: Scope, receive: Receive, send: Send, seconds: float) -> None:
        answering = False

        async def answer(message: Message) -> None:
            nonlocal answering
            answering = True
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(scope.get("state", {}).get("rate", {}))
            await send(message)

        try:
            async with asyncio.timeout(seconds):
                await self.app(scope, receive, answer)
        except TimeoutError:
            if answering:
                raise  # the connection is closed: half an answer is none
            # Whether it took effect is not known here; a repeat with the same idempotency key tells.
            slow = problem(503, "too_slow", "not done in time; repeat it with the same key", headers=GOODBYE)
            await slow(scope, receive, send)


class BodyLimit:
    """Lets at most `body_bytes_max` bytes of a body in, whether or not the request says beforehand how many come.

    Where a whole list is handed in (a path with LISTS in it) it is `list_bytes_max`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; reading on past the limit is answered 413, and the connection is not used again."""
        came, long = 0, LISTS in scope.get("path", "")

        async def receive_some() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            settings = scope["app"].state.parts.settings
            if came > (settings.list_bytes_max if long else settings.body_bytes_max):
                raise HTTPException(413, headers={"Connection": "close"})
            return message

        await self.app(scope, receive_some if scope["type"] == "http" else receive, send)
