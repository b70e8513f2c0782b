"""Runs one service process: settings checked before anything starts, and an end in order when SIGTERM comes.

`python -m libs.runtime.serve services.rating.main:app --port 8001 [--host 0.0.0.0]`

Exit codes: 0 ended in order · 1 not in order in time · 2 a setting is wrong, its name is told · 3 the start failed.

On SIGTERM readiness turns false at once and new requests are sent away; a moment later nobody listens any more. What
is under way is finished and answered, relay and calls stop between batches, the consumer leaves its group. All of it
takes less than 10 seconds, whatever hangs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.importer import ImportFromStringError, import_from_string
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from libs.runtime.gate import HEAD_BYTES_MAX
from libs.runtime.settings import read_settings

FAREWELL_SECONDS = 0.5
"""After SIGTERM requests on open connections still get an answer, 503, before the connections are closed."""
ANSWER_SECONDS_MAX = 5
"""For requests under way at the end; then they are cut off and rolled back."""
END_SECONDS_MAX = 9.5
"""For all of it; what hangs even then is ended by force, with exit code 1."""
KEEP_ALIVE_SECONDS = 15
LOG_CONFIG = str(Path(__file__).with_name("uvicorn.json"))
HEAD_SECONDS_MAX = 10.0
"""From a request's first byte to the end of its headers."""
CONNECTIONS_MAX = 1_000
BACKLOG_MAX = 256
"""Connections that the kernel holds for us until they are accepted."""
ACCEPTED_AT_ONCE = 16
"""Connections accepted in one turn of the loop: uvloop takes only one a turn from a socket, so it listens this often.

With one a turn a busy loop accepts more slowly than callers come; the kernel then drops their handshakes, and they wait
for seconds where they should be told at once to come back later.
"""

GARBAGE_OBJECTS_MAX = 10_000
"""New objects between two looks for garbage in circles; Python's own 700 is one look for every other request."""


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 with a bound on the head of a request, which the parser itself lacks."""

    _head_bytes = -1
    _head_late: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Cut off who sends a head without end."""
        super().data_received(data)
        if self._head_bytes >= 0:
            self._head_bytes += len(data)
            if self._head_bytes > 2 * HEAD_BYTES_MAX:
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._head_late = self.loop.call_later(HEAD_SECONDS_MAX, self.transport.close)

    def on_headers_complete(self) -> None:
        self._head_is_over()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_over()
        super().connection_lost(exc)

    def _head_is_over(self) -> None:
        self._head_bytes = -1
        if self._head_late is not None:
            self._head_late.cancel()
            self._head_late = None


class Server(uvicorn.Server):
    """Uvicorn that tells the service of its end first, and whose end in order is exit code 0."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is uvicorn's
        """Note the signal; uvicorn would raise it again at the very end, and the exit code would be the signal's."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        if hasattr(self._app.state, "parts"):
            self._app.state.parts.draining = True

    async def shutdown(self, sockets: Any = None) -> None:
        """Say goodbye to those who are connected, then stop listening."""
        asyncio.get_running_loop().call_later(END_SECONDS_MAX, os._exit, 1)
        self._app.state.drain()
        await asyncio.sleep(FAREWELL_SECONDS)
        await super().shutdown(sockets)


def listeners(config: uvicorn.Config) -> list[socket.socket]:
    """The one port, listened on as often as connections are to be accepted in a turn of the loop."""
    port = config.bind_socket()
    return [port, *(port.dup() for _ in range(1, ACCEPTED_AT_ONCE))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    parser = argparse.ArgumentParser(prog="libs.runtime.serve", description=__doc__)
    parser.add_argument("app", help="module:name of the service, such as services.rating.main:app")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args(arguments)
    gc.disable()  # what is imported stays: to look for garbage among it is a fifth of a start, and the pauses later
    try:
        app = import_from_string(options.app)
    except ImportFromStringError as error:
        print(f"{options.app}: {error}", file=sys.stderr)  # noqa: T201 - said before there is a log
        return 2
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS_MAX)
    gc.enable()
    read_settings(*app.state.needs)
    config = uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        loop="uvloop",
        http=Protocol,
        ws="none",
        proxy_headers=False,  # nobody's address is ever looked at
        access_log=False,
        log_config=LOG_CONFIG,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=ANSWER_SECONDS_MAX,
        limit_concurrency=CONNECTIONS_MAX,
        backlog=BACKLOG_MAX,
    )
    Server(config, app).run(listeners(config))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
