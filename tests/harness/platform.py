"""The whole platform as `make demo` starts it, in a folder of its own; runs on it, and readers made anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.demo.journal import Entry, read_journal
from deploy.demo.lives import Life
from deploy.demo.opening import next_monday, open_branch
from deploy.demo.opening import pay_out as pay_out_loans
from deploy.local import demo, stack
from deploy.local.process import terminate
from libs.events.catalogue import TOPICS
from libs.runtime import migrate
from libs.runtime.database import open_engine
from libs.runtime.dump import canonical_dump
from services.console import store as console_store
from services.incentive import store as incentive_store
from tests.harness.private import Searched

METADATA: dict[str, MetaData] = {"incentive": incentive_store.metadata, "console": console_store.metadata}
REBUILD_SECONDS = 120
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Run:
    """What went in and what came out: the journal as it lies in Kafka, and what every service applied."""

    lives: tuple[Life, ...]
    outcome: demo.Outcome
    journal: tuple[Entry, ...]

    @property
    def stories(self) -> dict[str, list[Entry]]:
        """The events of each loan by its external reference."""
        refs = {entry.key: entry.body["external_ref"] for entry in self.journal if entry.type == "referral.received.v1"}
        found: dict[str, list[Entry]] = {ref: [] for ref in refs.values()}
        for entry in self.journal:
            if entry.key in refs:
                found[refs[entry.key]].append(entry)
        return found


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What one service knows: its rows as they are, the same without ids, and what it would publish."""

    rows: dict[str, list[str]]
    canonical: dict[str, list[str]]
    outbox: list[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class AtWork:
    """The branch after its run and its rebuilt readers, still running and with new loans on its books."""

    platform: stack.Stack
    run: Run
    rebuilt: dict[str, Rebuilt]
    searched: Searched

    @property
    def home(self) -> Path:
        """The folder with the platform's addresses, as `var` is for `silverbear up`."""
        return self.platform.issuer.jwks_path.parents[1]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A reader before and after it was made anew."""

    before: Knowledge
    after: Knowledge


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine from anywhere, also where an event loop runs already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@contextmanager
def playing(profile: str, home: Path, extra: Mapping[str, Mapping[str, str]] | None = None) -> Iterator[stack.Stack]:
    """A fresh platform below `home`."""
    with stack.running(profile=profile, home=home, extra=extra) as platform:
        yield platform


def play(platform: stack.Stack, portfolio: demo.Portfolio) -> Run:
    """Send the portfolio through the platform, as `make demo` does."""
    outcome = wait(demo.play(platform, portfolio, show=lambda _: None))
    topics = [platform.topic_prefix + topic for topic in TOPICS]
    return Run(portfolio.lives, outcome, tuple(wait(read_journal(platform.bootstrap, topics))))


def pay_out(platform: stack.Stack, loans: int) -> None:
    """Open a later Monday than any yet and pay out new loans of the branch, so that people can act on them."""

    async def work() -> None:
        async with demo.driving(platform) as (client, scheduler):
            monday = next_monday((await client.get("console", "/v1/ops/status"))["open_date"])
            await open_branch(client, scheduler, platform.profile, monday)
            await pay_out_loans(client, scheduler, loans, monday, platform.stand_ins["partner"])
            await scheduler.settle()

    wait(work())


def rebuild(platform: stack.Stack, service: str) -> Rebuilt:
    """Stop a reader, empty its schema, and let it read everything again with relay and calls off."""
    url, name = platform.urls[service][0], f"{service}-1"
    token = platform.issuer.token("driver", "operator")
    reached = _positions(url, token)
    before = wait(_knowledge(platform, service))
    terminate(platform.children.pop(name))
    wait(_empty(platform.admin_url, service))
    migrating = ThreadPoolExecutor(1)  # alembic runs an event loop of its own
    migrating.submit(migrate.upgrade, service, platform.admin_url).result()
    migrating.shutdown()
    logs = Path(platform.issuer.jwks_path).parents[1] / "logs"
    off = {"RELAY": "false", "CALLS": "false"}
    child = platform.start(name, f"services.{service}.main:app", int(url.rpartition(":")[2]), logs, off)
    child.wait_ready(f"{url}/health/ready", timeout_s=REBUILD_SECONDS)
    deadline = time.monotonic() + REBUILD_SECONDS
    while _positions(url, token) != reached:
        child.check_running()
        assert time.monotonic() < deadline, f"{service} read {_positions(url, token)} of {reached}"
        time.sleep(0.1)
    return Rebuilt(before, wait(_knowledge(platform, service)))


def _positions(url: str, token: str) -> dict[str, dict[str, int]]:
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(trust_env=False, headers=headers) as http:
        found: dict[str, dict[str, int]] = http.get(f"{url}/v1/ops/status").json()["positions"]
        return found


async def _empty(admin_url: str, service: str) -> None:
    engine = create_async_engine(
        admin_url.replace("postgresql://", "postgresql+asyncpg://", 1), isolation_level="AUTOCOMMIT"
    )
    async with engine.connect() as conn:
        await conn.exec_driver_sql(f"DROP SCHEMA {service} CASCADE")
    await engine.dispose()
    await migrate.provision(admin_url, (service,))


async def _knowledge(platform: stack.Stack, service: str) -> Knowledge:
    engine = open_engine(migrate.role_url(platform.admin_url, service), schema=service, pool_size=2)
    metadata = METADATA[service]
    canonical = await canonical_dump(engine, metadata)
    rows: dict[str, list[str]] = {}
    async with engine.connect() as conn:
        for table in canonical:
            # A trace is of the run in which it was made.
            found = await conn.exec_driver_sql(f"SELECT (to_jsonb(t) - 'traceparent')::text FROM {table} t")
            rows[table] = sorted(text for (text,) in found)
        events = await conn.exec_driver_sql("SELECT event_id, key, headers ->> 'ce_sequence' FROM outbox")
        outbox = sorted((event_id, key, int(sequence)) for event_id, key, sequence in events)
    await engine.dispose()
    return Knowledge(rows, canonical, outbox)
