"""The story of one facility: events as they were told, in an order that never puts an effect before its cause.

Publishers number their events per key; topics are not ordered against each other. So the order is rebuilt from three
facts that travel with every event: its business date, its place in its publisher's sequence, and what caused it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from heapq import heapify, heappop, heappush
from typing import Any

from libs.events.catalogue import TOPICS


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event as it was published: who told it, when in business time, under which policy, and its body as JSON."""

    event_id: str
    key: str
    topic: str
    sequence: int
    type: str
    business_date: date
    actor: str
    org: str
    policy: str
    cause: str
    body: dict[str, Any]

    @property
    def name(self) -> str:
        """The wire name without its version: `loan.disbursed`."""
        return self.type.rpartition(".")[0]


def in_order(events: Iterable[Told]) -> tuple[Told, ...]:
    """The events by business date, each after the one before it of its publisher and after its cause.

    Among events that could come next, the earlier date goes first, then the topic's place in the catalogue, then the
    sequence. Causes outside the story are ignored; events that wait for one another (a broken cause) come last.
    """
    waiting = sorted(events, key=_place)
    follows, counts = _edges(waiting)
    ready = [(*_place(event), index) for index, event in enumerate(waiting) if not counts[index]]
    heapify(ready)
    order: list[int] = []
    while ready:
        *_, index = heappop(ready)
        order.append(index)
        for after in follows[index]:
            counts[after] -= 1
            if not counts[after]:
                heappush(ready, (*_place(waiting[after]), after))
    seen = set(order)
    return tuple(waiting[index] for index in (*order, *(i for i in range(len(waiting)) if i not in seen)))


def _place(event: Told) -> tuple[date, int, int]:
    return event.business_date, TOPICS.index(event.topic), event.sequence


def _edges(events: Sequence[Told]) -> tuple[list[list[int]], list[int]]:
    """Who must wait for whom (by index), and how many each waits for."""
    follows: list[list[int]] = [[] for _ in events]
    counts = [0] * len(events)
    by_id = {event.event_id: index for index, event in enumerate(events)}
    last: dict[tuple[str, str], int] = {}
    for index in sorted(range(len(events)), key=lambda i: events[i].sequence):
        event = events[index]
        told_before = {last.get((event.topic, event.key)), by_id.get(event.cause)}
        last[event.topic, event.key] = index
        for earlier in told_before:
            if earlier is not None:
                follows[earlier].append(index)
                counts[index] += 1
    return follows, counts
