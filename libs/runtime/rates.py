"""How often one partner may knock: so many requests a minute, told in every answer, and 429 beyond it.

Counted in each process for itself, by caller. The bank's own callers are bounded by the gate alone.
"""

from __future__ import annotations

import time
from collections import OrderedDict

from libs.kernel.errors import Rejection

WINDOW_SECONDS = 60
CALLERS_MAX = 10_000


class TooMany(Rejection):
    """The caller has had its requests of this minute."""

    status = 429


class Rates:
    """The requests of each caller in the minute that began with its first one."""

    def __init__(self) -> None:
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def count(self, caller: str, most: int, now: float | None = None) -> tuple[bool, dict[str, str]]:
        """Count one request: whether it is one of the `most` of this minute, and the headers that say what is left.

        `RateLimit-Limit`, `-Remaining` and `-Reset` (seconds) as in the IETF's draft; `Retry-After` beyond it.
        """
        now = time.monotonic() if now is None else now
        begun, came = self._windows.pop(caller, (now, 0))
        if now >= begun + WINDOW_SECONDS:
            begun, came = now, 0
        came += 1
        self._windows[caller] = begun, came
        if len(self._windows) > CALLERS_MAX:
            self._windows.popitem(last=False)
        reset = str(max(1, round(begun + WINDOW_SECONDS - now)))
        headers = {"ratelimit-limit": str(most), "ratelimit-remaining": str(max(0, most - came))}
        headers |= {"ratelimit-reset": reset, **({"retry-after": reset} if came > most else {})}
        return came <= most, headers
