"""What no honest client sends: huge, broken and ambiguous bodies, odd headers, paths and queries; never a 500."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any

import pytest
from starlette.types import Message

from libs.runtime.auth import HEAD_OFFICE
from services.application.main import service as application
from services.console.main import service as console
from services.rating.main import service as rating
from tests.harness.bench import Bench
from tests.hostile.table import documented
from tests.rating import facts

LIMIT = 4_096
STAFF = {"branch": "b1", "role": "reviewer", "level": "branch", "trained_until": "2029-12-31"}
PATH = "/v1/staff"
Headers = list[tuple[bytes, bytes]]


class Wire:
    """Sends a request as the server would hand it over, byte for byte: what a client library would not let pass."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def headers(self, *more: tuple[bytes, bytes], role: str = "admin", key: bytes | None = None) -> Headers:
        token = self.bench.issuer.token("someone", role, level=HEAD_OFFICE).encode()
        sent = [(b"host", b"service"), (b"authorization", b"Bearer " + token), (b"content-type", b"application/json")]
        fresh = str(uuid.uuid4()).encode() if key is None else key
        named = {name for name, _ in more}
        return [*(pair for pair in [*sent, (b"idempotency-key", fresh)] if pair[0] not in named), *more]

    async def send(
        self,
        *chunks: bytes,
        headers: Headers | None = None,
        path: str = PATH,
        query: bytes = b"",
        method: str = "POST",
    ) -> tuple[int, dict[str, Any]]:
        """(status, body); fails unless the answer is JSON, and if it is an error, a documented problem."""
        coming = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        coming.append({"type": "http.request", "body": b"", "more_body": False})
        sent: list[Message] = []

        async def receive() -> Message:
            return coming.pop(0) if coming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(errors="surrogateescape"),
            "query_string": query,
            "root_path": "",
            "headers": self.headers() if headers is None else headers,
            "client": ("127.0.0.1", 1),
            "server": ("service", 80),
        }
        await self.bench.service.app(scope, receive, send)  # raises what the service did not foresee
        status = sent[0]["status"]
        answered = dict(sent[0]["headers"])
        body = b"".join(message.get("body", b"") for message in sent[1:])
        told: dict[str, Any] = json.loads(body)
        if status >= 400:
            assert answered[b"content-type"] == b"application/problem+json"
            assert told["status"] == status < 500
            assert (status, told["code"]) in documented(self.bench.service.name), told
        return status, told


@pytest.fixture
async def wire(bench: Callable[..., Bench]) -> AsyncIterator[Wire]:
    async with bench(application, body_bytes_max=LIMIT) as opened:
        await opened.open(date(2025, 9, 1))
        yield Wire(opened)


def staff(**changes: Any) -> bytes:
    """Somebody new each time."""
    return json.dumps({"staff_id": str(uuid.uuid4()), **STAFF, **changes}).encode()


async def test_a_body_up_to_the_limit_is_read_and_a_byte_more_is_too_large(wire: Wire) -> None:
    fits = staff().ljust(LIMIT)
    assert (await wire.send(fits))[0] == 201
    status, told = await wire.send(staff().ljust(LIMIT + 1))
    assert (status, told["code"]) == (413, "body_too_large")


async def test_the_limit_counts_what_comes_not_what_is_announced(wire: Wire) -> None:
    chunks = [b'{"staff_id": "' + b"x" * 1_000] * 5
    assert (await wire.send(*chunks))[0] == 413
    for lie in (b"1", b"-1", b"zero", b"9" * 40):
        assert (await wire.send(*chunks, headers=wire.headers((b"content-length", lie))))[0] == 413


async def test_reading_stops_at_the_limit(wire: Wire) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            assert taken < 50, "the service reads on"
            yield b" " * 1_000

    headers = {name.decode(): value.decode() for name, value in wire.headers()}
    chunks = endless()
    scope_sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": await anext(chunks), "more_body": True}

    async def send(message: Message) -> None:
        scope_sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": raw, "root_path": ""}
    await wire.bench.service.app(scope, receive, send)
    assert scope_sent[0]["status"] == 413
    assert dict(scope_sent[0]["headers"])[b"connection"] == b"close"
    assert taken == 5


NOT_READ = {
    "empty": (b"", 422),
    "trailing": (staff() + b"x", 422),
    "two": (staff() + staff(), 422),
    "cut": (staff()[:-1], 422),
    "list": (b"[]", 422),
    "null": (b"null", 422),
    "text": (b'"x"', 422),
    "latin-1": (staff(branch="é").replace(b"\\u00e9", b"\xe9"), 400),
    "utf-8 surrogate": (staff(branch="é").replace(b"\\u00e9", b"\xed\xa0\x80"), 422),
    "overlong": (staff(branch="é").replace(b"\\u00e9", b"\xc0\xaf"), 400),
    "lone surrogate": (staff(branch="\ud800"), 422),
    "lone surrogate as a name": (staff(**{"\ud800": 1}), 422),
    "long name": (staff(**{"x" * 3_000: 1}), 422),
    "bare NUL": (staff(branch="é").replace(b"\\u00e9", b"\x00"), 422),
    "NUL": (staff(branch="a\x00b"), 422),
    "NUL as a name": (staff(**{"\x00": 1}), 422),
    "deep lists": (b"[" * 4_000, 422),
    "deep objects": (b'{"a":' * 650 + b"1" + b"}" * 650, 422),
    "huge int": (staff(level=1).replace(b": 1,", b": " + b"9" * 3_900 + b","), 422),
    "infinite": (staff(level=1).replace(b": 1,", b": 1e999,"), 422),
    "not a number": (staff(level=float("nan")), 422),
    "infinity": (staff(level=float("inf")), 422),
    "UTF-7": (b"+AHs-", 422),
}


