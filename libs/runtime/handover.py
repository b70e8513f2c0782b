"""Hands what was just committed here to the relay of the same process, which then need not read it from the outbox.

The outbox stays what counts: a row is handed on only when its key's sequence shows that all before it were taken, from
here or from the outbox. In any doubt the relay reads.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

HANDED_ROWS_MAX = 2_000
HANDED_BYTES_MAX = 8_388_608
"""Of payloads. What does not fit is read from the outbox."""
KEYS_REMEMBERED_MAX = 20_000


class Handover:
    """Between the units and the relay of one process; takes nothing unless that relay leads."""

    def __init__(self) -> None:
        self._leads = False
        self._rows: deque[dict[str, Any]] = deque()
        self._bytes = 0
        self._taken: OrderedDict[str, int] = OrderedDict()
        self._unread = True

    @contextmanager
    def leading(self) -> Iterator[None]:
        """The relay of this process takes rows, inside `with`."""
        self._leads = True
        self.reset()
        try:
            yield
        finally:
            self._leads = False
            self.reset()

    def reset(self) -> None:
        """Begin anew, with what is in the outbox: something that was taken was not sent, or there is much."""
        self._taken.clear()
        self.look()

    def look(self) -> None:
        """There may be more in the outbox than was handed over."""
        self._unread = True
        self._rows.clear()
        self._bytes = 0

    def give(self, rows: Iterable[dict[str, Any]]) -> None:
        """These were committed to the outbox, in this order."""
        if self._unread or not self._leads:
            return
        for row in rows:
            payload = row["payload"].encode()
            self._rows.append({**row, "payload": payload})
            self._bytes += len(payload)
        if len(self._rows) > HANDED_ROWS_MAX or self._bytes > HANDED_BYTES_MAX:
            self.look()

    def take(self, most: int) -> list[dict[str, Any]] | None:
        """The rows that are next, `most` at most; None when the outbox has to be read."""
        if self._unread:
            return None
        found: list[dict[str, Any]] = []
        while self._rows and len(found) < most:
            row = self._rows.popleft()
            self._bytes -= len(row["payload"])
            key, number = row["key"], int(row["headers"]["ce_sequence"])
            last = self._taken.get(key, 0)
            if number > last + 1:
                self.look()
            elif number == last + 1:
                self._took(key, number)
                found.append(row)
        return found if found or not self._unread else None

    def reading(self) -> None:
        """The outbox is about to be read: what was handed over until now is found there."""
        self.look()
        self._unread = False

    def read(self, rows: Iterable[tuple[str, int]]) -> None:
        """These, each by key and sequence, were all that was read from the outbox."""
        for key, number in rows:
            self._took(key, number)

    def _took(self, key: str, number: int) -> None:
        self._taken[key] = number
        self._taken.move_to_end(key)
        if len(self._taken) > KEYS_REMEMBERED_MAX:
            self._taken.popitem(last=False)
