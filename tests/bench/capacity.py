"""What the measured cost of a life means for a bank: cores and events in its busiest hour, from a run's figures."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.figures import Measured, shown

WORKING_SECONDS_A_YEAR = 250 * 8 * 3600
PEAK = 5
"""The busiest hour over the average one: month's end, with all instalments due."""
SPARE = 2
"""Cores at hand for each one busy in that hour: a node may fail, and nobody waits in a queue."""
PARTS = ("services", "postgres", "kafka")


@dataclass(frozen=True, slots=True)
class Bank:
    """An assumption, to be replaced by a bank's own number."""

    name: str
    lives_a_year: int


BANKS = (Bank("a province bank", 200_000), Bank("a national bank", 5_000_000))


def cores(ms_a_life: float, lives_a_year: int) -> float:
    """Cores busy in the busiest hour."""
    return lives_a_year * ms_a_life / 1000 / WORKING_SECONDS_A_YEAR * PEAK


def section(measured: Sequence[Measured]) -> list[str]:
    """The lines of the page; none when whole lives were not measured."""
    figures: Mapping[str, list[float]] = next((one.figures for one in measured if one.bench.id == "P5"), {})
    lives = next((one.size for one in measured if one.bench.id == "P5"), 0)
    if not lives:
        return []
    cost = {part: statistics.median(figures[f"one.{part}_cpu_ms_a_life"]) for part in PARTS}
    events = statistics.median(figures["one.events"]) / lives
    lines = ["", "## What a bank needs", ""]
    lines.append(
        f"From P5, one process of each service: a life costs {shown(cost['services'])} ms of a core in the services,"
        f" {shown(cost['postgres'])} ms in PostgreSQL and {shown(cost['kafka'])} ms in Kafka, and tells {shown(events)}"
        f" events. The numbers of lives are assumptions; the busiest hour has {PEAK} times the work of an average one"
        f" ({WORKING_SECONDS_A_YEAR:,} working seconds a year), and {SPARE} cores stand by for each one busy then."
    )
    lines += ["", "| | lives a year | events/s, busiest hour | cores: services | PostgreSQL | Kafka |"]
    lines.append("|---|---:|---:|---:|---:|---:|")
    for bank in BANKS:
        rate = cores(1000 * events, bank.lives_a_year)
        wanted = " | ".join(shown(SPARE * cores(cost[part], bank.lives_a_year)) for part in PARTS)
        lines.append(f"| {bank.name} | {bank.lives_a_year:,} | {shown(rate)} | {wanted} |")
    return lines
