"""Is it true? Compares declared, found and hard figures; a missing or stale source is never a pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from libs.events.application import Figures
from libs.events.rating import Check, InformationDisputed, InformationVerified
from libs.kernel.errors import Invalid
from libs.kernel.money import Money
from services.rating.domain.cross_checks import (
    ONE,
    expected_equity,
    gross_margin,
    overstatement,
    understatement,
)
from services.rating.domain.sources import HardFigures, Source, SourceRecord

DECLARED, FOUND, INVESTIGATION = "declared", "found", "investigation"
DERIVED_FOUND = ("equity", "margin")
DERIVED_HARD = ("equity_expected", "gross_margin")
PASSED, FAILED, MISSING, STALE = "passed", "failed", "missing", "stale"
_SHOWN = Decimal("0.000001")  # what the event shows; the comparison itself is exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One check of the policy: `claimed` against `tested`, both written origin.figure (found.annual_sales).

    `times` brings the tested figure to the claim's period (12 for a monthly one). `risk` is the dangerous direction.
    `absent` says what an unstated figure means: `missing` (not a pass) or `skipped` (the check needs optional data).
    """

    code: str
    claimed: str
    tested: str
    tolerance: Decimal
    times: int = 1
    risk: str = "overstated"
    absent: str = MISSING

    def __post_init__(self) -> None:
        for path in (self.claimed, self.tested):
            _check_path(path)
        if self.risk not in ("overstated", "understated") or self.absent not in (MISSING, "skipped"):
            raise Invalid("comparison_word_unknown", f"{self.code}: {self.risk}, {self.absent}")

    @property
    def source(self) -> str:
        """The hard source it rests on, or `investigation` when the findings themselves are the test."""
        origins = (path.split(".")[0] for path in (self.tested, self.claimed))
        return next((origin for origin in origins if origin in tuple(Source)), INVESTIGATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class InformationTerms:
    """The authenticity policy: which sources must be in, how old (days), how long to wait (days), what to compare."""

    sources_required: tuple[Source, ...]
    age_days_max: int
    sources_due_days: int
    comparisons: tuple[Comparison, ...]

    def __post_init__(self) -> None:
        tested = {comparison.source for comparison in self.comparisons if comparison.absent == MISSING}
        if not tested >= set(self.sources_required):
            raise Invalid("required_source_untested", "a source nobody compares with proves nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything the checks may look at, on the day they are made."""

    declared: Figures
    found: Figures
    records: tuple[SourceRecord, ...]
    on: date

    def record(self, source: str) -> SourceRecord | None:
        """The record of `source`, or None."""
        return next((record for record in self.records if record.source == source), None)

    def figure(self, path: str) -> Decimal | None:
        """The figure at origin.figure as a plain number, or None when nobody stated it."""
        origin, name = path.split(".")
        if origin in (DECLARED, FOUND):
            return _stated(self.declared if origin == DECLARED else self.found, name)
        record = self.record(origin)
        return None if record is None else _recorded(record.figures, name)


def verify(evidence: Evidence, terms: InformationTerms) -> tuple[Check, ...]:
    """Every check of the policy that can or must be made, in its order."""
    made = (_compare(evidence, comparison, terms.age_days_max) for comparison in terms.comparisons)
    return tuple(check for check in made if check is not None)


def conclude(facility_id: str, checks: tuple[Check, ...], size_class: str) -> InformationVerified | InformationDisputed:
    """Verified only when every check passed; failed, missing and stale all dispute."""
    if unproven(checks):
        return InformationDisputed(facility_id=facility_id, checks=checks, size_class=size_class)
    return InformationVerified(facility_id=facility_id, checks=checks, size_class=size_class)


def unproven(checks: Iterable[Check]) -> tuple[Check, ...]:
    """The checks that are anything but a pass."""
    return tuple(check for check in checks if check.result != PASSED)


def _compare(evidence: Evidence, comparison: Comparison, age_days_max: int) -> Check | None:
    claimed, tested = evidence.figure(comparison.claimed), evidence.figure(comparison.tested)
    if claimed is None or tested is None:
        # Nothing confirms the claim, so all of it deviates.
        return None if comparison.absent != MISSING else _check(comparison, ONE, MISSING)
    measure = overstatement if comparison.risk == "overstated" else understatement
    deviation = measure(claimed, tested * comparison.times)
    record = evidence.record(comparison.source)
    if record is not None and not record.is_fresh(evidence.on, age_days_max):
        return _check(comparison, deviation, STALE)
    return _check(comparison, deviation, PASSED if deviation <= comparison.tolerance else FAILED)


def _check(comparison: Comparison, deviation: Decimal, result: str) -> Check:
    return Check(
        code=comparison.code,
        source=comparison.source,
        deviation=deviation.quantize(_SHOWN, ROUND_HALF_UP),
        tolerance=comparison.tolerance,
        result=result,
    )


def _stated(figures: Figures, name: str) -> Decimal | None:
    match name:
        case "equity":
            return (figures.total_assets - figures.total_liabilities).amount
        case "margin":
            return figures.annual_profit.ratio(figures.annual_sales) if figures.annual_sales else None
    value: Money = getattr(figures, name)
    return value.amount


def _recorded(figures: HardFigures, name: str) -> Decimal | None:
    match name:
        case "equity_expected":
            equity = expected_equity(figures)
            return None if equity is None else equity.amount
        case "gross_margin":
            return gross_margin(figures.products)
    value: Money | None = getattr(figures, name)
    return None if value is None else value.amount


def _check_path(path: str) -> None:
    origin, _, name = path.partition(".")
    stated = {field.name for field in fields(Figures)} | set(DERIVED_FOUND)
    recorded = {field.name for field in fields(HardFigures)} - {"products"} | set(DERIVED_HARD)
    known = stated if origin in (DECLARED, FOUND) else recorded if origin in tuple(Source) else set()
    if name not in known:
        raise Invalid("figure_unknown", path)