async def test_a_body_that_cannot_be_read_is_the_callers_fault(wire: Wire) -> None:
    for name, (content, expected) in NOT_READ.items():
        status, told = await wire.send(content)
        assert status in {expected, 400 if name.startswith(("deep", "huge")) else expected}, (name, told)
        assert len(json.dumps(told)) < 2_500, name


NO_AMOUNTS = (
    "NaN",
    "sNaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "1E+999999",
    "-1",
    "0.001",
    "9" * 3_000,
    "0x10",
    "",
    "1,5",
)


async def test_an_amount_is_a_plain_number_of_cents(wire: Wire) -> None:
    path = "/v1/facilities/f-1/loans/l-1/write-off"
    for amount in [*NO_AMOUNTS, *(f'"{amount}"' for amount in (*NO_AMOUNTS, "1E-999999"))]:
        body = f'{{"amount": {{"amount": {amount}, "currency": "CNY"}}}}'.encode()
        status, _ = await wire.send(body, path=path, headers=wire.headers(role="approver"))
        assert status in (400, 422), amount[:50]


async def test_only_json_is_read(wire: Wire) -> None:
    forms = (b"application/x-www-form-urlencoded", b"multipart/form-data")
    for kind in (b"", b"text/plain", b"application/xml", b"\xff", *forms):
        assert (await wire.send(staff(), headers=wire.headers((b"content-type", kind))))[0] == 422, kind


async def test_of_a_name_said_twice_the_last_one_counts(wire: Wire) -> None:
    body = staff()[:-1] + b', "branch": "b2"}'
    assert (await wire.send(body))[1]["branch"] == "b2"


async def test_a_key_is_1_to_255_printable_characters(wire: Wire) -> None:
    for key in (b"", b"\x00", b"a\tb", b"\x85", b"a\xa0b", "键".encode(), b"x" * 256, b"x" * 60_000):
        status, told = await wire.send(staff(), headers=wire.headers(key=key))
        assert (status, told["code"]) == (400, "idempotency_key_invalid"), key[:20]


async def test_any_printable_key_will_do(wire: Wire) -> None:
    for key in (b"x" * 255, b"\xe9" * 255, "é".encode("latin-1"), b"'; --", b"$1", b"{}"):
        assert (await wire.send(staff(), headers=wire.headers(key=key)))[0] == 201, key
        assert (await wire.send(staff(branch="b2"), headers=wire.headers(key=key)))[0] == 422, key


def coded(content: Any) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=")


ODD_TOKENS = [
    *(b"", b"Bearer", b"Bearer ", b"bearer  x", b"Basic eDp5", b"Bearer \xff\xfe", b"Bearer " + b"x" * 60_000),
    *(b"Bearer ..", b"Bearer a.b.c", b"Bearer a.b.c.d.e", b"Bearer \x00.\x00.\x00", b"Bearer ====.====.===="),
    *(b"Bearer " + b".".join((coded(head), coded({}), b"AA")) for head in ([], None, 1, "x", {}, {"alg": "none"})),
    *(b"Bearer " + b".".join((coded({"alg": alg}), coded({}), b"AA")) for alg in (None, 1, [], {}, "HS256", "ES256")),
    *(
        b"Bearer " + b".".join((coded({"alg": "ES256", **more}), coded({}), b"A" * 86))
        for more in ({"kid": None}, {"kid": 1}, {"kid": []}, {"kid": {}}, {"crit": ["x"]}, {"b64": False}, {"jwk": {}})
    ),
    b"Bearer " + base64.urlsafe_b64encode(b"[" * 40_000) + b".e30.AA",
    b"Bearer " + base64.urlsafe_b64encode(b"\xff\xfe") + b".e30.AA",
]


async def test_an_odd_token_is_no_token(wire: Wire) -> None:
    for token in ODD_TOKENS:
        status, _ = await wire.send(staff(), headers=wire.headers((b"authorization", token)))
        assert status == 401, token[:100]


async def test_repeated_and_odd_headers_do_no_harm(wire: Wire) -> None:
    twice = [*wire.headers(), *wire.headers()]
    assert (await wire.send(staff(), headers=twice))[0] == 201
    for odd in (b"[", b"a@b", b"\xff", b"", b"x:99999", b"a b", b"x" * 5_000):
        assert (await wire.send(staff(), headers=wire.headers((b"host", odd))))[0] == 201, odd
    for odd in (b"\xff" * 80, b"00-zz", b"\x00", b"x" * 9_000):
        status, _ = await wire.send(staff(), headers=wire.headers((b"traceparent", odd)))
        assert status == 201, odd


