"""P4, the hop: from a command answered to its effect committed in another service, against a raw hop and insert.

`python -m tests.bench.hopping SEEN` is the raw reader.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.local.stack import PARTITIONS
from libs.runtime.http import EVENTS_HEADER
from libs.runtime.settings import read_settings
from tests.bench import reader
from tests.bench.figures import Bench, Comparison, Side, Wrong, percentile
from tests.bench.ground import Ground, administer, run, until
from tests.bench.reader import Notebook
from tests.bench.relaying import HEADERS

SLOW = 50
"""Events a second: a branch at work."""
EVENTS = 2
"""That a referral tells: of itself, which takes effect, and of the consent, which only passes."""
PASSING = b'{"consent": "c"}'
CALLERS = 16
BURST_SECONDS = 4
SETTLE_SECONDS_MAX = 60
RAW_SQL = """
CREATE TABLE rating.raw (id text PRIMARY KEY, payload text NOT NULL);
ALTER TABLE rating.raw OWNER TO silverbear_rating
"""
Caused = Callable[[], Awaitable[tuple[str, float]]]
"""Causes one event; gives its name and the moment at which whoever caused it was answered."""


class Callers:
    """HTTP/1.1 over a few open connections, and no more than that: httpx would be half of what it measures."""

    def __init__(self, url: str, path: str, token: str) -> None:
        self._host, self._port = urlsplit(url).hostname, urlsplit(url).port
        self._head = f"POST {path} HTTP/1.1\r\nHost: service\r\nAuthorization: Bearer {token}\r\n"
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def open(self) -> None:
        """Connect."""
        for _ in range(CALLERS):
            self._free.put_nowait(await asyncio.open_connection(self._host, self._port))

    async def close(self) -> None:
        """Hang up."""
        while not self._free.empty():
            self._free.get_nowait()[1].close()

    async def refer(self) -> tuple[str, float]:
        """Register an application; its facility and when the answer was there."""
        borrower = {"name": "Bear", "id_number": "110101199001011234", "phone": "13800001234"}
        ref = uuid.uuid4().hex
        body = json.dumps(
            {"external_ref": ref, "channel": "web", "branch": "b1", "consent": True, "borrower": borrower}
        ).encode()
        own = f"Idempotency-Key: {ref}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        heard, said = await self._free.get()
        said.write((self._head + own).encode() + body)
        head = (await heard.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        answer = json.loads(await heard.readexactly(length))
        answered = time.monotonic()
        self._free.put_nowait((heard, said))
        if " 201 " not in head.partition("\r\n")[0]:
            raise Wrong(f"a referral was answered {answer}")
        told = head.partition(f"{EVENTS_HEADER}:")[2].partition("\r\n")[0]
        if len(told.split(",")) != EVENTS:
            raise Wrong(f"a referral told{told}")
        return answer["facility_id"], answered


def seen(path: Path, known: dict[str, float]) -> dict[str, float]:
    """When which effect was committed, as the reader wrote it down."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: float(when) for name, when in (line.split() for line in lines) if name in known}


async def paced(cause: Caused, path: Path, *, per_second: float, seconds: float) -> list[float]:
    """Milliseconds from answer to effect of events caused at a steady pace, whoever is late."""
    count = max(1, round(per_second * seconds))
    began = time.monotonic()
    under_way = []
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
        under_way.append(asyncio.create_task(cause()))
    answered = dict(await asyncio.gather(*under_way))
    took = await _settled(path, answered)
    if time.monotonic() - began > 3 * seconds + SETTLE_SECONDS_MAX / 2:
        raise Wrong(f"{per_second:.0f} a second are more than this machine carries just now")
    return took


async def _settled(path: Path, answered: dict[str, float]) -> list[float]:
    async def all_seen() -> bool:
        return len(seen(path, answered)) == len(answered)

    await until(all_seen, f"{len(answered)} effects", seconds=SETTLE_SECONDS_MAX, pause=0.1)
    # An effect may even be there before the answer has reached its caller.
    return [max(0.001, (when - answered[name]) * 1000) for name, when in seen(path, answered).items()]


async def sustained(callers: Callers, path: Path) -> float:
    """Events a second when as many callers as there are connections never wait."""
    began, answered = time.monotonic(), {}

    async def call() -> None:
        while time.monotonic() - began < BURST_SECONDS:
            name, when = await callers.refer()
            answered[name] = when

    await asyncio.gather(*(call() for _ in range(CALLERS)))
    await _settled(path, answered)
    last = max(seen(path, answered).values())
    return EVENTS * len(answered) / (last - began)


async def raw(path: Path) -> None:
    """Consume and insert: one row, one statement, one note; what only passes is read, and that is all."""
    settings = read_settings()
    conn = await asyncpg.connect(settings.database_url, server_settings={"search_path": "rating"})
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(settings.topic_prefix + "application", part) for part in range(PARTITIONS)])
    notebook = Notebook(path)
    notebook.note("ready")
    async for message in consumer:
        if message.value == PASSING:
            continue
        await conn.execute("INSERT INTO raw VALUES ($1, $2)", message.key.decode(), message.value.decode())
        notebook.note(message.key.decode())


