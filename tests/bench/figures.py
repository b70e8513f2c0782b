"""The arithmetic of a bench: ratios of alternating pairs, their median and spread, and how far they come."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench.ground import Ground

Side = Callable[[], Mapping[str, float]]
"""One measurement: figures by name. It raises Wrong rather than return a figure of work that was not done."""
PAIRS_MIN = 5


class Wrong(Exception):
    """What was counted afterwards is not what was to be done: there is no figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`ours` over `baseline`, each `side.figure`; the target is a bound of the ratio, above or below."""

    what: str
    ours: str
    baseline: str
    unit: str
    solid: float | None = None
    reach: float | None = None
    at_most: bool = False
    """Whether less is better, as for times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One line of the table: its sides are prepared once, and measured in turn, pair after pair."""

    id: str
    title: str
    told: str
    """How it is measured, in the words of the page."""
    prepared: Callable[[Ground, dict[str, str]], AbstractContextManager[dict[str, Side]]]
    """The sides, ready to be measured, and facts of this run to be told, which may be added later."""
    comparisons: tuple[Comparison, ...]
    size: int
    """How much work a side does, by default."""
    size_is: str


@dataclass(slots=True)
class Measured:
    """What the sides of one bench gave, one figure a pair and name (`side.figure`)."""

    bench: Bench
    size: int
    figures: dict[str, list[float]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, side: str, found: Mapping[str, float]) -> None:
        """Note one measurement; a figure that is no positive number is Wrong."""
        for name, value in found.items():
            if not (math.isfinite(value) and value > 0):
                raise Wrong(f"{self.bench.id} {side}.{name} is {value}")
            self.figures.setdefault(f"{side}.{name}", []).append(value)

    def ratios(self, comparison: Comparison) -> list[float]:
        """Ours over the baseline of the same pair."""
        pairs = zip(self.figures[comparison.ours], self.figures[comparison.baseline], strict=True)
        return [ours / baseline for ours, baseline in pairs]


def order(names: Sequence[str], pair: int) -> list[str]:
    """The sides in turn: whoever was first is last in the next pair, so that nobody always runs on a warm machine."""
    return list(names) if pair % 2 == 0 else list(reversed(names))


def verdict(comparison: Comparison, median: float) -> str:
    """How far a median ratio comes: `reach`, `solid`, `below`, or nothing without a target."""
    for name, bound in (("reach", comparison.reach), ("solid", comparison.solid)):
        if bound is not None and (median <= bound if comparison.at_most else median >= bound):
            return name
    return "" if comparison.solid is None else "below"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all (0 to 1) do not exceed: the nearest rank."""
    if not values:
        raise Wrong("nothing was measured")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def shown(value: float) -> str:
    """A figure with three digits that count, thousands apart."""
    if value >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def middle_and_ends(values: Sequence[float]) -> str:
    """`median (least–most)`."""
    return f"{shown(statistics.median(values))} ({shown(min(values))}–{shown(max(values))})"
