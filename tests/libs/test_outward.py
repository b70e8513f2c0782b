"""Addresses that others name: looked up once, checked, connected to as checked, under the name's own Host."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest
import uvloop

from libs.runtime import outward
from libs.runtime.outward import Direct, Forbidden, Outward, is_public, why_unfit

PUBLIC, INNER = "93.184.215.14", "127.0.0.1"
TRIES = 150
"""One in seven of them met the moment in which uvloop has no socket to show."""


class Names:
    """A name server that answers each look-up with the next list, the last for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), 0

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


class Wire(httpx.AsyncBaseTransport):
    """Notes where a connection would go; the addresses in `dead` refuse it."""

    def __init__(self, *dead: str) -> None:
        self.dead, self.sent = dead, list[httpx.Request]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        if request.url.host in self.dead:
            raise httpx.ConnectError("refused")
        return httpx.Response(204)


def wired(names: Names, wire: Wire, *, private: bool = False) -> httpx.AsyncClient:
    transport = Outward(private=private, tls=False, lookup=names)
    transport._inner = wire  # type: ignore[assignment]  # in place of the network
    return httpx.AsyncClient(transport=transport)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        (PUBLIC, True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address that must not be called
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d70e", True),
    ],
)
def test_an_address_is_of_the_open_internet_or_not_also_in_disguise(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url", ["ftp://partner/", "https://", "https:///x", "https://partner:x/", "https://[::1", "https://a b/"]
)
def test_what_is_no_address_is_said_at_once(url: str) -> None:
    assert why_unfit(url, private=True)


async def test_a_name_that_leads_inward_is_never_connected_to() -> None:
    wire = Wire()
    async with wired(Names([PUBLIC, INNER]), wire) as client:
        with pytest.raises(Forbidden):
            await client.post("https://partner/hooks", content=b"secret")
    assert wire.sent == []


async def test_a_name_that_turns_inward_after_the_check_gains_nothing() -> None:
    names, wire = Names([PUBLIC], [INNER]), Wire()
    async with wired(names, wire) as client:
        assert (await client.post("https://partner:8443/hooks", content=b"x")).status_code == 204
        with pytest.raises(Forbidden):
            await client.post("https://partner:8443/hooks", content=b"x")
    (request,) = wire.sent
    assert names.asked == 2  # once for each request
    assert str(request.url) == f"https://{PUBLIC}:8443/hooks"
    assert request.headers["host"] == "partner:8443"
    assert request.extensions["sni_hostname"] == "partner"


async def test_the_next_address_of_a_name_is_tried_when_one_is_down() -> None:
    wire = Wire("1.1.1.1")
    async with wired(Names(["1.1.1.1", PUBLIC]), wire) as client:
        assert (await client.get("https://partner/")).status_code == 204
    assert [request.url.host for request in wire.sent] == ["1.1.1.1", PUBLIC]


@asynccontextmanager
async def serving(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A real server on this machine that answers everything alike, and what it was asked."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, INNER, 0)
    async with server:
        yield f"http://partner:{server.sockets[0].getsockname()[1]}/hooks", heard


async def test_over_a_real_connection_the_name_stays_in_the_host_and_no_redirect_is_followed() -> None:
    answer = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    async with serving(answer) as (url, heard):
        async with httpx.AsyncClient(transport=Outward(private=True, tls=False, lookup=Names([INNER]))) as client:
            assert (await client.get(url)).status_code == 302
        async with httpx.AsyncClient(transport=Outward(private=False, tls=False, lookup=Names([INNER]))) as client:
            with pytest.raises(Forbidden):
                await client.get(url)
    assert len(heard) == 1
    assert f"host: {url.split('/')[2]}".encode() in heard[0].lower()


async def test_an_endless_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outward, "ANSWER_BYTES_MAX", 100)
    transport = Outward(private=True, tls=False, lookup=Names([INNER]))
    async with (
        serving(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000) as (url, _),
        httpx.AsyncClient(transport=transport) as c,
    ):
        with pytest.raises(httpx.ReadError):
            await c.get(url)


def test_a_connection_reset_while_it_is_made_is_trouble_of_the_network_on_uvloop_too() -> None:
    def reset_all(listener: socket.socket) -> None:
        for _ in range(TRIES):
            accepted, _ = listener.accept()
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()

    async def knock(url: str) -> None:
        async with httpx.AsyncClient(transport=Direct(verify=False)) as client:
            for _ in range(TRIES):
                with pytest.raises(httpx.TransportError):
                    await client.get(url)

    with socket.create_server((INNER, 0)) as listener:
        resetting = threading.Thread(target=reset_all, args=(listener,), daemon=True)
        resetting.start()
        uvloop.run(knock(f"http://{INNER}:{listener.getsockname()[1]}/"))
        resetting.join()
