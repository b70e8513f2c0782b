"""Leaves a party alone that keeps failing: after some failures in a row nothing is tried for a while, then one probe.

It lives in one process and forgets with it: it saves time and the other side's strength, no promise hangs on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

FAILURES_MAX = 5
"""In a row, before it opens."""
OPEN_SECONDS = 2.0
OPEN_SECONDS_MAX = 60.0
"""How long nothing is tried at first; it doubles with each probe that fails, up to the second."""
PROBE_SECONDS_MAX = 20.0
"""After which a probe that nobody told the end of no longer stands in the way of another."""


@dataclass(slots=True)
class _Record:
    failures: int = 0
    open_until: float = 0.0
    probing_since: float | None = None


class Breaker:
    """One record of failures per party, by name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._records = clock, dict[str, _Record]()

    def wait(self, name: str) -> float:
        """Seconds until something may be tried; at 0 the caller tries, and tells what came of it."""
        record = self._records.get(name)
        if record is None or record.failures < FAILURES_MAX:
            return 0.0
        now = self._clock()
        if now < record.open_until:
            return record.open_until - now
        if record.probing_since is not None and now < record.probing_since + PROBE_SECONDS_MAX:
            return OPEN_SECONDS
        record.probing_since = now
        return 0.0

    def failed(self, name: str) -> None:
        """Nothing definite came back."""
        record = self._records.setdefault(name, _Record())
        record.failures += 1
        record.probing_since = None
        if record.failures >= FAILURES_MAX:
            pause = OPEN_SECONDS * 2 ** min(record.failures - FAILURES_MAX, 10)
            record.open_until = self._clock() + min(pause, OPEN_SECONDS_MAX)

    def went_well(self, name: str) -> None:
        """The party answered, whatever it said."""
        self._records.pop(name, None)
