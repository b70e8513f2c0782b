"""Who may decide: amount × grade × level from the authority matrix, apart from the makers, with a reason on record."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from libs.kernel.errors import Invalid, NotAllowed
from libs.kernel.money import Money
from services.application.domain.review import APPROVE, REFUSE, grade_within


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityRow:
    """One level may approve up to `amount_max` (inclusive) for grades no worse than `grade_min` (inclusive)."""

    level: str
    grade_min: str
    amount_max: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityTerms:
    """The authority matrix; `grades` runs from best to worst."""

    grades: tuple[str, ...]
    rows: tuple[AuthorityRow, ...]


def may_approve(level: str, grade: str, amount: Money, terms: AuthorityTerms) -> bool:
    """Whether any row of the matrix gives this level the authority."""
    return any(
        row.level == level and amount.amount <= row.amount_max and grade_within(grade, row.grade_min, terms.grades)
        for row in terms.rows
    )


def check_authority(level: str, grade: str, amount: Money, terms: AuthorityTerms) -> None:
    """Raises NotAllowed `authority_exceeded` when the matrix gives this level no authority."""
    if not may_approve(level, grade, amount, terms):
        raise NotAllowed("authority_exceeded", f"{level} may not approve {amount} at grade {grade}")


def check_reasoned(decision: str, recommendation: str, reasons: tuple[str, ...]) -> None:
    """A refusal, and an approval against our recommendation, need a reason; raises Invalid `reason_required`."""
    if decision == APPROVE and recommendation == APPROVE:
        return
    if not reasons:
        against = "an approval against the recommendation" if recommendation == REFUSE else "a refusal"
        raise Invalid("reason_required", f"{against} needs a reason")
