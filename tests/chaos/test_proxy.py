"""The proxy does what its words say, seen by plain sockets on both sides."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import Link, Proxy

SILENCE_SECONDS = 0.3


class Line:
    """A client and a server with the proxy between them."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.proxy = Proxy()
        self.link: Link = self.proxy.link(*self.listener.getsockname())
        self.client, self.server = self.connect()

    def connect(self) -> tuple[socket.socket, socket.socket]:
        client = socket.create_connection(("127.0.0.1", self.link.port), timeout=5)
        self.listener.settimeout(5)
        server, _ = self.listener.accept()
        server.settimeout(5)
        return client, server

    def says(self, text: bytes) -> bytes:
        self.client.sendall(text)
        return self.server.recv(100)

    def close(self) -> None:
        for each in (self.client, self.server, self.listener):
            each.close()
        self.proxy.stop()


def ended(side: socket.socket) -> bool:
    """The connection is over, told by a reset or an end."""
    try:
        return side.recv(100) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def line() -> Iterator[Line]:
    found = Line()
    yield found
    found.close()


def test_bytes_pass_in_both_directions(line: Line) -> None:
    assert line.says(b"hello") == b"hello"
    line.server.sendall(b"well")
    assert line.client.recv(100) == b"well"


def test_a_cut_line_is_reset_and_refuses_until_it_is_mended(line: Line) -> None:
    assert line.says(b"hello") == b"hello"
    line.proxy.do(lambda: line.link.cut(refusing=True))
    for side in (line.client, line.server):
        assert ended(side)
    refused = socket.create_connection(("127.0.0.1", line.link.port), timeout=5)
    assert ended(refused)
    refused.close()
    line.proxy.do(lambda: line.link.cut(refusing=False))
    client, server = line.connect()
    client.sendall(b"again")
    assert server.recv(100) == b"again"
    client.close()
    server.close()


def test_a_silent_line_holds_everything_back_and_loses_nothing(line: Line) -> None:
    assert line.says(b"hello") == b"hello"
    line.proxy.do(lambda: line.link.silence(silent=True))
    line.client.sendall(b"anybody?")
    line.server.settimeout(SILENCE_SECONDS)
    with pytest.raises(TimeoutError):
        line.server.recv(100)
    line.server.settimeout(5)
    line.proxy.do(lambda: line.link.silence(silent=False))
    assert line.server.recv(100) == b"anybody?"


@pytest.mark.parametrize("to_client", [True, False])
def test_half_open_ends_one_side_and_leaves_the_other_in_the_dark(line: Line, *, to_client: bool) -> None:
    assert line.says(b"hello") == b"hello"
    line.proxy.do(lambda: line.link.half_open(to_client=to_client))
    dark, gone = (line.client, line.server) if to_client else (line.server, line.client)
    assert ended(gone)
    dark.sendall(b"into the void")
    dark.settimeout(SILENCE_SECONDS)
    with pytest.raises(TimeoutError):
        dark.recv(100)
