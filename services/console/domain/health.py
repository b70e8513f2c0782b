"""What a service's own account of itself means: how far behind it reads, and what an operator must look at.

Only facts are judged, never guesses: a service that does not answer is `unreachable`, not healthy and not dead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Offsets = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """One service as it described itself; `readiness` is `ready`, `not_ready` or `unreachable`."""

    name: str
    readiness: str
    open_date: str = ""
    paused: str = ""
    outbox_depth: int = 0
    outbox_parked: int = 0
    outbox_oldest_seconds: int = 0
    parked: int = 0
    waiting: int = 0
    calls_pending: int = 0
    calls_unknown: int = 0
    calls_failed: int = 0
    timers: int = 0
    next_due: str = ""
    reads: tuple[str, ...] = ()
    handles: tuple[str, ...] = ()
    positions: Offsets = field(default_factory=dict)
    published: Offsets = field(default_factory=dict)


def read_health(name: str, readiness: str, status: Mapping[str, Any]) -> Health:
    """A service's `/ops/status` as facts; KeyError, TypeError or ValueError when it is not one."""
    outbox, parked, calls, timers = (status[part] for part in ("outbox", "parked", "calls", "timers"))
    return Health(
        name=name,
        readiness=readiness,
        open_date=status["open_date"] or "",
        paused=status.get("paused") or "",
        outbox_depth=outbox["depth"],
        outbox_parked=outbox.get("parked", 0),
        outbox_oldest_seconds=int(outbox["oldest_seconds"] or 0),
        parked=parked["parked"],
        waiting=parked["waiting"],
        calls_pending=calls["pending"],
        calls_unknown=calls["unknown"],
        calls_failed=calls["failed"],
        timers=timers["count"],
        next_due=timers["next_due"] or "",
        reads=tuple(status["reads"]),
        handles=tuple(status["handles"]),
        positions=status["positions"],
        published=status["published"],
    )


def lag(reader: Health, services: Sequence[Health]) -> dict[str, int | None]:
    """Events published and not yet applied by `reader`, per topic it reads; None when the publisher did not answer.

    Offsets are the last published and the last applied, so a partition never read is behind by its offset and one.
    """
    published = {topic: parts for service in services for topic, parts in service.published.items()}
    answering = {service.name for service in services if service.readiness != "unreachable"}
    behind: dict[str, int | None] = {}
    for topic in reader.reads:
        if topic not in published:
            behind[topic] = 0 if topic in answering else None
            continue
        applied = reader.positions.get(topic, {})
        behind[topic] = sum(max(0, last - applied.get(part, -1)) for part, last in published[topic].items())
    return behind


def readers(services: Iterable[Health]) -> dict[str, tuple[str, ...]]:
    """Which services act on each event type, by their own account."""
    found: dict[str, list[str]] = {}
    for service in services:
        for type_ in service.handles:
            found.setdefault(type_, []).append(service.name)
    return {type_: tuple(names) for type_, names in found.items()}


def attention(health: Health) -> tuple[str, ...]:
    """What people must look at, as codes; empty when nothing is wrong."""
    signs = {
        health.readiness: health.readiness != "ready",
        "consumption_paused": bool(health.paused),
        "events_parked": health.parked > 0,
        "events_unsendable": health.outbox_parked > 0,
        "calls_failed": health.calls_failed > 0,
    }
    return tuple(code for code, seen in signs.items() if seen)
