"""The demo's dated assumptions and the seeded draws from them: same policy and same seed, same world."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from libs.kernel.errors import Invalid, NotFound
from libs.kernel.policy import Version, in_force

FOLDER = Path(__file__).parent
TITLES = ("reason", "approved_by", "level", "source")
STEPS = 10_000  # draws are made in ten-thousandths of a span: integers, so never a float


@dataclass(frozen=True, slots=True)
class Assumptions:
    """One version's terms, read by table and key; a missing one raises Invalid naming it."""

    version: Version

    def _of(self, table: str, key: str) -> Any:
        body = self.version.terms.get(table)
        if not isinstance(body, dict) or key not in body:
            raise Invalid("assumption_missing", f"{self.version.ref} has no [{table}] {key}")
        return body[key]

    def number(self, table: str, key: str) -> Decimal:
        return Decimal(self._of(table, key))

    def count(self, table: str, key: str) -> int:
        return int(self._of(table, key))

    def day(self, table: str, key: str) -> date:
        day = self._of(table, key)
        if not isinstance(day, date):
            raise Invalid("assumption_not_a_date", f"{self.version.ref} [{table}] {key}")
        return day

    def span(self, table: str, key: str) -> tuple[Decimal, Decimal]:
        return span(self._of(table, key))

    def words(self, table: str, key: str) -> list[str]:
        return [str(word) for word in self._of(table, key)]

    def rows(self, table: str, key: str = "rows") -> list[Mapping[str, Any]]:
        return list(self._of(table, key))


def span(pair: Sequence[Any]) -> tuple[Decimal, Decimal]:
    """The two ends of a `[low, high]` written in a policy."""
    low, high = pair
    return Decimal(low), Decimal(high)


@cache
def versions(name: str) -> tuple[Version, ...]:
    """Every version of the policy `name`, oldest first; raises Invalid for one without reason, approver or source."""
    found = []
    for path in sorted((FOLDER / name).glob("*.toml")):
        terms = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
        titles = {title: str(terms.pop(title, "")) for title in TITLES}
        if not all(titles.values()):
            raise Invalid("policy_untitled", f"{path.name} must give {', '.join(TITLES)}")
        found.append(Version(name=name, effective=date.fromisoformat(path.stem), terms=terms, **titles))
    return tuple(found)


def assumptions(name: str, on: date) -> Assumptions:
    """The version of `name` in force on the day; raises NotFound before the first."""
    version = in_force(versions(name), on)
    if version is None:
        raise NotFound("policy_not_in_force", f"{name} on {on}")
    return Assumptions(version)


class Draw:
    """Chance with a name: the same words give the same draws on every machine and in any order of lives."""

    def __init__(self, *name: object) -> None:
        self._random = Random(":".join(str(word) for word in name))

    def between(self, ends: tuple[Decimal, Decimal]) -> Decimal:
        """A point of the span, both ends possible, in ten-thousandths of its width."""
        low, high = ends
        return low + (high - low) * self._random.randint(0, STEPS) / STEPS

    def whole(self, ends: tuple[Decimal, Decimal]) -> int:
        """A whole number of the span, both ends possible."""
        return self._random.randint(int(ends[0]), int(ends[1]))

    def happens(self, probability: Decimal) -> bool:
        return self._random.randrange(STEPS) < probability * STEPS

    def row(self, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """One of `rows`, by their `weight`."""
        return self._random.choices(rows, [int(row["weight"]) for row in rows])[0]

    def word(self, options: Sequence[str]) -> str:
        return self._random.choice(options)
