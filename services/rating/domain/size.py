"""How large is the borrower? All indicators of a class must reach its lower bound, else one class down (SIZ-01)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from libs.kernel.errors import Invalid

OTHER = "other"


class Indicator(StrEnum):
    """What the standard counts: people, yearly revenue or total assets."""

    STAFF = "staff"
    REVENUE = "revenue"
    ASSETS = "assets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The lower bounds (inclusive) of one indicator; money in the policy's unit."""

    indicator: Indicator
    large: Decimal
    medium: Decimal
    small: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Industry:
    """One row of the standard: the industry words it covers and the indicators it counts."""

    words: tuple[str, ...]
    bounds: tuple[Bound, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeTerms:
    """The size standard: money in `unit` (10000 for 万元); a word nobody lists counts as `other`."""

    unit: Decimal
    industries: tuple[Industry, ...]

    def __post_init__(self) -> None:
        words = [word for industry in self.industries for word in industry.words]
        if len(words) != len(set(words)) or OTHER not in words or not all(row.bounds for row in self.industries):
            raise Invalid("size_table_incomplete", "each word once, a row for other, bounds in every row")

    def of(self, word: str) -> Industry:
        """The row of an industry word, or the row for all others."""
        rows = {listed: industry for industry in self.industries for listed in industry.words}
        return rows.get(word, rows[OTHER])


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How big the borrower is: people, yearly revenue and total assets in plain money (not in the policy's unit)."""

    staff: int
    revenue: Decimal
    assets: Decimal


def size_class(industry: str, extent: Extent, terms: SizeTerms) -> str:
    """`large`, `medium`, `small` or `micro` (工信部联企业〔2011〕300号)."""
    measured = {
        Indicator.STAFF: Decimal(extent.staff),
        Indicator.REVENUE: extent.revenue / terms.unit,
        Indicator.ASSETS: extent.assets / terms.unit,
    }
    bounds = terms.of(industry).bounds
    if all(measured[bound.indicator] >= bound.large for bound in bounds):
        return "large"
    if all(measured[bound.indicator] >= bound.medium for bound in bounds):
        return "medium"
    if all(measured[bound.indicator] >= bound.small for bound in bounds):
        return "small"
    return "micro"
