"""Delivers as badly as a broker may: partitions and topics interleaved at random, small batches, everything twice.

Only what is promised is kept: the order of one publisher's events of one key. The same seed shuffles the same way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from random import Random

from libs.runtime.inbound import Arrival
from tests.harness.whole import CLOCK, Road

BATCH_MAX = 7
LATE_MAX = 400  # a second copy comes up to so many deliveries after the first
ONLOOKERS = ("console",)


class Shuffled:
    """A carrier with a seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._clock = 0
        self._again: dict[int, list[tuple[str, Arrival]]] = defaultdict(list)
        self._late: dict[str, list[Arrival]] = defaultdict(list)
        self._holding = True

    def next_batch(self, roads: Sequence[Road]) -> tuple[str, list[Arrival]]:
        """A few arrivals of one reader from all topics of one partition number, mixed; each will come once more."""
        first = self._random.choice(roads)
        mine = [r for r in roads if r.topic != CLOCK and (r.reader, r.part) == (first.reader, first.part)]
        batch: list[Arrival] = []
        if first.topic == CLOCK:
            batch.append(first.waiting.popleft())
        else:
            day = first.waiting[0].date
            for _ in range(self._random.randint(1, BATCH_MAX)):
                ready = [road for road in mine if road.waiting and road.waiting[0].date <= day]
                if ready:
                    batch.append(self._random.choice(ready).waiting.popleft())
        for arrival in batch:
            self._again[self._clock + self._random.randint(1, LATE_MAX)].append((first.reader, arrival))
        self._clock += 1
        return first.reader, batch

    def second_copies(self) -> tuple[str, list[Arrival]] | None:
        """Copies whose moment has come, of one reader, ticks apart from events, in any order."""
        for moment in [at for at in self._again if at <= self._clock or not self._holding]:
            for reader, arrival in self._again.pop(moment):
                self._late[f"{reader}/{CLOCK if arrival.topic == CLOCK else ''}"].append(arrival)
        if not self._late:
            return None
        place = self._random.choice(sorted(self._late))
        copies = self._late.pop(place)
        self._random.shuffle(copies)
        return place.partition("/")[0], copies

    def pauses(self) -> bool:
        """Outboxes and partners come in between at any time."""
        return self._random.random() < 0.3

    def may_lag(self, reader: str) -> bool:
        """The console only looks on: it may be days behind."""
        return self._holding and reader in ONLOOKERS

    def hold_nothing(self) -> None:
        """The story is over: deliver all that is left."""
        self._holding = False
