"""What rating publishes: whether the information is true, and how good the borrower is."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from libs.events.envelope import event

_event = partial(event, "rating")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One authenticity check: its code, relative deviation, tolerance (inclusive) and whether it passed.

    A missing source is `missing`, never a pass.
    """

    code: str
    source: str
    deviation: Decimal
    tolerance: Decimal
    result: str


@_event("information.verified")
@dataclass(frozen=True, slots=True, kw_only=True)
class InformationVerified:
    """Every check of the reconciled findings against hard data passed."""

    facility_id: str
    checks: tuple[Check, ...]
    size_class: str


@_event("information.disputed")
@dataclass(frozen=True, slots=True, kw_only=True)
class InformationDisputed:
    """At least one check failed or its source is missing."""

    facility_id: str
    checks: tuple[Check, ...]
    size_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One characteristic's share in the score: points reached of points possible."""

    characteristic: str
    points: int
    points_max: int


@_event("rating.assigned")
@dataclass(frozen=True, slots=True, kw_only=True)
class RatingAssigned:
    """A grade under one model version and one snapshot of inputs: score, PD (one year, 0 to 1), top reasons."""

    facility_id: str
    grade: str
    score: int
    pd: Decimal
    reasons: tuple[Reason, ...]
    inputs: dict[str, str]
    capped_by: str = ""
