"""Five-class risk by days past due: it only worsens while arrears stand, and a bad loan earns its way back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RiskClass(StrEnum):
    """The five classes, best first."""

    NORMAL = "normal"
    SPECIAL_MENTION = "special_mention"
    SUBSTANDARD = "substandard"
    DOUBTFUL = "doubtful"
    LOSS = "loss"

    @property
    def npl(self) -> bool:
        """Non-performing: substandard and worse."""
        return self in (RiskClass.SUBSTANDARD, RiskClass.DOUBTFUL, RiskClass.LOSS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationTerms:
    """CLS-01: days past due strictly above each bound give the class at least.

    A cured non-performing loan returns after `upgrade_months` and `upgrade_periods` instalments met on time, the later
    of the two.
    """

    substandard_over_days: int
    doubtful_over_days: int
    loss_over_days: int
    upgrade_months: int
    upgrade_periods: int

    @property
    def bounds(self) -> tuple[tuple[int, RiskClass], ...]:
        """Bounds in days, exceeded strictly, with the class from there on; any overdue day is special mention."""
        return (
            (0, RiskClass.SPECIAL_MENTION),
            (self.substandard_over_days, RiskClass.SUBSTANDARD),
            (self.doubtful_over_days, RiskClass.DOUBTFUL),
            (self.loss_over_days, RiskClass.LOSS),
        )


def class_by_days(days_past_due: int, terms: ClassificationTerms) -> RiskClass:
    """The floor class at this many days past due (CLS-01; NFRA/PBOC order 2023 No. 1)."""
    found = RiskClass.NORMAL
    for bound, risk_class in terms.bounds:
        if days_past_due > bound:
            found = risk_class
    return found


def next_bound(days_past_due: int, terms: ClassificationTerms) -> int | None:
    """The next bound not yet exceeded, or None beyond the last."""
    return next((bound for bound, _ in terms.bounds if days_past_due <= bound), None)


def worse(one: RiskClass, other: RiskClass) -> RiskClass:
    """The worse of two classes."""
    order = list(RiskClass)
    return max(one, other, key=order.index)
