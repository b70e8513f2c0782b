"""What a service's own account of itself means: how far behind it reads, and what an operator must look at.

Only facts are judged, never guesses: a service that does not answer is `unreachable`, not healthy and not dead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Offsets = Mapping[str, Mapping[str, int]]
OUTBOX_SECONDS_MAX = 60
"""An event that waits longer to be published is worth a look: the relay sends within milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """One service as it described itself; `readiness` is `ready`, `not_ready` or `unreachable`.

    `withheld`: it did not describe itself to this visitor, whose role may not ask.
    """

    name: str
    readiness: str
    withheld: bool = False
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

    @property
    def told(self) -> bool:
        """Whether it described itself to this visitor."""
        return self.readiness != "unreachable" and not self.withheld


def read_health(name: str, readiness: str, status: Mapping[str, Any]) -> Health:
    """A service's `/v1/ops/status` as facts; KeyError, TypeError or ValueError when it is not one."""
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
    answering = {service.name for service in services if service.told}
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


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that people must look at: where, what (a code), and how many there are when it can be counted."""

    service: str
    code: str
    count: int = 0


def attention(health: Health) -> tuple[Sign, ...]:
    """What people must look at in one service; empty when nothing is wrong."""
    late = health.outbox_oldest_seconds > OUTBOX_SECONDS_MAX
    signs = {
        health.readiness: int(health.readiness != "ready"),
        "consumption_paused": int(bool(health.paused)),
        "events_parked": health.parked,
        "events_unsendable": health.outbox_parked,
        "events_unsent": health.outbox_depth if late else 0,
        "calls_failed": health.calls_failed,
    }
    return tuple(Sign(health.name, code, count) for code, count in signs.items() if count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One service in the overview; `behind` is its lag over all topics, None when a publisher is silent."""

    health: Health
    signs: tuple[Sign, ...]
    behind: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The whole house at one look; the sums are over the services that described themselves."""

    lines: tuple[Line, ...]
    signs: tuple[Sign, ...]
    ready: int
    open_dates: tuple[str, ...]
    parked: int
    waiting: int
    unsent: int
    oldest_seconds: int
    behind: int | None


def overview(services: Sequence[Health]) -> Overview:
    """What needs attention first, then every service."""
    lines = tuple(
        Line(
            health=health,
            signs=attention(health),
            behind=_sum(lag(health, services).values()) if health.told else None,
        )
        for health in services
    )
    return Overview(
        lines=lines,
        signs=tuple(sign for line in lines for sign in line.signs),
        ready=sum(health.readiness == "ready" for health in services),
        open_dates=tuple(sorted({health.open_date for health in services if health.open_date})),
        parked=sum(health.parked for health in services),
        waiting=sum(health.waiting for health in services),
        unsent=sum(health.outbox_depth for health in services),
        oldest_seconds=max((health.outbox_oldest_seconds for health in services), default=0),
        behind=_sum(line.behind for line in lines),
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic: its publisher's account, and how far each of its readers is behind (None: not known)."""

    name: str
    told: bool
    published: int
    unsent: int
    oldest_seconds: int
    behind: Mapping[str, int | None]


def topics_of(services: Sequence[Health]) -> tuple[Topic, ...]:
    """Every business topic that is read or published, in the order of the services; each has the name of its publisher.

    `published` counts by the offsets of the partitions, so it is what lies in the broker.
    """
    behind = {service.name: lag(service, services) for service in services}
    read = {topic for service in services for topic in service.reads}
    return tuple(
        Topic(
            name=publisher.name,
            told=publisher.told,
            published=sum(last + 1 for last in publisher.published.get(publisher.name, {}).values()),
            unsent=publisher.outbox_depth,
            oldest_seconds=publisher.outbox_oldest_seconds,
            behind={reader: topics[publisher.name] for reader, topics in behind.items() if publisher.name in topics},
        )
        for publisher in services
        if publisher.name in read or publisher.published
    )
