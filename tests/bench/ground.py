"""The ground of a bench: real PostgreSQL and Apache Kafka as the local stack starts them, and processes on them.

Every side gets a database and topics of its own. Processes die with this one, whatever ends it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import uvloop

from deploy.local import kafka, postgres
from deploy.local.broker import Broker, Kind
from deploy.local.process import Child, ChildFailed, free_ports, spawn, tail, terminate
from deploy.local.stack import ROOT, STAND_IN, TOPIC_PARTITIONS, Stack, create_topics
from libs.runtime import migrate
from libs.runtime.auth import Issuer
from tests.bench.figures import Wrong

T = TypeVar("T")
PROFILE = "cn-branch"
DAY = "2026-01-05"
"""The business date that a bench stands at."""
WORK_SECONDS_MAX = 600


@dataclass(slots=True)
class Ground:
    """The servers, and what was started on them."""

    home: Path
    template_url: str
    bootstrap: str
    size: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    servers: dict[str, int] = field(default_factory=dict)
    """The process ids of PostgreSQL and Kafka."""
    children: list[Child] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def database(self, *, day: str = DAY) -> str:
        """The administrator's URL of a fresh database with every service's schema, standing at `day` if any."""
        name = f"bench_{next(self._numbers)}"
        url = urlsplit(self.template_url)
        administer(urlunsplit(url._replace(path="/postgres")), f"CREATE DATABASE {name} TEMPLATE {url.path[1:]}")
        fresh = urlunsplit(url._replace(path=f"/{name}"))
        if day:
            administer(fresh, *(f"INSERT INTO {s}.clock VALUES (1, '{day}')" for s in migrate.SERVICES if s != "clock"))
        return fresh

    def stack(self, admin_url: str = "") -> Stack:
        """A stack without processes, on a fresh database (unless one is given) and topics of its own."""
        broker = Broker(Kind.KAFKA, self.bootstrap, self.topics(TOPIC_PARTITIONS))
        return Stack(admin_url or self.database(), broker, PROFILE, Issuer(self.home / "issuer"))

    def topics(self, wanted: Mapping[str, int]) -> str:
        """Fresh topics; the prefix of their names."""
        prefix = f"bench{next(self._numbers)}."
        asyncio.run(create_topics(self.bootstrap, prefix, wanted))
        return prefix

    def serve(self, stack: Stack, name: str, app: str, extra: Mapping[str, str] | None = None) -> str:
        """Start one process of a service under libs/runtime/serve.py; its address, when it is ready."""
        (port,) = free_ports(1)
        child = stack.start(name, app, port, self._logs(), extra)
        return self._ready(child, port, "/health/ready")

    def serve_bare(self, name: str, app: str, extra: Mapping[str, str]) -> str:
        """Start an application under plain uvicorn with uvloop and httptools; its address, when it answers."""
        (port,) = free_ports(1)
        argv = [sys.executable, "-m", *STAND_IN, app, "--port", str(port)]
        child = spawn(name, argv, log=self._logs() / f"{name}.log", env={**os.environ, **extra}, cwd=ROOT)
        return self._ready(child, port, "/health/ready")

    def begin(self, name: str, module: str, *words: str, env: Mapping[str, str]) -> Child:
        """Start `python -m module words` with a log of its own."""
        log = self._logs() / f"{name}-{next(self._numbers)}.log"
        child = spawn(name, [sys.executable, "-m", module, *words], log=log, env=dict(env), cwd=ROOT)
        self.children.append(child)
        return child

    def outcome(self, child: Child) -> dict[str, float]:
        """Wait for the end of what was begun; the JSON on its last line, or ChildFailed."""
        code = child.process.wait(timeout=WORK_SECONDS_MAX)
        lines = child.log.read_text(encoding="utf-8").splitlines()
        if code or not lines:
            raise ChildFailed(f"{child.name} ended with exit code {code}\n{tail(child.log)}")
        found: dict[str, float] = json.loads(lines[-1])
        return found

    def work(self, name: str, module: str, *words: str, env: Mapping[str, str]) -> dict[str, float]:
        """Begin, wait, and give what came out."""
        return self.outcome(self.begin(name, module, *words, env=env))

    def end(self, *names: str) -> None:
        """End the children of these names, all without names."""
        ending = [child for child in self.children if not names or child.name in names]
        terminate(*ending)
        self.children = [child for child in self.children if child not in ending]

    def _ready(self, child: Child, port: int, path: str) -> str:
        self.children.append(child)
        child.wait_ready(f"http://127.0.0.1:{port}{path}", timeout_s=120)
        return f"http://127.0.0.1:{port}"

    def _logs(self) -> Path:
        return self.home / "logs"


@contextmanager
def standing(home: Path) -> Iterator[Ground]:
    """Started servers with a migrated template; everything is ended afterwards."""
    with postgres.serving(home) as database, kafka.serving(home) as broker:
        with ThreadPoolExecutor(1) as pool:  # alembic runs event loops of its own
            pool.submit(asyncio.run, migrate.provision(database.url)).result()
            for service in migrate.SERVICES:
                pool.submit(migrate.upgrade, service, database.url).result()
        ground = Ground(home, database.url, broker.bootstrap)
        ground.servers = {"postgres": database.pid, "kafka": broker.pid}
        ground.versions["postgres"] = str(ask(database.url, "SHOW server_version"))
        jars = sorted(kafka.LIBS.glob("kafka-clients-*.jar"))
        ground.versions["kafka"] = jars[-1].stem.rpartition("-")[2] if jars else "unknown"
        try:
            yield ground
        finally:
            ground.end()


async def on(url: str, work: Callable[[Any], Awaitable[T]]) -> T:
    """Work on a connection of its own."""
    conn = await asyncpg.connect(url)
    try:
        return await work(conn)
    finally:
        await conn.close()


def used(*pids: int) -> float:
    """Milliseconds of processor time that these processes and all below them have used, those that ended included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            words = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
            own, parent = int(stat.parent.name), int(words[1])
            if own in pids:
                ticks += sum(map(int, words[11:15]))  # its own and those of children it has waited for
            elif parent in pids:
                ticks += sum(map(int, words[11:13]))
    return ticks * 1000 / os.sysconf("SC_CLK_TCK")


