"""The written result of a run: what was done to the platform, how it recovered, and what the auditor counted."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.chaos.auditor import COUNTS
from tests.chaos.faults import FAULTS
from tests.chaos.schedule import Struck


@dataclass(slots=True, kw_only=True)
class Result:
    """Everything a run showed."""

    command: str
    seed: int
    lives: int
    ended: int
    brokers: int
    replicas: int
    acknowledged: int
    events: int
    seconds: float
    reference_seconds: float
    struck: list[Struck]
    missing: list[str]
    findings: dict[str, list[str]]
    failures: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing was found, everything was played, and every fault was recovered from."""
        recovered = all(each.recovered is not None for each in self.struck)
        return recovered and not (self.failures or self.missing or any(self.findings.values()))


def table(struck: Sequence[Struck]) -> list[str]:
    """Faults, how often, how long the cause lasted, and the recovery: median and longest."""
    lines = ["| fault | what it is | times | cause gone after, median s | recovered after, median s | longest s |"]
    lines.append("|---|---|---:|---:|---:|---:|")
    for name, fault in FAULTS.items():
        mine = [each for each in struck if each.fault == name]
        if not mine:
            continue
        times = [each.recovered for each in mine if each.recovered is not None]
        median = f"{statistics.median(times):.1f}" if times else "never"
        longest = f"{max(times):.1f}" if len(times) == len(mine) else "never"
        lasted = statistics.median(each.lasted for each in mine)
        what = (fault.__doc__ or "").partition("\n")[0].strip().rstrip(".")
        lines.append(f"| {name} | {what} | {len(mine)} | {lasted:.1f} | {median} | {longest} |")
    return lines


def counts(findings: dict[str, list[str]]) -> list[str]:
    """What the auditor looked for, and how much of it was there."""
    lines = ["| count | what is counted | found |", "|---|---|---:|"]
    for name, found in findings.items():
        lines.append(f"| {name.replace('_', ' ')} | {(COUNTS[name].__doc__ or '').strip()} | {len(found)} |")
    return lines


def render(result: Result) -> str:
    """The page docs/reliability.md, from this run alone."""
    rate = result.ended / result.seconds if result.seconds else 0.0
    lines = [
        "# What the platform does when things break",
        "",
        "This page is written by the run that it tells of, and by nothing else:",
        "",
        "```",
        result.command,
        "```",
        "",
        f"{result.ended} of {result.lives} loan lives (seed {result.seed}) went from referral to their ends through"
        f" {result.brokers} broker(s), PostgreSQL and {result.replicas} replicas of every service, each a process of"
        f" its own, while {len(result.struck)} faults struck one after another:"
        f" {result.acknowledged} acknowledged commands, {result.events} events, {result.seconds:.0f} s"
        f" ({rate:.1f} lives a second). The same lives without faults took {result.reference_seconds:.0f} s with one"
        f" replica. {datetime.now(UTC).date().isoformat()}.",
        "",
        "## Faults and recoveries",
        "",
        "*Recovered* means: all that had been committed when the cause was gone is published, applied by every reader,"
        " and every call that was open then is answered. Times count from the moment the fault struck, so they contain"
        " the time for which its cause lasted. The next fault comes only after that.",
        "",
        *table(result.struck),
        "",
        "## What the auditor counted",
        "",
        "The auditor (`tests/chaos/auditor.py`) reads the databases and topics and knows nothing of the services' code."
        " Every count has a planted bug that it catches: `make chaos PLANT=name`.",
        "",
        *counts(result.findings),
        "",
    ]
    if not result.sound:
        lines += ["**This run failed.**", "", *[f"- {line}" for line in (*result.failures, *result.missing)], ""]
    return "\n".join(lines)


def situation(name: str, command: str, seen: Sequence[str], wrong: Sequence[str]) -> str:
    """A page of docs/situations, from one run of a scenario alone."""
    lines = [
        f"# {name.capitalize()}",
        "",
        "This page is written by the run that it tells of, and by nothing else:",
        "",
        "```",
        command,
        "```",
        "",
        f"One broker, PostgreSQL, two replicas of every service. {datetime.now(UTC).date().isoformat()}.",
        "",
        *[f"- {line}" for line in seen],
        "",
    ]
    if wrong:
        lines += ["**This run failed.**", "", *[f"- {line}" for line in wrong], ""]
    return "\n".join(lines)
