"""`make demo`: starts the whole platform, sends a portfolio of loans through their lives, and shows the branch report.

Without LOANS a generated Chinese branch; with LOANS=path the public SBA loan format. LIMIT, SEED, REPLICAS and BROKER
(auto, kafka or embedded) as environment variables; `--once` ends after the report.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import uvloop
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.demo import generator, sample, sba, sba_life
from deploy.demo.branch import Branch
from deploy.demo.client import Client
from deploy.demo.journal import Entry, JournalTorn, read_journal
from deploy.demo.lives import Life
from deploy.demo.partners_say import partners_say
from deploy.demo.replay import Progress, Replay, progress_bar
from deploy.demo.report import Findings, accounts, reconcile, render
from deploy.local import broker, stack
from deploy.local.process import ChildFailed
from libs.events.catalogue import TOPICS
from libs.runtime import migrate
from libs.runtime.auth import HEAD_OFFICE
from libs.runtime.database import open_engine
from libs.runtime.outward import Direct
from libs.runtime.policies import PolicyBook, read_profile
from libs.runtime.scheduler import Scheduler
from libs.runtime.settings import Settings
from libs.runtime.wiring import Parts

LIMIT_DEFAULT = 120


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What goes in: the lives, how they were chosen, and what of the file was rejected."""

    lives: tuple[Life, ...]
    profile: str
    told: str
    rejected: dict[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out: the report, what does not reconcile, and how long the job took."""

    report: str
    findings: Findings
    published: dict[str, int]
    applied: dict[str, dict[str, int]]
    seconds: float


def read_portfolio(path: str, limit: int, seed: int) -> Portfolio:
    """The lives to replay: a stratified sample of the file at `path`, or a generated branch without one."""
    if not path:
        lives = tuple(generator.generate(limit, seed))
        return Portfolio(lives, "cn-branch", f"{limit} generated loans of a Chinese branch, seed {seed}", {})
    drawn = sample.stratified(sba.read(Path(path)), limit, seed)
    lives = tuple(sba_life.life(record, seed) for record in drawn.records)
    rejected = dict(drawn.rejected)
    told = f"{len(lives)} of {drawn.accepted} loans of {path}, stratified by outcome and approval year, seed {seed}"
    return Portfolio(lives, "us-sba", told, rejected)


async def play(
    platform: stack.Stack, portfolio: Portfolio, show: Callable[[Progress], None] | None = None, *, seed: int = 1
) -> Outcome:
    """Run the main job on a running stack and reconcile what came out of it."""
    started = time.monotonic()
    lives = portfolio.lives
    handled = (await _readers(platform))[1]
    async with driving(platform) as (client, scheduler):
        branch = Branch(portfolio.profile, min(life.applied_on for life in lives), platform.sandboxes)
        moves = generator.indices(lives, seed)
        display = show or progress_bar(started)
        await Replay(lives, moves, branch, client, scheduler, platform.stand_ins["partner"], display).run()
        seconds = time.monotonic() - started
    entries = await read_journal(platform.bootstrap, [platform.topic_prefix + topic for topic in TOPICS])
    return await _outcome(platform, lives, entries, handled, seconds)


@asynccontextmanager
async def driving(platform: stack.Stack) -> AsyncIterator[tuple[Client, Scheduler]]:
    """Whoever acts as the people around the platform, and the clock that opens its business days."""
    client = Client(platform.urls, platform.issuer)
    observer = open_engine(migrate.role_url(platform.admin_url, migrate.OBSERVER), schema="clock", pool_size=4)
    parts = clock_parts(platform)
    try:
        async with Scheduler(parts, observer, (await _readers(platform))[0]) as scheduler:
            yield client, scheduler
    finally:
        await client.close()
        await _dispose(observer, parts.engine)


async def _outcome(
    platform: stack.Stack, lives: tuple[Life, ...], entries: list[Entry], handled: dict[str, list[str]], seconds: float
) -> Outcome:
    published = dict(Counter(entry.type for entry in entries))
    applied = await _applied(platform, handled)
    found = accounts(entries, lives[0].amount.currency)
    findings = reconcile(lives, found, published, applied)
    told, amiss = await partners_say(platform.sandboxes, entries)
    findings = replace(findings, problems=(*findings.problems, *amiss))
    report = "\n".join([render(lives, found, published, findings), *told])
    return Outcome(report, findings, published, applied, seconds)


async def _dispose(*engines: AsyncEngine) -> None:
    for engine in engines:
        await engine.dispose()


def _operator(platform: stack.Stack) -> httpx.AsyncClient:
    """A client with an operator's token."""
    token = platform.issuer.token("driver", "operator", level=HEAD_OFFICE)
    return httpx.AsyncClient(trust_env=False, transport=Direct(), headers={"authorization": f"Bearer {token}"})


async def _readers(platform: stack.Stack) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Who reads which topics, and which event types each handles, as the services themselves say."""
    reads: dict[str, list[str]] = {}
    handles: dict[str, list[str]] = {}
    async with _operator(platform) as http:
        for name, urls in platform.urls.items():
            status = (await http.get(f"{urls[0]}/v1/ops/status")).json()
            reads[name], handles[name] = status["reads"], status["handles"]
    return reads, handles


async def _applied(platform: stack.Stack, handled: dict[str, list[str]]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    async with _operator(platform) as http:
        for name, urls in platform.urls.items():
            seen = (await http.get(f"{urls[0]}/v1/ops/applied")).json()
            counts[name] = {kind: seen.get(kind, 0) for kind in handled[name] if not kind.startswith("day.")}
    return counts


def clock_parts(platform: stack.Stack) -> Parts:
    """The scheduler's own parts: the schema `clock` and a relay, no reader."""
    settings = Settings.model_validate(
        {
            "database_url": migrate.role_url(platform.admin_url, "clock"),
            "kafka_bootstrap": platform.bootstrap,
            "profile": platform.profile,
            "topic_prefix": platform.topic_prefix,
            "jwks_path": platform.issuer.jwks_path,
        }
    )
    engine = open_engine(settings.database_url, schema="clock", pool_size=6)
    policies = PolicyBook(read_profile(settings.profile))
    return Parts(
        name="clock",
        settings=settings,
        engine=engine,
        policies=policies,
        reads=(),
        reactions={},
        timers={},
        partners={},
    )


def show_at_work(portfolio: Portfolio, kind: broker.Kind, *, seed: int, replicas: int, once: bool) -> int:
    """The whole platform for one portfolio, its report, and the platform staying up unless `once`; an exit code."""
    print(f"Input: {portfolio.told}")
    if portfolio.rejected:
        print(f"Rejected rows of the file: {sum(portfolio.rejected.values())} ({portfolio.rejected})")
    with staying(portfolio.profile, kind, replicas) as platform:
        outcome = uvloop.run(play(platform, portfolio, seed=seed))
        _show(outcome, len(portfolio.lives))
        show_addresses(platform)
        if not once:
            stay()
        return 1 if outcome.findings.problems else 0


def broker_for(*, replicas: int, loans: int) -> broker.Kind:
    """The kind of broker to start, by BROKER and what this machine has; ChildFailed when it cannot carry that much."""
    kind = broker.chosen(os.environ.get("BROKER") or broker.AUTO)
    broker.check_within(kind, replicas=replicas, loans=loans)
    return kind


@contextmanager
def staying(profile: str, kind: broker.Kind, replicas: int) -> Iterator[stack.Stack]:
    """A running platform until the end of the block or Ctrl-C; raises ChildFailed when it cannot be had."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    begun = time.monotonic()
    with stack.running(profile=profile, replicas=replicas, broker=kind) as platform:
        print(f"Stack of {len(platform.children)} processes is up after {time.monotonic() - begun:.0f} s", flush=True)
        yield platform


def stay() -> None:
    """Wait for Ctrl-C."""
    print("\nThe platform stays up; Ctrl-C ends it.", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("\nEnding.")


def _show(outcome: Outcome, lives: int) -> None:
    print(outcome.report)
    events = sum(outcome.published.values())
    print(f"{outcome.seconds:.1f} s, {lives / outcome.seconds:.1f} lives/s, {events / outcome.seconds:.0f} events/s")
    print(f"peak memory of this driver {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def show_addresses(platform: stack.Stack) -> None:
    """Where to look, and a token to look with."""
    print("\nLook at:")
    print(f"  operators' console   {platform.urls['console'][0]}/")
    print(f"  sign in there with   {platform.issuer.token('operator', 'operator', level=HEAD_OFFICE)}")
    for name, urls in platform.urls.items():
        print(f"  {name:<20} {urls[0]}/docs")
    print(f"  Kafka                {platform.bootstrap}, topics {platform.topic_prefix}{{{', '.join(TOPICS)}}}")
    print("  for a shell          . var/platform.env")


def main(arguments: list[str]) -> int:
    """The command line of `make demo`."""
    options = argparse.ArgumentParser(prog="make demo", description=__doc__)
    options.add_argument("--once", action="store_true", help="end after the report")
    once: bool = options.parse_args(arguments).once
    limit, seed = int(os.environ.get("LIMIT") or LIMIT_DEFAULT), int(os.environ.get("SEED") or 1)
    replicas = int(os.environ.get("REPLICAS") or 1)
    try:
        kind = broker_for(replicas=replicas, loans=limit)
    except ChildFailed as refused:
        print(refused, file=sys.stderr)
        return 1
    portfolio = read_portfolio(os.environ.get("LOANS", ""), limit, seed)
    try:
        return show_at_work(portfolio, kind, seed=seed, replicas=replicas, once=once)
    except KeyboardInterrupt:
        print("\nEnding.")
        return 0
    except (ChildFailed, JournalTorn) as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