def run(work: Awaitable[T]) -> T:
    """Run to the end on an event loop of its own."""

    async def whole() -> T:
        return await work

    return uvloop.run(whole())


def administer(url: str, *statements: str) -> None:
    """Run statements, each for itself."""

    async def work(conn: Any) -> None:
        for statement in statements:
            await conn.execute(statement, timeout=WORK_SECONDS_MAX)

    run(on(url, work))


def ask(url: str, query: str) -> Any:
    """The one value that a query gives."""
    return run(on(url, lambda conn: conn.fetchval(query, timeout=WORK_SECONDS_MAX)))


def check(url: str, wanted: Mapping[str, int], *, slack: int = 0) -> None:
    """Raise Wrong unless each query (a `SELECT count(*)` without its first words) gives its number.

    `slack` more are let pass: requests that were under way when the load generator ended.
    """
    for where, number in wanted.items():
        found = ask(url, f"SELECT count(*) FROM {where}")
        if not number <= found <= number + slack:
            raise Wrong(f"{where}: {found} rows where {number} were to be")


async def until(true: Callable[[], Awaitable[bool]], what: str, *, seconds: float, pause: float = 0.01) -> None:
    """Wait until `true()`; raises Wrong with `what` after `seconds`."""
    late = time.monotonic() + seconds
    while not await true():
        if time.monotonic() > late:
            raise Wrong(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(pause)


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their ends."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task


def tell(found: Mapping[str, float]) -> None:
    """The last line of a process of ours: what it measured."""
    print(json.dumps(found), flush=True)
