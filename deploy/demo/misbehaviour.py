"""What a partner's machine may do to a request instead of answering it; nothing happens until a script is posted.

`POST /misbehaviour {"script": ["late", "fail", "lose"]}`: each word is for one coming order (a POST), in this sequence.
`GET /misbehaviour` tells what is left of it. `late` does the work and answers too late · `fail` answers 500 and does
nothing · `lose` does the work and hangs up.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LATE_SECONDS = 6.0
WORDS = ("late", "fail", "lose")
ROUTE = "/misbehaviour"


class Misbehaviour:
    """Stands before a stand-in's own routes and follows its script."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.script: deque[str] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a new script, or let the request pass as the script's next word says."""
        if scope["type"] == "http" and scope["path"] == ROUTE:
            await self._take(scope["method"], receive, send)
        elif scope["type"] == "http" and scope["method"] == "POST" and scope["path"] != "/book" and self.script:
            await self._follow(self.script.popleft(), scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _follow(self, word: str, scope: Scope, receive: Receive, send: Send) -> None:
        if word == "fail":
            await _answer(send, 500, b"{}")
            return
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await self.app(scope, receive, hold)
        if word == "lose":
            # Headers that promise a body which never comes: the server has to drop the line.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
            return
        await asyncio.sleep(LATE_SECONDS)
        for message in held:
            await send(message)

    async def _take(self, method: str, receive: Receive, send: Send) -> None:
        body = b""
        while method == "POST":
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        words = json.loads(body)["script"] if body else list(self.script)
        if set(words) - set(WORDS):
            await _answer(send, 422, b"{}")
            return
        self.script = deque(words)
        await _answer(send, 200, json.dumps({"script": words}).encode())


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
