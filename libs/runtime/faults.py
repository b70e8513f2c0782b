"""Named points at which a test may kill the process; nothing happens unless FAULT names one (`point:hit`)."""

from __future__ import annotations

import os
import signal
from collections import Counter

POINTS = (
    "relay.before_send",
    "relay.after_ack",
    "consumer.mid_batch",
    "consumer.after_commit",
    "calls.after_send",
    "drops.before_result",
)
_hits: Counter[str] = Counter()


def reach(point: str, armed: str) -> None:
    """Kill this process (SIGKILL) when `armed` is `point:n` and this is the nth time the point is reached."""
    if not armed:
        return
    name, _, nth = armed.partition(":")
    if name != point:
        return
    _hits[point] += 1
    if _hits[point] == int(nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)
