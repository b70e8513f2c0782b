"""The review: no opinion on an incomplete file, and our own recommendation from dated thresholds, with its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from libs.events.application import Figures
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.application.domain.facility import CoverState, Facility
from services.application.domain.pricing import PricingTerms, break_even_rate

APPROVE = "approve"
REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewTerms:
    """The thresholds of our own recommendation.

    `grades` runs from best to worst. `refuse_on` names the reason codes that make the recommendation a refusal; a
    code found but not named there is advice and travels with an approval. Bounds named `_max` and `_min` are inclusive.
    """

    grades: tuple[str, ...]
    grade_min: str
    leverage_max: Decimal
    amount_to_sales_max: Decimal
    years_in_business_min: Decimal
    coverage_min: Decimal
    refuse_on: tuple[str, ...]
    pricing: PricingTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """`approve` or `refuse`, and every reason code that was found."""

    recommendation: str
    reasons: tuple[str, ...]


def missing_facts(facility: Facility) -> tuple[str, ...]:
    """What the file still lacks before anybody may have an opinion on it."""
    facts = {
        "investigation": facility.figures is not None,
        "information": bool(facility.information),
        "rating": bool(facility.grade),
        "valuation": facility.all_valued,
        "cover": facility.cover_known,
    }
    return tuple(name for name, known in facts.items() if not known)


def check_complete(facility: Facility) -> None:
    """Raises Refused `facts_incomplete`, naming what is missing."""
    missing = missing_facts(facility)
    if missing:
        raise Refused("facts_incomplete", f"missing: {', '.join(missing)}", missing=",".join(missing))


def recommend(facility: Facility, terms: ReviewTerms) -> Recommendation:
    """Our own opinion of a complete file."""
    check_complete(facility)
    found = tuple(code for code, holds in _findings(facility, terms).items() if holds)
    refuse = any(code in terms.refuse_on for code in found)
    return Recommendation(recommendation=REFUSE if refuse else APPROVE, reasons=found)


def grade_within(grade: str, worst: str, grades: tuple[str, ...]) -> bool:
    """Whether `grade` is no worse than `worst` (inclusive); a grade nobody listed is worse than any."""
    return grade in grades and grades.index(grade) <= grades.index(worst)


def coverage(facility: Facility) -> Decimal:
    """What security may carry and partners guarantee, as a share of the amount asked for."""
    guaranteed = facility.guaranteed or Money(Decimal(0), facility.currency)
    return (facility.capacity + guaranteed).ratio(facility.applied.amount)


def _findings(facility: Facility, terms: ReviewTerms) -> dict[str, bool]:
    asked, figures = facility.applied, _figures(facility)
    floor = break_even_rate(facility.pd or Decimal(0), terms.pricing)
    return {
        "information_disputed": facility.information == "disputed",
        "grade_below_minimum": not grade_within(facility.grade, terms.grade_min, terms.grades),
        "leverage_above_maximum": _exceeds(figures.total_liabilities, figures.total_assets, terms.leverage_max),
        "amount_above_sales": _exceeds(asked.amount, figures.annual_sales, terms.amount_to_sales_max),
        "business_too_young": asked.profile.years_in_business < terms.years_in_business_min,
        "security_insufficient": coverage(facility) < terms.coverage_min,
        "cover_refused": bool(asked.agreement) and facility.cover is CoverState.REFUSED,
        "price_below_break_even": asked.annual_rate < floor,
    }


def _exceeds(part: Money, whole: Money, ratio_max: Decimal) -> bool:
    """Whether `part` is more than `ratio_max` of `whole`, compared exactly: Money's own product rounds to the cent."""
    return part.amount > whole.amount * ratio_max


def _figures(facility: Facility) -> Figures:
    if facility.figures is None:
        raise Refused("facts_incomplete", "the findings are not reconciled", missing="investigation")
    return facility.figures
