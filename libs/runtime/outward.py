"""HTTP to addresses that others name: looked up once, checked, and connected to as checked.

Whoever controls a name could point it inward, between a check and the connection too: so the address that was checked
is the one connected to, under the name's own Host and certificate, and a redirect is never followed.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx

ANSWER_BYTES_MAX = 1_048_576
ADDRESSES_MAX = 3
"""Of one name, tried in turn until one can be connected to."""
_NAT64 = IPv6Network("64:ff9b::/96")
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Forbidden(httpx.ConnectError):
    """The target is, or its name leads to, an address that nothing may be sent to."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also where it carries an IPv4 address inside."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        inside = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inside is None and found in _NAT64:
            inside = IPv4Address(int(found) & 0xFFFFFFFF)
        found = inside or found
    return found.is_global and not found.is_multicast


def why_unfit(url: str, *, private: bool) -> str:
    """What is wrong with an address that somebody wants to be called at, in words; empty when nothing can be seen yet.

    `private` admits plain HTTP and addresses of one's own network. Where a name leads is looked at on each call.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it cannot be read"
    if parts.scheme not in ("https", *(("http",) if private else ())) or not host:
        return "it is no https address with a host"
    if parts.username is not None or parts.fragment or not url.isprintable() or " " in url:
        return "it holds a user, a fragment or blanks"
    try:
        literal = is_public(host)
    except ValueError:
        literal = host != "localhost" and not host.endswith(".localhost")
    return "" if literal or private else "it is not on the open internet"


async def resolve(host: str, port: int) -> Sequence[str]:
    """The IP addresses of a name, in the order to try them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Outward(httpx.AsyncBaseTransport):
    """Connects to checked addresses only, and reads at most `ANSWER_BYTES_MAX` of an answer.

    No connection is kept: two names of one address would share it, and the certificate of only one was looked at.
    """

    def __init__(self, *, private: bool, tls: bool = True, lookup: Resolve = resolve) -> None:
        self._private, self._resolve = private, lookup
        limits = httpx.Limits(max_keepalive_connections=0)
        self._inner = Bounded(Direct(verify=tls, limits=limits, trust_env=False))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of the first address that can be connected to; raises Forbidden before anything is sent."""
        url = request.url
        host = url.raw_host.decode()
        try:
            addresses = await self._resolve(host, url.port or (443 if url.scheme == "https" else 80))
        except OSError as error:
            raise httpx.ConnectError(f"{host} has no address") from error
        if not self._private and not all(is_public(address) for address in addresses):
            raise Forbidden(f"{host} leads to an address that is not on the open internet")
        failed: httpx.TransportError = httpx.ConnectError(f"{host} has no address")
        for address in addresses[:ADDRESSES_MAX]:
            there = httpx.Request(
                request.method,
                url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self._inner.handle_async_request(there)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failed = error
        raise failed

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()


@contextmanager
def connecting() -> Iterator[None]:
    """Around a request: a connection reset while it is made is a ConnectError on uvloop too.

    uvloop has no socket to show of a connection that is gone, and anyio, which asks it for the peer, fails with an
    AttributeError that no caller of HTTP expects. Nothing has been sent by then.
    """
    try:
        yield
    except AttributeError as error:
        if error.name != "getpeername":
            raise
        raise httpx.ConnectError("the connection was reset while it was made") from error


class Direct(httpx.AsyncBaseTransport):
    """httpx's own transport, given the same words, under `connecting`; like any given one it asks no proxy."""

    def __init__(self, **words: Any) -> None:
        self._inner = httpx.AsyncHTTPTransport(**words)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer."""
        with connecting():
            return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()


class Bounded(httpx.AsyncBaseTransport):
    """Reads at most `ANSWER_BYTES_MAX` of an answer; more is no answer."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, whose body breaks off with a ReadError beyond the bound."""
        response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - what an asynchronous transport gives
        response.stream = _BoundedStream(response.stream)
        return response

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        came = 0
        async for chunk in self._inner:
            came += len(chunk)
            if came > ANSWER_BYTES_MAX:
                raise httpx.ReadError(f"the answer has more than {ANSWER_BYTES_MAX} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
