"""The page of a run: the machine, the versions, every ratio with its spread, and the command that gives it."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench import capacity
from tests.bench.figures import PAIRS_MIN, Measured, middle_and_ends, shown, verdict

PACKAGES = ("aiokafka", "asyncpg", "fastapi", "pydantic", "sqlalchemy", "uvicorn", "uvloop", "httptools")


def machine() -> list[str]:
    """Cores, memory and processor, as the kernel tells them."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    speed = next((line.partition(":")[2].strip() for line in lines if line.startswith("bogomips")), "unknown")
    return [
        f"{os.cpu_count()} cores, {memory:.0f} GiB of memory",
        f"processor {models[0] if models else platform.processor() or 'unknown'} (bogomips {speed}),"
        f" {platform.system()} {platform.release()}",
    ]


def versions(postgres: str, kafka: str) -> list[str]:
    """What ran."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [f"Python {platform.python_version()}, PostgreSQL {postgres}, Apache Kafka {kafka}", packages]


def targets(comparison_solid: float | None, comparison_reach: float | None, *, at_most: bool) -> str:
    """`≥ 0.7 · 0.95`, or a dash."""
    known = [shown(bound) for bound in (comparison_solid, comparison_reach) if bound is not None]
    return f"{'≤' if at_most else '≥'} {' · '.join(known)}" if known else "–"


def table(measured: Sequence[Measured]) -> list[str]:
    """One line per comparison."""
    lines = ["| id | what | ours | baseline | ratio: median (least–most) | target: solid · reach | reached |"]
    lines.append("|---|---|---:|---:|---:|---:|---|")
    for one in measured:
        for comparison in one.bench.comparisons:
            ratios = one.ratios(comparison)
            ours = middle_and_ends(one.figures[comparison.ours])
            base = middle_and_ends(one.figures[comparison.baseline])
            wanted = targets(comparison.solid, comparison.reach, at_most=comparison.at_most)
            lines.append(
                f"| {one.bench.id} | {comparison.what} | {ours} {comparison.unit} | {base} {comparison.unit} |"
                f" **{middle_and_ends(ratios)}** | {wanted} | {verdict(comparison, statistics.median(ratios))} |"
            )
    return lines


def render(measured: Sequence[Measured], *, command: str, pairs: int, seconds: float, postgres: str, kafka: str) -> str:
    """The page docs/performance.md, from this run alone."""
    few = "" if pairs >= PAIRS_MIN else f" **Fewer than {PAIRS_MIN} pairs: an outline, not a result.**"
    lines = [
        "# How fast it is",
        "",
        "This page is written by the run that it tells of, and by nothing else:",
        "",
        "```",
        command,
        "```",
        "",
        "Every figure is a ratio against a baseline that ran in the same minutes on the same machine, in turn: what the"
        " machine was doing besides falls on both. Read the ratios; what stands beside them in units is this machine's."
        f" {pairs} pairs each, {seconds / 60:.0f} minutes in all, {datetime.now(UTC).date().isoformat()}.{few}",
        "",
        *(f"- {line}" for line in [*machine(), *versions(postgres, kafka)]),
        "- load generator, services, PostgreSQL (fsync on) and Kafka share these cores, all on loopback",
        "",
        "What was found by profiling, and what was changed for it: [profiling.md](profiling.md). What the figures mean"
        " for a bank: [scale.md](scale.md).",
        "",
        *table(measured),
    ]
    for one in measured:
        lines += ["", f"## {one.bench.id}: {one.bench.title}", "", one.bench.told, ""]
        lines += [f"- {name}: {told}" for name, told in one.facts.items()]
        alone = f"make bench BENCH={one.bench.id} SIZE={one.size} PAIRS={pairs}"
        lines += [f"- size: {one.size:,} {one.bench.size_is}; took {one.seconds:.0f} s; alone: `{alone}`"]
        others = {name for c in one.bench.comparisons for name in (c.ours, c.baseline)}
        for name in sorted(one.figures.keys() - others):
            lines.append(f"- {name}: {middle_and_ends(one.figures[name])}")
    return "\n".join([*lines, *capacity.section(measured)]) + "\n"
