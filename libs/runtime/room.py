"""How much more goes into the outbox: a process looks now and then, not with each command.

Rows leave the outbox as fast as they come, and until the next vacuum their entries stand in its index. Asking each time
how long it is read thousands of them for a command whenever PostgreSQL took a plan that reads them all.
"""

from __future__ import annotations

import time

LOOK_SECONDS = 0.1
"""So long a process relies on what it saw; what others, and reactions here, add meanwhile goes in beyond the limit."""


class Room:
    """The events that this process may still add before it has to look again."""

    def __init__(self) -> None:
        self._left, self._until = 0, 0.0

    @property
    def unknown(self) -> bool:
        """Whether to look: none is left as far as is known, or the last look is too long ago."""
        return self._left <= 0 or time.monotonic() > self._until

    def seen(self, left: int) -> None:
        """Just now there was room for so many."""
        self._left, self._until = left, time.monotonic() + LOOK_SECONDS

    def taken(self, events: int) -> None:
        """So many were added by this process."""
        self._left -= events
