"""Situations that last: servers gone for a minute, a rolling restart, three times the load that can be carried.

`make chaos SCENARIO=outage|rolling|overload`. Each says what it saw and what was wrong; nothing may be.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import asyncpg

from deploy.local import demo
from deploy.local.stack import create_topics
from libs.runtime import migrate
from libs.runtime.database import open_engine
from libs.runtime.scheduler import Scheduler
from tests.chaos.auditor import COUNTS
from tests.chaos.auditor_evidence import gather, place_witness
from tests.chaos.cluster import Platform, servers
from tests.chaos.pump import Pump, bad, percentile, tally
from tests.chaos.watch import Watch

OUTAGE_SECONDS = 60.0
DISK_FULL_SECONDS = 10.0
LOAD_RATE = 10.0
SETTINGS = {"outage": {"OUTBOX_ROWS_MAX": "200"}}  # to be full within a minute without a broker
OVERLOAD_SECONDS = 600.0
MEASURE_SECONDS = 15.0
WARM_SECONDS = 20.0
LATENCY_SECONDS_MAX = 10.0
GROWTH_MAX = 0.25
ANSWER_SECONDS_MAX = 15.0
CROWDED = "overloaded"
OUTAGE_STATUSES = (503,)
SHED_STATUSES = (429, 503)
DAY = date(2026, 1, 5)
AUDITED = ("lost_commands", "effects_without_cause", "lost_events", "applied_twice", "sequence_faults", "left_over")

DISK_FULL_SQL = """
CREATE FUNCTION audit.full() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$;
CREATE CONSTRAINT TRIGGER full_at_commit AFTER INSERT ON application.outbox DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION audit.full();
"""
DISK_FREE_SQL = "DROP TRIGGER full_at_commit ON application.outbox; DROP FUNCTION audit.full();"


@dataclass(slots=True)
class Shown:
    """What a scenario saw, line by line, and what was wrong."""

    name: str
    seen: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def note(self, line: str, *, wrong: object = None) -> None:
        """A line of what was seen; `wrong`, when there is any, is what should not have been."""
        self.seen.append(line)
        if wrong:
            self.wrong.append(f"{line}: {wrong}")


class Stage:
    """A running platform with an open day, and an observer of it."""

    def __init__(self, platform: Platform, watch: Watch, shown: Shown) -> None:
        self.platform, self.watch, self.shown = platform, watch, shown
        self.journal: list[dict[str, object]] = []

    @staticmethod
    def seconds(usual: float) -> float:
        """How long a situation lasts: `usual`, unless SECONDS says otherwise for a quick look."""
        return float(os.environ.get("SECONDS") or usual)

    def pump(self, rate: float) -> Pump:
        """Referrals at a steady rate."""
        return Pump(self.platform, rate=rate)

    def drained(self, what: str) -> None:
        """Everything comes to rest without a restart."""
        took = asyncio.run(self.watch.recovered(time.monotonic()))
        self.shown.note(
            f"{what}: drained in {took:.1f} s" if took is not None else f"{what}: not drained",
            wrong="still in flight" if took is None else None,
        )
        dead = [child.name for child in self.platform.children.values() if not child.running]
        self.shown.note(f"{what}: every replica lives on", wrong=dead)


@contextmanager
def staged(home: Path, name: str) -> Iterator[Stage]:
    """One broker, two replicas of every service, a business day open."""
    with servers(home, brokers=1) as ground:
        admin_url = asyncio.run(ground.copy(name))
        asyncio.run(place_witness(admin_url))
        asyncio.run(create_topics(ground.brokers.bootstrap, f"{name}."))
        platform = Platform(ground, admin_url, f"{name}.", extra=SETTINGS.get(name))
        try:
            platform.start()
            readers = asyncio.run(platform.readers())
            asyncio.run(_open_day(platform, readers))
            yield Stage(platform, Watch(admin_url, readers), Shown(name))
        finally:
            platform.stop()


async def _open_day(platform: Platform, readers: dict[str, list[str]]) -> None:
    observer = open_engine(migrate.role_url(platform.stack.admin_url, migrate.OBSERVER), schema="clock", pool_size=2)
    parts = demo.clock_parts(platform.stack)
    try:
        async with Scheduler(parts, observer, readers) as scheduler:
            await scheduler.open_day(DAY)
            await scheduler.settle()
    finally:
        await observer.dispose()
        await parts.engine.dispose()


def outage(stage: Stage) -> None:
    """Database, brokers and disk are gone for a while: commands are refused or kept, and everything drains after."""
    ground = stage.platform.ground
    with stage.pump(LOAD_RATE) as pump:
        time.sleep(2)
        ground.database.kill()
        began = time.monotonic()
        time.sleep(stage.seconds(OUTAGE_SECONDS))
        over = time.monotonic()
        ground.database.start()
    _refusals(stage, pump, (began, over), "no database", code="unavailable")
    with stage.pump(LOAD_RATE) as pump:
        time.sleep(2)
        ground.brokers.stop()
        began = time.monotonic()
        time.sleep(stage.seconds(OUTAGE_SECONDS))
        over = time.monotonic()
        ground.brokers.start()
    _refusals(stage, pump, (began, over), "no broker", code="outbox_full")
    kept = [each for each in pump.answers if began < each.at < over and 0 < each.status < 400]
    stage.shown.note(
        f"no broker: {len(kept)} commands were accepted meanwhile", wrong=None if kept else "none was accepted"
    )
    with stage.pump(LOAD_RATE) as pump:
        time.sleep(2)
        asyncio.run(_execute(stage.platform.stack.admin_url, DISK_FULL_SQL))
        began = time.monotonic()
        time.sleep(DISK_FULL_SECONDS)
        over = time.monotonic()
        asyncio.run(_execute(stage.platform.stack.admin_url, DISK_FREE_SQL))
    _refusals(stage, pump, (began, over), "disk full", code="unavailable")


def _refusals(stage: Stage, pump: Pump, lasted: tuple[float, float], what: str, *, code: str) -> None:
    """What was answered while it lasted and until all had drained; who was refused while it lasted was told `code`.

    Or that too many were waiting already. Afterwards what piled up may fill the outbox for a moment.
    """
    began, over = lasted
    stage.journal += pump.journal
    during = [each for each in pump.answers if each.at > began]
    stage.shown.note(f"{what}: answers {tally(during)}", wrong=bad(during, allowed=OUTAGE_STATUSES))
    found = {each.code for each in during if each.status in OUTAGE_STATUSES and each.at < over}
    stage.shown.note(f"{what}: refused as {sorted(found)}", wrong=(found ^ {code}) - {CROWDED})
    slowest = max((each.seconds for each in during), default=0.0)
    stage.shown.note(
        f"{what}: slowest answer {slowest:.1f} s", wrong="too slow" if slowest > ANSWER_SECONDS_MAX else None
    )
    stage.shown.note(f"{what}: every command was acknowledged in the end", wrong=pump.uncured)
    stage.drained(what)


def rolling(stage: Stage) -> None:
    """Every replica is restarted in turn under load: a client sees nothing that a second try does not cure."""
    platform = stage.platform
    with stage.pump(LOAD_RATE) as pump:
        time.sleep(2)
        for place in list(platform.children):
            platform.end(*place)
            code = platform.children[place].process.returncode
            asyncio.run(platform.relaunch(*place))
            stage.shown.note(f"{platform.children[place].name} ended with {code}", wrong=None if code == 0 else code)
        time.sleep(2)
    stage.journal += pump.journal
    broken = bad([each for each in pump.answers if each.status], allowed=OUTAGE_STATUSES)
    stage.shown.note(f"rolling: answers {tally(pump.answers)}", wrong=broken)
    cut = [each for each in pump.answers if not each.status and not each.code.startswith("not taken")]
    stage.shown.note(f"rolling: {len(cut)} requests were cut off in the middle", wrong=tally(cut))
    stage.shown.note("rolling: every command was acknowledged in the end", wrong=pump.uncured)
    stage.drained("rolling")


def overload(stage: Stage) -> None:
    """Three times what can be carried: load is shed with a word about when to come back, and nothing grows."""
    with Pump(stage.platform, rate=0, workers=8) as pump:
        time.sleep(MEASURE_SECONDS)
    stage.journal += pump.journal
    carried = sum(0 < each.status < 400 for each in pump.answers) / MEASURE_SECONDS
    stage.shown.note(f"overload: {carried:.0f} commands a second are carried")
    stage.drained("overload, measured")
    with Pump(stage.platform, rate=3 * carried, repeat=False) as pump:
        time.sleep(WARM_SECONDS)
        before = _memory(stage.platform)
        time.sleep(stage.seconds(OVERLOAD_SECONDS))
        after = _memory(stage.platform)
    stage.journal += pump.journal
    stage.shown.note(f"overload: answers {tally(pump.answers)}", wrong=bad(pump.answers, allowed=SHED_STATUSES))
    p50, p99 = percentile(pump.answers, 0.5), percentile(pump.answers, 0.99)
    stage.shown.note(f"overload: p50 {p50:.2f} s, p99 {p99:.2f} s", wrong=p99 if p99 > LATENCY_SECONDS_MAX else None)
    grown = {
        name: f"{before[name]} to {size} MB" for name, size in after.items() if size > before[name] * (1 + GROWTH_MAX)
    }
    stage.shown.note(f"overload: memory in all {sum(before.values())} to {sum(after.values())} MB", wrong=grown)
    fallen = [
        child.name for child in stage.platform.children.values() if "consumer_interrupted" in child.log.read_text()
    ]
    stage.shown.note("overload: no reader fell out of its group", wrong=fallen)
    stage.drained("overload")


def _memory(platform: Platform) -> dict[str, int]:
    """Resident megabytes by process."""
    found = {}
    for child in platform.children.values():
        lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
        found[child.name] = next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))
    return found


async def _execute(admin_url: str, statements: str) -> None:
    conn = await asyncpg.connect(admin_url)
    try:
        await conn.execute(statements)
    finally:
        await conn.close()


SCENARIOS: dict[str, Callable[[Stage], None]] = {"outage": outage, "rolling": rolling, "overload": overload}


def play(name: str, home: Path) -> Shown:
    """Run one scenario and audit what it left."""
    with staged(home, name) as stage:
        SCENARIOS[name](stage)
        platform = stage.platform
        platform.stop()
        evidence = asyncio.run(
            gather(
                platform.stack.admin_url,
                platform.ground.brokers.bootstrap,
                platform.stack.topic_prefix,
                commands=stage.journal,
                payments=[],
            )
        )
    for count in AUDITED:
        found = COUNTS[count](evidence)
        stage.shown.note(f"audit: {count.replace('_', ' ')} {len(found)}", wrong=found[:3])
    return stage.shown
