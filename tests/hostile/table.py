"""The documented problem codes, read from docs/problems.md: the page is what a caller may rely on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).resolve().parents[2] / "docs" / "problems.md"
EVERYWHERE = "every service"
_ROW = re.compile(r"^\| `([a-z0-9_]+)` \| (\d{3}) \| (.+) \|$")


class Row(NamedTuple):
    """A code with a status, under the heading of the service that answers it."""

    place: str
    code: str
    status: int
    meaning: str


def rows(text: str = "") -> list[Row]:
    """Every row of the page, in its order."""
    found, place = [], ""
    for line in (text or PAGE.read_text("utf-8")).splitlines():
        if line.startswith("## "):
            place = line.removeprefix("## ").strip().lower()
        elif match := _ROW.match(line):
            found.append(Row(place, match[1], int(match[2]), match[3].strip()))
    return found


def documented(service: str) -> frozenset[tuple[int, str]]:
    """(status, code) of every problem that a service may answer."""
    return frozenset((row.status, row.code) for row in rows() if row.place in (EVERYWHERE, service))
