"""What the scheduler publishes: the end of a business day, carrying how far every topic had come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from libs.events.envelope import event


@event("clock", "day.closed")
@dataclass(frozen=True, slots=True, kw_only=True)
class DayClosed:
    """Every day through `closed` is over and `open` is the bank's business date from now on.

    `reached` names, per topic and partition, the last offset published before the day closed: a reader applies those
    first. Timers due on or before `open` then fire.
    """

    closed: date
    open: date
    reached: dict[str, dict[str, int]]
