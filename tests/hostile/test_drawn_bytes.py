"""Whatever bytes hypothesis draws for headers, bodies and queries: an answer or a documented problem, never a 500."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date

import hypothesis
import pytest
from hypothesis import strategies as st

from services.application.main import service as application
from tests.harness.bench import Bench
from tests.hostile.test_bodies import LIMIT, Wire, staff

EXAMPLES = 200
PATHS = ("/v1/staff", "/v1/referrals", "/v1/facilities/f-1/review", "/v1/ops/parked/f-1/redrive", "/v1/nothing")
OURS = (b"idempotency-key", b"if-match", b"content-type", b"content-length", b"traceparent", b"accept", b"x-odd")
HEADER = st.tuples(st.sampled_from(OURS), st.binary(max_size=300) | st.binary(min_size=5_000, max_size=9_000))
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
JSON = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner))
DEEP = st.integers(1, 900).map(lambda depth: b"[" * depth + b"]" * depth)
BODY = (
    st.binary(max_size=LIMIT)
    | st.integers(1, 200).map(lambda more: b"x" * (LIMIT + more))
    | JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass"))
    | DEEP
    | st.builds(lambda at, byte: _spoiled(staff(), at, byte), st.integers(0, 200), st.binary(min_size=1, max_size=3))
)


def _spoiled(sound: bytes, at: int, byte: bytes) -> bytes:
    place = at % len(sound)
    return sound[:place] + byte + sound[place + len(byte) :]


@pytest.fixture
def runner_and_wire(bench: Callable[..., Bench]) -> Iterator[tuple[asyncio.Runner, Wire]]:
    with asyncio.Runner() as runner:
        opened = bench(application, body_bytes_max=LIMIT)
        runner.run(opened.__aenter__())
        runner.run(opened.open(date(2025, 9, 1)))
        yield runner, Wire(opened)
        runner.run(opened.__aexit__())


def test_no_drawn_bytes_break_the_service(runner_and_wire: tuple[asyncio.Runner, Wire]) -> None:
    runner, wire = runner_and_wire
    seen: Counter[int] = Counter()

    @hypothesis.settings(max_examples=EXAMPLES, derandomize=True, database=None, deadline=None)
    @hypothesis.given(
        headers=st.lists(HEADER, max_size=4),
        body=BODY,
        cut=st.integers(0, LIMIT),
        query=st.binary(max_size=60),
        path=st.sampled_from(PATHS),
    )
    def sent(headers: list[tuple[bytes, bytes]], body: bytes, cut: int, query: bytes, path: str) -> None:
        role = "operator" if "/ops/" in path else "admin"
        chunks = (body[:cut], body[cut:])
        # Wire.send fails for a server error, an undocumented code or an answer that is no problem.
        status, _ = runner.run(wire.send(*chunks, headers=wire.headers(*headers, role=role), path=path, query=query))
        seen[status] += 1

    sent()
    assert {400, 404, 413, 422} <= seen.keys(), seen
