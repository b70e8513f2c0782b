"""Starts one replica of a service as ever, with what a test may do to it: a wrong clock, an armed kill, a plant.

`python -m tests.chaos.replica uvicorn services.rating.main:app --port …`: the module that follows is run. Nothing of
this stands in the services' own code: the environment variables CHAOS_CLOCK_OFFSET and PLANT are read here only, and
the named points of libs/runtime/faults.py are armed by a file that is read on SIGUSR1.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from libs.runtime import faults

_armed = [""]


def arm_on_signal(control: Path) -> None:
    """From now on SIGUSR1 arms the fault point named in `control` (`point:n`), or disarms with an empty file."""
    reach = faults.reach
    faults.reach = lambda point, armed: reach(point, armed or _armed[0])  # its users import it after this

    def read(*_: object) -> None:
        _armed[0] = control.read_text().strip()

    signal.signal(signal.SIGUSR1, read)


def set_clock_off(seconds: float) -> None:
    """Let every reading of the wall clock by the runtime be off; monotonic clocks tick on as they are."""
    real, real_ns = time.time, time.time_ns

    class Off(datetime):
        """The wall clock as this replica sees it."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # the wrong clock, as planted
            return datetime.now(tz) + timedelta(seconds=seconds)

    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)
    from libs.runtime import tx  # noqa: PLC0415 - only now may its users see the clock

    tx.datetime = Off  # type: ignore[misc]  # planted


def main() -> None:
    """Do to this process what the environment asks for, then become the service."""
    control = os.environ.get("CHAOS_CONTROL")
    if control:
        arm_on_signal(Path(control))
    if offset := float(os.environ.get("CHAOS_CLOCK_OFFSET") or 0):
        set_clock_off(offset)
    if name := os.environ.get("PLANT"):
        from tests.chaos import plants  # noqa: PLC0415 - a replica without a plant never loads them

        plants.PLANTS[name].put()
    sys.argv.pop(0)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
