"""How a price index moves a value, and when the move is large enough to tell: watch, warn or red."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from libs.kernel.money import Money
from services.collateral.domain.item import Valuation

CHANGE_STEP = Decimal("0.000001")


class Trigger(StrEnum):
    """How far a value fell."""

    WATCH = "watch"
    WARN = "warn"
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevaluationTerms:
    """Falls since the value last told, as positive fractions; reaching one is enough (inclusive)."""

    watch: Decimal
    warn: Decimal
    red: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexLevel:
    """One published level of a price-index series; `level_id` is the series and the day, so a day has one level."""

    level_id: str
    series: str
    on: date
    value: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSeries:
    """The latest level of a series."""

    series: str
    on: date
    value: Decimal


def moved(valuation: Valuation, base: Decimal, level: Decimal) -> Money:
    """The accepted value carried from the `base` level of its valuation day to `level`."""
    return valuation.value * (level / base)


def change_since_told(valuation: Valuation, after: Money) -> Decimal:
    """The relative change since the value last published: −0.10 is a fall of ten per cent; none from nothing."""
    if not valuation.told:
        return Decimal(0)
    return after.ratio(valuation.told) - 1


def trigger_of(change: Decimal, terms: RevaluationTerms) -> Trigger | None:
    """The worst trigger that a change reaches, or None."""
    if change <= -terms.red:
        return Trigger.RED
    if change <= -terms.warn:
        return Trigger.WARN
    return Trigger.WATCH if change <= -terms.watch else None