async def test_odd_ids_in_a_path_name_nothing(wire: Wire) -> None:
    operator, reviewer = wire.headers(role="operator"), wire.headers(role="reviewer")
    for odd in ("\x00", "a\x00", "%00", "..", "x" * 64, "x" * 65, "x" * 9_000, "\ufffd", "'"):
        for path in (f"/v1/facilities/{odd}", f"/v1/loans/{odd}", f"/v1/ops/parked/{odd}"):
            status, _ = await wire.send(method="GET", path=path, headers=operator)
            assert status in (404, 422) or path.startswith("/v1/ops"), (path[:40], status)
        review = f"/v1/facilities/{odd}/review"
        assert (await wire.send(b'{"opinion": "x"}', path=review, headers=reviewer))[0] in (404, 409, 422)
        for path, body in ((f"/v1/ops/parked/{odd}/redrive", b""), (f"/v1/ops/discarded/{odd}", b'{"reason": "test"}')):
            assert (await wire.send(body, path=path, headers=operator))[0] in (200, 404, 409, 422), path[:40]


async def test_a_path_that_is_no_route_is_a_problem(wire: Wire) -> None:
    for path in ("/", "//", "/v1", "/v1/facilities/", "/V1/facilities", "/v1//x", "/v1/../v1", "/" + "a/" * 9_000):
        for method in ("GET", "POST"):
            assert (await wire.send(method=method, path=path))[0] == 404, path[:40]
    for method in ("DELETE", "PATCH", "TRACE", "\x00"):
        assert (await wire.send(method=method, path=PATH))[0] == 405, method


JUNK_QUERIES = (
    *(b"limit=" + junk for junk in (b"0", b"-1", b"201", b"1e3", b"NaN", b"%00", b"", b"9" * 5_000, b"1&limit=x")),
    *(b"cursor=" + junk for junk in (b"%00", b"x" * 401, b"%ff", b"\xff", b"%ed%a0%80")),
    *(b"=", b"&&&", b"%", b"%zz", b"\x00", b"a" * 20_000, b"after&limit", b"after[]=1"),
)


async def test_a_junk_query_is_ignored_or_refused(wire: Wire) -> None:
    for query in JUNK_QUERIES:
        status, _ = await wire.send(method="GET", path="/v1/facilities", query=query)
        assert status in (200, 422), query[:40]
        assert (await wire.send(staff(), query=query))[0] == 201, query[:40]


@pytest.mark.parametrize("price", ["1E-999999", "1E-9", "0." + "0" * 400_000 + "1"])
async def test_a_price_near_nothing_is_refused_before_anything_is_divided_by_it(
    bench: Callable[..., Bench], price: str
) -> None:
    async with bench(rating, body_bytes_max=1_000_000) as opened:
        await opened.open(facts.DAY)
        await opened.react(facts.application(), facts.findings(), on=facts.DAY)
        line = {"cost": "99999999999", "price": price, "sales_share": "1"}
        for record in (facts.tax(), facts.bank()):
            body = facts.record_json(record)
            body["figures"]["products"] = [line]
            answer = await opened.post("/v1/facilities/f-1/source-records", body, role="data_provider")
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("day", ["0001-01-01", "1899-12-31", "2200-01-01", "9999-12-31"])
async def test_a_day_from_which_nobody_can_count_is_refused(wire: Wire, day: str) -> None:
    status, told = await wire.send(staff(trained_until=day))
    assert (status, told["errors"][0]["at"]) == (422, "body.trained_until")


async def test_the_pages_of_the_console_stand_junk_too(bench: Callable[..., Bench]) -> None:
    async with bench(console) as opened:
        token = {"authorization": f"Bearer {opened.issuer.token('ann', 'operator')}"}
        for path in (
            "/",
            "/topics",
            "/facilities",
            "/facilities/%00",
            "/facilities/x",
            "/parked",
            "/parked/key",
            "/sign-in",
        ):
            for query in ("", "?lang=xx&lang=zh", "?after=%00&q=%00&stage=%00", f"?told={'x' * 600}", "?why=%ff"):
                answer = await opened.http.get(path + query, headers={**token, "cookie": "silverbear_lang=\x7f"})
                assert answer.status_code in (200, 404, 422), (path, query, answer.text[:300])
        form = {**token, "content-type": "application/x-www-form-urlencoded"}
        for content in (b"\xff", b"a=1&" * 50, b"token=%00", b"service=console&key=%00", b"x" * 9_000, b"x" * 300_000):
            for path in ("/parked/redrive", "/parked/discard", "/sign-in", "/sign-out"):
                answer = await opened.http.post(path, content=content, headers=form)
                assert answer.status_code in (200, 303, 401, 404, 413, 422), (path, content[:30], answer.text[:300])
                assert not re.search(r"Traceback|asyncpg", answer.text)