class _Half:
    """Half of what the services carry just now: found anew for each pair, because a machine's speed drifts."""

    def __init__(self, full: Callable[[], float]) -> None:
        self._full, self._asked, self._pace = full, 0, 0.0

    def of_pair(self) -> float:
        """Events a second, the same for both sides of a pair."""
        if self._asked % 2 == 0:
            self._pace = self._full() / 2
        self._asked += 1
        return self._pace


def _two_paces(ground: Ground, half: _Half, work: Callable[[float, float], list[float]]) -> dict[str, float]:
    pace = half.of_pair()
    slow, fast = work(SLOW / EVENTS, ground.size), work(pace / EVENTS, ground.size)
    return {
        "half_load_a_second": pace,
        "p50_ms": percentile(slow, 0.5),
        "p99_ms": percentile(slow, 0.99),
        "half_p50_ms": percentile(fast, 0.5),
        "half_p99_ms": percentile(fast, 0.99),
    }


@contextmanager
def prepared(ground: Ground, facts: dict[str, str]) -> Iterator[dict[str, Side]]:
    """Two services joined by relay and consumer; a producer and a consumer joined by nothing else."""
    ours, bare = ground.stack(), ground.stack()
    administer(ours.admin_url, reader.CREATE_SQL)
    administer(bare.admin_url, RAW_SQL)
    token = ours.issuer.token("manager", "customer_manager", org="b1")
    notes, raw_notes = ground.home / "seen", ground.home / "seen-raw"
    url = ground.serve(ours, "application-1", "services.application.main:app")
    ground.serve(ours, "rating-1", "tests.bench.reader:app", {"SEEN": str(notes), "SILENT": "1"})
    ground.begin("raw", __name__, str(raw_notes), env=bare.environment("rating", {"SEEN": ""}))

    async def is_ready() -> bool:
        return raw_notes.exists()

    run(until(is_ready, "the raw reader is ready", seconds=60))

    async def with_callers(work: Callable[[Callers], Awaitable[object]]) -> object:
        callers = Callers(url, "/v1/referrals", token)
        await callers.open()
        try:
            return await work(callers)
        finally:
            await callers.close()

    def service(rate: float, seconds: float) -> list[float]:
        work = with_callers(lambda callers: paced(callers.refer, notes, per_second=rate, seconds=seconds))
        return list(run(work))  # type: ignore[call-overload]  # what paced gives

    def full() -> float:
        return float(run(with_callers(lambda callers: sustained(callers, notes))))  # type: ignore[arg-type]  # a float

    def hop(rate: float, seconds: float) -> list[float]:
        return run(_hopping(ground.bootstrap, bare.topic_prefix + "application", raw_notes, rate, seconds))

    service(SLOW, 1), hop(SLOW, 1)  # connections, plans and caches
    half = _Half(full)
    yield {"raw": lambda: _two_paces(ground, half, hop), "service": lambda: _two_paces(ground, half, service)}


async def _hopping(bootstrap: str, topic: str, path: Path, rate: float, seconds: float) -> list[float]:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    headers = [(name, text.encode()) for name, text in HEADERS.items()]

    async def cause() -> tuple[str, float]:
        name, now = uuid.uuid4().hex, time.monotonic()
        for value in (b'{"external_ref": "r"}', *[PASSING] * (EVENTS - 1)):
            sent = await producer.send(topic, value=value, key=name.encode(), headers=headers)
        await sent
        return name, now

    try:
        return await paced(cause, path, per_second=rate, seconds=seconds)
    finally:
        await producer.stop()


BENCH = Bench(
    id="P4",
    title="from a command to its effect elsewhere",
    told=(
        "A referral is answered by the application service; how long until its effect is committed in another service"
        " (`tests/bench/reader.py`), which tells nothing back: outbox, relay, Kafka, consumer, transaction. At"
        f" {SLOW} events a second, and at half of what the two services together can take, found anew for each pair. A"
        f" referral tells {EVENTS} events, of which one takes effect. Baseline, at the same paces and with as many"
        " events: a producer without an outbox and a consumer without anything, from the moment before the send until"
        " one row is committed."
    ),
    prepared=prepared,
    comparisons=tuple(
        Comparison(
            what=what, ours=f"service.{name}", baseline=f"raw.{name}", unit="ms", solid=5, reach=1.5, at_most=True
        )
        for what, name in (
            (f"half of them within, at {SLOW} a second", "p50_ms"),
            ("99 of 100 within", "p99_ms"),
            ("half of them within, at half load", "half_p50_ms"),
            ("99 of 100 within", "half_p99_ms"),
        )
    ),
    size=8,
    size_is="seconds at each pace",
)


if __name__ == "__main__":
    uvloop.run(raw(Path(sys.argv[1])))
