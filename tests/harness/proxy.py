"""A line to a server that can be cut, silenced and restored, while the server itself goes on."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from enum import Enum

CHUNK_BYTES = 65_536


class Line(Enum):
    """How the line is."""

    WHOLE = "whole"
    CUT = "cut"
    SILENT = "silent"
    """Half-open: connections stay and new ones are taken, but nothing comes through and nobody is told."""


class Proxy:
    """`async with Proxy("127.0.0.1:5432") as proxy:` listens at `proxy.address`.

    Kafka tells its clients its own address; on the way through here it is replaced by the proxy's.
    """

    def __init__(self, target: str) -> None:
        self._host, _, port = target.partition(":")
        self._port = int(port)
        self.line = Line.WHOLE
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, self._host, 0)
        self._own_port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def address(self) -> str:
        """HOST:PORT for clients."""
        return f"{self._host}:{self._own_port}"

    def set(self, line: Line) -> None:
        """Change the line; what was connected is dropped, unless the line falls silent."""
        self.line = line
        if line is not Line.SILENT:
            self._drop()

    def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.line is Line.CUT:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        self._writers |= {writer, far_writer}
        named = [self._host.encode() + struct.pack(">i", port) for port in (self._port, self._own_port)]
        for source, sink, swap in ((reader, far_writer, None), (far_reader, writer, named)):
            task = asyncio.create_task(self._pump(source, sink, swap))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, swap: list[bytes] | None) -> None:
        with suppress(OSError):
            while chunk := await source.read(CHUNK_BYTES):
                if self.line is Line.WHOLE:
                    sink.write(chunk.replace(*swap) if swap else chunk)
                    await sink.drain()
        sink.close()
