"""A TCP proxy whose connections can be cut, made silent, or left half open, on a thread of its own.

A *cut* refuses and resets. *Silence* holds every byte back in both directions and hands it on afterwards, as a network
that lost a route does. *Half open* is what a crashed host leaves behind: one side's connection is gone, the other side
is never told and may talk into the void for as long as it likes; new connections work.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import uvloop

HIGH_WATER_BYTES = 1 << 20


class _End(asyncio.Protocol):
    """One side of a connection; what it receives goes to the other side."""

    def __init__(self, link: Link, *, client: bool) -> None:
        self.link, self.client = link, client
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None
        self.void = False
        self.early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        if self.client:
            self.link.accepted(self)
        elif self.link.silent:
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        if self.void:
            return
        if self.other is None or self.other.transport is None:
            self.early.append(data)
        else:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other and self.other.transport and not self.other.void:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport and not self.link.silent:
            self.other.transport.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        self.link.ends.discard(self)
        if self.other and self.other.transport and not self.other.void:
            self.other.transport.close()
        self.transport = None

    def abort(self) -> None:
        """End this side with a reset."""
        if self.transport is not None:
            self.transport.abort()


class Link:
    """One listening port that leads to one address; all methods but the constructor's run on the proxy's thread."""

    def __init__(self, target: tuple[str, int], loop: asyncio.AbstractEventLoop) -> None:
        self.target, self.loop = target, loop
        self.ends: set[_End] = set()
        self.refusing = self.silent = False
        self.port = 0
        self.server: asyncio.Server | None = None

    async def listen(self, port: int) -> None:
        """Open the port, or any free one for 0."""
        self.server = await self.loop.create_server(lambda: _End(self, client=True), "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Close the port and end every connection."""
        self.cut(refusing=True)
        if self.server is not None:
            self.server.close()
        await asyncio.sleep(0)  # the ends say goodbye in the loop's next turn

    def accepted(self, end: _End) -> None:
        """A client came: lead it on, unless the line is cut."""
        if self.refusing:
            end.abort()
            return
        self.ends.add(end)
        if self.silent:
            assert end.transport is not None
            end.transport.pause_reading()
        self.loop.create_task(self._connect(end))

    async def _connect(self, end: _End) -> None:
        try:
            _, protocol = await self.loop.create_connection(lambda: _End(self, client=False), *self.target)
        except OSError:
            end.abort()
            return
        server = protocol
        self.ends.add(server)
        server.other, end.other = end, server
        for data in end.early:
            assert server.transport is not None
            server.transport.write(data)
        end.early.clear()
        if end.transport is None:
            server.abort()

    def cut(self, *, refusing: bool) -> None:
        """Reset every connection and, while `refusing`, every new one."""
        self.refusing = refusing
        for end in list(self.ends):
            end.abort()

    def silence(self, *, silent: bool) -> None:
        """Hold back every byte in both directions, or let them flow again."""
        self.silent = silent
        for end in list(self.ends):
            if end.transport is not None and not end.void:
                with suppress(RuntimeError):  # paused or resumed already
                    (end.transport.pause_reading if silent else end.transport.resume_reading)()

    def half_open(self, *, to_client: bool) -> None:
        """End one side of every connection and leave the other in the dark; `to_client` leaves the client there."""
        for end in [end for end in self.ends if end.client is to_client]:
            end.void = True
            if end.other is not None:
                end.other.abort()


class Proxy:
    """The thread and its links; every method may be called from any other thread."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._links: list[Link] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()

    def link(self, host: str, port: int, *, listen: int = 0) -> Link:
        """A new link to `host:port`."""
        link = Link((host, port), self._loop)
        asyncio.run_coroutine_threadsafe(link.listen(listen), self._loop).result(10)
        self._links.append(link)
        return link

    def do(self, act: Callable[[], None]) -> None:
        """Run `act` on the proxy's thread and wait for it."""

        async def acting() -> None:
            act()

        asyncio.run_coroutine_threadsafe(acting(), self._loop).result(10)

    def stop(self) -> None:
        """End every connection and the thread."""
        for link in self._links:
            asyncio.run_coroutine_threadsafe(link.close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


def split_address(address: str) -> tuple[str, int]:
    """HOST:PORT in two."""
    host, _, port = address.rpartition(":")
    return socket.gethostbyname(host), int(port)
