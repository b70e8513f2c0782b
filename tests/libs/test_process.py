"""The life of a process, with real ones: it ends in order under load, and outlives its database and its broker."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.broker import Broker, Kind
from deploy.local.process import Child, free_ports, terminate
from deploy.local.stack import Stack
from libs.runtime.auth import Issuer
from tests.harness.live import Node, until
from tests.harness.proxy import Line, Proxy

DAY = date(2026, 1, 5)
SLACK_SECONDS = 10.0
"""For a machine that does other work too; without a limit each of these would take half a minute."""
Live = Callable[..., Node]


class Process:
    """One toy service as a process at a fixed port, and a caller of it."""

    def __init__(self, stack: Stack, name: str, folder: Path) -> None:
        self.stack, self._name, self._logs = stack, name, folder / "logs"
        (self._port,) = free_ports(1)
        token = stack.issuer.token("o", "officer", "operator")
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self._port}",
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=30,
            limits=httpx.Limits(max_connections=100),
        )

    async def start(self, **settings: str) -> Child:
        """Start it and wait until it is ready."""
        child = self.stack.start(self._name, f"tests.harness.toy:{self._name}", self._port, self._logs, settings)

        async def ready() -> bool:
            child.check_running()
            try:
                return (await self.http.get("/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await until(ready, f"{self._name} is ready", seconds=60)
        return child

    async def refer(self, key: str, name: str) -> httpx.Response:
        """One command: the same idempotency key for the same words."""
        body, headers = {"facility_id": key, "name": name}, {"idempotency-key": f"{key}/{name}"}
        return await self.http.post("/referrals", json=body, headers=headers)

    async def health(self) -> tuple[int, str]:
        """Readiness: status and code."""
        answer = await self.http.get("/health/ready")
        return answer.status_code, answer.json().get("code", "")


@asynccontextmanager
async def process_of(name: str, database: str, kafka: str, topics: str, folder: Path) -> AsyncIterator[Process]:
    stack = Stack(database, Broker(Kind.OWN, kafka, topics), "cn-branch", Issuer(folder))
    process = Process(stack, name, folder)
    try:
        yield process
    finally:
        await process.http.aclose()
        terminate(*stack.children.values(), grace_s=3)


async def ended(child: Child) -> None:
    """Wait for the end in order: exit code 0, which also says in time, for what is late is cut off with 1."""

    async def gone() -> bool:
        return not child.running

    await until(gone, f"{child.name} ends", seconds=60)
    assert child.process.returncode == 0, child.log.read_text()[-3000:]


async def members(kafka: str, group: str) -> int:
    """How many members the broker counts in a group."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([group])
        return len(answer.groups[0][5])
    finally:
        await admin.close()


@dataclass(slots=True)
class Burst:
    """Many callers at once: what was answered, what was not, and with which words they were sent away."""

    answered: set[tuple[str, str]] = field(default_factory=set)
    left: set[tuple[str, str]] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)

    async def call(self, process: Process, key: str) -> None:
        """One command after the other until one is not carried out."""
        for n in count():
            wanted = (key, str(n))
            try:
                answer = await process.refer(*wanted)
            except httpx.TransportError:
                self.left.add(wanted)  # nobody listens any more, or not to the end: a repeat cures it
                return
            if answer.status_code != 201:
                assert answer.headers["retry-after"], answer.text
                self.codes.add(answer.json()["code"])
                self.left.add(wanted)
                return
            self.answered.add(wanted)


