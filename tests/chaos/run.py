"""`make chaos`: lives under fire, then the audit. Exit code 1 unless every count is zero and every fault was played.

Environment: LIVES (2000), SEED (1), BROKERS (3), EACH (how often every fault strikes: 5), FAULTS (names, separated by
commas; all), PLANT (a planted bug, without faults unless FAULTS names some), REPORT (a file to write the result to),
SCENARIO (one of tests/chaos/scenarios.py instead of lives, SECONDS long), KEEP (1 keeps data and logs).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvloop

from deploy.demo import generator
from deploy.demo.lives import Life
from deploy.demo.replay import Progress
from deploy.local.stack import create_topics
from tests.chaos import report, schedule
from tests.chaos.auditor import Evidence, Rows, audit
from tests.chaos.auditor_evidence import gather, place_witness
from tests.chaos.cluster import Platform, Servers, servers
from tests.chaos.driver import Driven, Driver
from tests.chaos.faults import FAULTS, Conductor
from tests.chaos.plants import PLANTS
from tests.chaos.scenarios import SCENARIOS, play
from tests.chaos.schedule import Pace, Struck
from tests.chaos.watch import Watch

LIVES_DEFAULT = 2000
LIVES_PLANTED = 20
EACH_DEFAULT = 5
SHOWN_MAX = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run."""

    lives: int = LIVES_DEFAULT
    seed: int = 1
    brokers: int = 3
    each: int = EACH_DEFAULT
    faults: tuple[str, ...] = tuple(FAULTS)
    plant: str = ""
    session_ms: int = 10_000
    """After how long the brokers give a silent replica's partitions to others; most of a recovery is this wait."""

    @property
    def compared(self) -> bool:
        """Whether the same lives run without faults first; most planted bugs show without a comparison."""
        return not self.plant or "dump_differences" in PLANTS[self.plant].caught_by


def read_plan(environment: Mapping[str, str]) -> Plan:
    """The plan in the environment; a name nobody knows ends the program."""
    plant, wanted = environment.get("PLANT", ""), environment.get("FAULTS")
    if plant and plant not in PLANTS:
        raise SystemExit(f"no plant {plant}; there are {', '.join(PLANTS)}")
    faults = tuple(FAULTS) if wanted is None and not plant else tuple(filter(None, (wanted or "").split(",")))
    if unknown := set(faults) - FAULTS.keys():
        raise SystemExit(f"no fault {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    return Plan(
        lives=int(environment.get("LIVES") or (LIVES_PLANTED if plant else LIVES_DEFAULT)),
        seed=int(environment.get("SEED") or 1),
        brokers=int(environment.get("BROKERS") or (1 if plant else 3)),
        each=int(environment.get("EACH") or EACH_DEFAULT),
        faults=faults,
        plant=plant,
    )


def run(plan: Plan, home: Path, command: str = "make chaos") -> report.Result:
    """Servers, a run without faults, the same lives under fire, the audit."""
    lives = tuple(generator.generate(plan.lives, plan.seed))
    with servers(home, brokers=plan.brokers) as ground:
        say(f"{plan.brokers} broker(s) and PostgreSQL are up")
        reference, calm = None, Driven(0, Progress(0))
        if plan.compared:
            reference, calm, *_ = _run(ground, plan, lives, name="calm", faults=[], replicas=1, plant="")
        order = schedule.drawn(plan.faults, plan.each, plan.seed)
        evidence, driven, struck, failures = _run(
            ground, plan, lives, name="fire", faults=order, replicas=2, plant=plan.plant, work=len(calm.journal)
        )
    evidence.reference = reference
    failures += [f"the run without faults stopped: {calm.failure}"] if calm.failure else []
    played = Counter(each.fault for each in struck)
    return report.Result(
        command=command,
        seed=plan.seed,
        lives=plan.lives,
        ended=driven.progress.done,
        brokers=plan.brokers,
        replicas=2,
        acknowledged=len(evidence.answered()),
        events=len(evidence.once()),
        seconds=driven.seconds,
        reference_seconds=calm.seconds,
        struck=struck,
        missing=[
            f"{name}: played {played[name]} of {plan.each} times" for name in plan.faults if played[name] < plan.each
        ],
        findings=audit(evidence),
        failures=failures,
    )


