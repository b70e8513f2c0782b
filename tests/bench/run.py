"""`make bench`: the figures of the platform, each against its baseline. Exit code 1 when a count is wrong.

Environment: BENCH (P1,P2,…,portfolio; all), PAIRS (5), SIZE (the work of a side, where one bench is named), REPORT (a
file to write the page to), KEEP (1 keeps data and logs).
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.process import ChildFailed
from tests.bench import growing, hopping, living, portfolio, reacting, registering, relaying, report
from tests.bench.figures import PAIRS_MIN, Bench, Measured, Wrong, order
from tests.bench.ground import Ground, standing

BENCHES: dict[str, Bench] = {
    bench.id: bench
    for bench in (
        registering.BENCH, relaying.BENCH, reacting.BENCH, hopping.BENCH, living.BENCH, growing.BENCH, portfolio.BENCH
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    benches: tuple[Bench, ...]
    pairs: int
    size: int | None


def read_plan(environment: Mapping[str, str]) -> Plan:
    """The plan in the environment; a name nobody knows ends the program."""
    wanted = [name for name in (environment.get("BENCH") or ",".join(BENCHES)).upper().split(",") if name]
    if unknown := set(wanted) - BENCHES.keys():
        raise SystemExit(f"no bench {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    size = environment.get("SIZE")
    if size and len(wanted) != 1:
        raise SystemExit("SIZE is the size of one bench: name it with BENCH")
    pairs = int(environment.get("PAIRS") or PAIRS_MIN)
    if pairs < 1 or (size and int(size) < 1):
        raise SystemExit("PAIRS and SIZE are at least 1")
    return Plan(tuple(BENCHES[name] for name in wanted), pairs, int(size) if size else None)


def measure(bench: Bench, ground: Ground, pairs: int, size: int | None) -> Measured:
    """All pairs of one bench."""
    begun = time.monotonic()
    ground.size = size or bench.size
    measured = Measured(bench, ground.size)
    try:
        with bench.prepared(ground, measured.facts) as sides:
            for pair in range(pairs):
                for name in order(list(sides), pair):
                    found = sides[name]()
                    measured.add(name, found)
                    say(f"{bench.id} {pair + 1}/{pairs} {name}: {', '.join(f'{k} {v:.4g}' for k, v in found.items())}")
    finally:
        ground.end()
    measured.seconds = time.monotonic() - begun
    return measured


_BEGUN = time.monotonic()


def say(text: str) -> None:
    """One line of progress."""
    print(f"[{time.monotonic() - _BEGUN:6.1f} s] {text}", file=sys.stderr, flush=True)


def main() -> int:
    """The command line."""
    plan = read_plan(os.environ)
    missing = registering.what_is_missing() if registering.BENCH in plan.benches else ""
    if missing:
        print(missing, file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is ended in order
    home = Path(tempfile.mkdtemp(prefix="silverbear-bench-"))
    home.chmod(0o755)
    try:
        with standing(home) as ground:
            say("PostgreSQL and Kafka are up")
            measured = [measure(bench, ground, plan.pairs, plan.size) for bench in plan.benches]
            versions = ground.versions
    except (Wrong, ChildFailed) as failure:
        print(f"NO FIGURE: {failure}", file=sys.stderr)
        return 1
    finally:
        if os.environ.get("KEEP"):
            say(f"data and logs are in {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)
    words = [f"{name}={os.environ[name]}" for name in ("BENCH", "PAIRS", "SIZE") if os.environ.get(name)]
    command = " ".join(["make bench", *words])
    page = report.render(measured, command=command, pairs=plan.pairs, seconds=time.monotonic() - _BEGUN, **versions)
    print("\n".join(report.table(measured)))
    if path := os.environ.get("REPORT"):
        Path(path).write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
