"""A busy process accepts callers faster than one a turn of its loop, so that it can turn them away at once."""

from __future__ import annotations

import asyncio
import socket
import time

import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from libs.runtime.serve import listeners

CALLERS = 128
TURN_SECONDS = 0.002
REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def test_callers_who_wait_are_accepted_many_at_a_turn() -> None:
    answered_in: list[int] = []
    turns = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            answered_in.append(turns)
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

    async def serve_while_busy() -> None:
        nonlocal turns
        config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, ws="none")
        sockets = listeners(config)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets))
        while not server.started:
            await asyncio.sleep(0)
        callers = [socket.create_connection(sockets[0].getsockname()) for _ in range(CALLERS)]
        for caller in callers:
            caller.sendall(REQUEST)
        while len(answered_in) < CALLERS:
            turns += 1
            time.sleep(TURN_SECONDS)  # noqa: ASYNC251 - this is what keeps the loop busy
            await asyncio.sleep(0)
        server.should_exit = True
        await serving
        for caller in callers:
            caller.close()

    uvloop.run(asyncio.wait_for(serve_while_busy(), 60))
    assert answered_in[-1] - answered_in[0] < CALLERS / 4