def _run(
    ground: Servers,
    plan: Plan,
    lives: tuple[Life, ...],
    *,
    name: str,
    faults: list[str],
    replicas: int,
    plant: str,
    work: int = 0,
) -> tuple[Evidence, Driven, list[Struck], list[str]]:
    """One platform from its start to its end, and the evidence it leaves."""
    admin_url = asyncio.run(ground.copy(name))
    prefix = f"{name}."
    asyncio.run(place_witness(admin_url))
    asyncio.run(create_topics(ground.brokers.bootstrap, prefix))
    extra = {"PLANT": plant, "SESSION_TIMEOUT_MS": str(plan.session_ms)}
    platform = Platform(ground, admin_url, prefix, replicas=replicas, extra=extra)
    try:
        platform.start()
        pace = Pace(wanted=len(faults), work=work)
        driver = Driver(platform, lives, plan.seed, pace)
        conductor = Conductor(platform, plan.seed)
        say(f"{name}: {len(platform.children)} replicas are up, {len(lives)} lives begin")
        driver.start()
        struck = uvloop.run(_conduct(conductor, driver, faults, pace))
        driven = driver.wait()
        say(f"{name}: {driven.progress.done} lives ended after {driven.seconds:.0f} s {driven.failure}")
        failures = [f"the driver stopped: {driven.failure}"] if driven.failure else []
        failures += [f"{child.name} ended by itself" for child in platform.children.values() if not child.running]
        payments = _payments(platform)
    finally:
        platform.stop()
    evidence = asyncio.run(
        gather(
            admin_url,
            ground.brokers.bootstrap,
            prefix,
            commands=driven.journal,
            payments=payments,
            poison=conductor.poison,
        )
    )
    return evidence, driven, struck, failures


async def _conduct(conductor: Conductor, driver: Driver, order: list[str], pace: Pace) -> list[Struck]:
    watch = Watch(conductor.platform.stack.admin_url, await conductor.platform.readers())
    playing = asyncio.create_task(
        schedule.play(conductor, watch, order, going=lambda: driver.running, say=say, pace=pace)
    )
    last = time.monotonic()
    while driver.running or not playing.done():
        await asyncio.sleep(0.2)
        if time.monotonic() - last > 10:
            last, progress = time.monotonic(), driver.driven.progress
            say(f"{progress.done}/{progress.lives} lives ended, business date {progress.day}")
        if playing.done() and playing.exception() is not None:
            break
    return await playing


def _payments(platform: Platform) -> Rows:
    orders: list[dict[str, Any]] = httpx.get(
        f"{platform.stack.stand_ins['core_bank']}/orders", trust_env=False, timeout=30
    ).json()
    return orders


_BEGUN = time.monotonic()


def say(text: str) -> None:
    """One line of progress."""
    print(f"[{time.monotonic() - _BEGUN:6.1f} s] {text}", file=sys.stderr, flush=True)


def _scenario(name: str) -> int:
    if name not in SCENARIOS:
        raise SystemExit(f"no scenario {name}; there are {', '.join(SCENARIOS)}")
    with _home() as home:
        shown = play(name, home)
    print("\n".join(shown.seen))
    for line in shown.wrong:
        print(f"WRONG {line}")
    if path := os.environ.get("REPORT"):
        page = report.situation(name, _words("SCENARIO", "SECONDS"), shown.seen, shown.wrong)
        Path(path).write_text(page, encoding="utf-8")
    print("NOT SOUND" if shown.wrong else "sound")
    return 1 if shown.wrong else 0


def _words(*names: str) -> str:
    """The command that would run this again."""
    return " ".join(["make chaos", *(f"{name}={os.environ[name]}" for name in names if name in os.environ)])


@contextmanager
def _home() -> Iterator[Path]:
    """A folder for data and logs; KEEP=1 keeps it."""
    home = Path(tempfile.mkdtemp(prefix="silverbear-chaos-"))
    home.chmod(0o755)
    try:
        yield home
    finally:
        if os.environ.get("KEEP"):
            say(f"logs are in {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)


def main() -> int:
    """The command line."""
    if name := os.environ.get("SCENARIO"):
        return _scenario(name)
    plan = read_plan(os.environ)
    with _home() as home:
        result = run(plan, home, _words("LIVES", "SEED", "EACH", "FAULTS", "BROKERS"))
    print("\n".join([*report.table(result.struck), "", *report.counts(result.findings), ""]))
    for name, found in result.findings.items():
        for line in found[:SHOWN_MAX]:
            print(f"{name}: {line}")
    for line in (*result.failures, *result.missing):
        print(line)
    if plan.plant:
        caught = [name for name in PLANTS[plan.plant].caught_by if result.findings[name]]
        print(f"planted {plan.plant}: {'caught by ' + ', '.join(caught) if caught else 'NOT CAUGHT'}")
    if path := os.environ.get("REPORT"):
        Path(path).write_text(report.render(result), encoding="utf-8")
    print("sound" if result.sound else "NOT SOUND")
    return 0 if result.sound else 1


if __name__ == "__main__":
    raise SystemExit(main())