async def test_a_process_told_to_end_under_load_keeps_every_word_it_gave(
    live: Live, toy_database: str, kafka: str, topics: str, tmp_path: Path
) -> None:
    async with (
        live("application") as node,
        process_of("application", toy_database, kafka, topics, tmp_path) as process,
    ):
        await node.stand_at(DAY)
        child = await process.start()
        burst = Burst()
        callers = [asyncio.create_task(burst.call(process, f"f{n}")) for n in range(24)]

        async def busy() -> bool:
            return len(burst.answered) > 60

        await until(busy, "commands are under way", seconds=60)
        assert await members(kafka, f"{topics}silverbear.application") == 1
        child.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*callers)
        await ended(child)
        assert len(burst.left) == len(callers)
        assert burst.codes == {"draining"}
        assert await members(kafka, f"{topics}silverbear.application") == 0

        tallies = await node.tallies()
        seen = {(key, name) for key, names in tallies.items() for name in names}
        assert sum(map(len, tallies.values())) == len(seen)
        assert burst.answered <= seen <= burst.answered | burst.left
        requests = await node.rows("SELECT idempotency_key FROM requests WHERE status = 201")
        assert {tuple(key.split("/")) for key in requests} == seen
        assert sum(await node.rows("SELECT seq FROM stream")) == len(seen)

        await process.start()
        again = await asyncio.gather(*(process.refer(*wanted) for wanted in burst.left))
        assert {answer.status_code for answer in again} == {201}
        everything = [name for names in (await node.tallies()).values() for name in names]
        assert len(everything) == len(burst.answered | burst.left)


async def test_a_process_outlives_its_database_and_its_broker(
    live: Live, toy_database: str, kafka: str, topics: str, tmp_path: Path
) -> None:
    parts = urlsplit(toy_database)
    async with (
        live("application") as node,
        Proxy(parts.netloc.rpartition("@")[2]) as database,
        Proxy(kafka) as broker,
    ):
        await node.stand_at(DAY)
        far = toy_database.replace(parts.netloc.rpartition("@")[2], database.address)
        async with process_of("application", far, broker.address, topics, tmp_path) as process:
            child = await process.start(REQUEST_SECONDS_MAX="2", OUTBOX_ROWS_MAX="100", POOL_SIZE="8")
            assert (await process.refer("before", "a")).status_code == 201
            await _without_database(process, database)
            await _without_broker(process, broker, node)
            broker.set(Line.CUT)
            database.set(Line.SILENT)
            child.process.send_signal(signal.SIGTERM)
            await ended(child)


async def _without_database(process: Process, database: Proxy) -> None:
    """Cut, or silent: an answer in time, 503; restored: everything again, without a restart."""
    for line in (Line.CUT, Line.SILENT):
        database.set(line)
        begun = time.monotonic()
        commands = [process.refer(f"{line.value}{n}", "a") for n in range(12)]
        reads = [process.http.get("/tallies/before") for _ in range(4)]
        health, *answers = await asyncio.gather(process.health(), *commands, *reads)
        assert health == (503, "unavailable")
        for answer in answers:
            assert answer.status_code == 503, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["retry-after"]
            assert answer.json()["code"] in ("unavailable", "too_slow")
        assert time.monotonic() - begun < 2 + SLACK_SECONDS
        begun = time.monotonic()
        assert await process.health() == (503, "unavailable")
        assert (await process.http.get("/v1/ops/status")).status_code == 503
        assert time.monotonic() - begun < 3 + SLACK_SECONDS
        assert (await process.http.get("/health/live")).status_code == 200
        database.set(Line.WHOLE)

        async def back() -> bool:
            return (await process.health())[0] == 200

        await until(back, "the database is back", seconds=30)
        for n in range(12):
            assert (await process.refer(f"{line.value}{n}", "a")).status_code == 201


async def _without_broker(process: Process, broker: Proxy, node: Node) -> None:
    """Commands go on into the outbox, until it is full; restored, it drains."""

    async def waiting() -> int:
        return int((await node.rows("SELECT count(*) FROM outbox"))[0])

    async def drained() -> bool:
        return await waiting() == 0

    await until(drained, "the outbox is empty", seconds=30)
    broker.set(Line.CUT)
    for n in range(100):
        assert (await process.refer("dark", str(n))).status_code == 201
    assert await waiting() == 100
    full = await process.refer("dark", "100")
    assert (full.status_code, full.json()["code"], full.headers["retry-after"]) == (503, "outbox_full", "5")
    assert await process.health() == (503, "outbox_full")
    broker.set(Line.WHOLE)
    await until(drained, "the broker is back and has everything", seconds=45)
    assert await process.health() == (200, "")
    assert (await process.refer("dark", "100")).status_code == 201
