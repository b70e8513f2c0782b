"""How good is the borrower? Points → band → requirements and caps: the score proposes a grade, overrides only lower it.

Score bands, "AAA needs full marks on …" and "weak key ratios → B at best" follow one Chinese bank's published standard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from libs.events.rating import RatingAssigned, Reason
from libs.kernel.errors import Invalid
from services.rating.domain.inputs import RATIOS, RatingInputs, ratios, snapshot

SCORE_FULL = 100  # points are per cent of a full score: the scale, not a policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Points for a ratio that is `at_least` or `at_most` this much (inclusive; exactly one of the two is set)."""

    points: int
    at_least: Decimal | None = None
    at_most: Decimal | None = None

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.at_most is None):
            raise Invalid("step_needs_one_bound", "at_least or at_most")

    def holds(self, value: Decimal) -> bool:
        """Whether `value` reaches this step."""
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most


@dataclass(frozen=True, slots=True, kw_only=True)
class Characteristic:
    """One ratio and its steps, best first; the first that holds counts, none holding is 0 points."""

    ratio: str
    steps: tuple[Step, ...]

    @property
    def points_max(self) -> int:
        return max(step.points for step in self.steps)

    def points(self, value: Decimal | None, missing: int) -> int:
        """The points of `value`; `missing` when nobody stated it."""
        if value is None:
            return missing
        return next((step.points for step in self.steps if step.holds(value)), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """A grade from `score_min` points (inclusive) and its one-year probability of default (0 to 1)."""

    grade: str
    score_min: int
    pd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A grade that is only open with at least `points_min` on one characteristic; otherwise the next grade down."""

    grade: str
    ratio: str
    points_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """No better than `grade` when the ratio is strictly `above` or `below`, or the industry is among `industries`.

    A ratio that could not be formed does not trigger the cap: what is missing is punished by its own cap and points.
    """

    code: str
    grade: str
    ratio: str = ""
    above: Decimal | None = None
    below: Decimal | None = None
    industries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        bounds = [bound for bound in (self.above, self.below) if bound is not None]
        if len(bounds) != (1 if self.ratio else 0) or bool(self.ratio) == bool(self.industries):
            raise Invalid("cap_needs_one_condition", self.code)

    def applies(self, values: Mapping[str, Decimal | None], industry: str) -> bool:
        """Whether this cap holds the borrower down."""
        if not self.ratio:
            return industry in self.industries
        value = values[self.ratio]
        if value is None:
            return False
        if self.above is not None:
            return value > self.above
        return self.below is not None and value < self.below


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorecardTerms:
    """One model version: characteristics that add up to 100 points, grades best first, requirements and caps.

    `cash_stress` is the fraction taken off cash flow in the stressed debt-service cover.
    Inconsistent terms are Invalid.
    """

    characteristics: tuple[Characteristic, ...]
    grades: tuple[Grade, ...]
    requirements: tuple[Requirement, ...]
    caps: tuple[Cap, ...]
    reasons_max: int
    points_missing: int
    cash_stress: Decimal

    def __post_init__(self) -> None:
        if sum(characteristic.points_max for characteristic in self.characteristics) != SCORE_FULL:
            raise Invalid("scorecard_not_full", f"points must add up to {SCORE_FULL}")
        falling = all(a.score_min > b.score_min and a.pd < b.pd for a, b in pairwise(self.grades))
        if not falling or self.grades[-1].score_min != 0:
            raise Invalid("grades_not_falling", "best first, rising PD, the last one from 0 points")
        known = {grade.grade for grade in self.grades}
        named = {requirement.grade for requirement in self.requirements} | {cap.grade for cap in self.caps}
        scored = {characteristic.ratio for characteristic in self.characteristics}
        read = scored | {cap.ratio for cap in self.caps if cap.ratio}
        if not named <= known or not read <= set(RATIOS) or not {r.ratio for r in self.requirements} <= scored:
            raise Invalid("scorecard_word_unknown", "a grade or ratio nobody defines")
        if self.grades[-1].grade in {requirement.grade for requirement in self.requirements}:
            raise Invalid("last_grade_shut", "everyone must find a grade")

    def rank(self, grade: str) -> int:
        """0 for the best grade, rising as grades fall."""
        return next(rank for rank, row in enumerate(self.grades) if row.grade == grade)


def rate(facility_id: str, inputs: RatingInputs, terms: ScorecardTerms) -> RatingAssigned:
    """The grade of one snapshot under one model version; the same two always give the same answer."""
    values = ratios(inputs, terms.cash_stress)
    scores = {c.ratio: c.points(values[c.ratio], terms.points_missing) for c in terms.characteristics}
    score = sum(scores.values())
    rank = next(rank for rank, row in enumerate(terms.grades) if score >= row.score_min)
    capped_by = ""
    # A shut grade opens the next one, which asks its own; the terms make sure that the last is never shut.
    while shut := _unmet(terms, terms.grades[rank].grade, scores):
        rank, capped_by = rank + 1, shut
    for cap in terms.caps:
        if cap.applies(values, inputs.industry) and terms.rank(cap.grade) > rank:
            rank, capped_by = terms.rank(cap.grade), cap.code
    grade = terms.grades[rank]
    return RatingAssigned(
        facility_id=facility_id,
        grade=grade.grade,
        score=score,
        pd=grade.pd,
        reasons=_reasons(terms, scores),
        inputs=snapshot(inputs),
        capped_by=capped_by,
    )


def _unmet(terms: ScorecardTerms, grade: str, scores: Mapping[str, int]) -> str:
    asked = (row for row in terms.requirements if row.grade == grade)
    return next((f"{row.ratio}_required" for row in asked if scores[row.ratio] < row.points_min), "")


def _reasons(terms: ScorecardTerms, scores: Mapping[str, int]) -> tuple[Reason, ...]:
    """The characteristics that cost most points, largest loss first (ties in the model's order)."""
    rows = (
        Reason(characteristic=row.ratio, points=scores[row.ratio], points_max=row.points_max)
        for row in terms.characteristics
    )
    lost = [row for row in rows if row.points < row.points_max]
    return tuple(sorted(lost, key=lambda row: row.points - row.points_max)[: terms.reasons_max])
