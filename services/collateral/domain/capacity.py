"""What security can carry: value × advance rate less senior claims, item by item and together (COL-01, COL-02)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from libs.kernel.errors import Refused
from libs.kernel.money import Money, total
from services.collateral.domain.item import STANDING, Item, Valuation, valuation_of

RATIO_STEP = Decimal("0.000001")
RATIO_TOLD_MAX = Decimal("9999.999999")  # without any capacity the ratio has no number; the event still needs one


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """Exposure against the capacity of all items: `ratio` = exposure / capacity, `shortfall` what is missing."""

    exposure: Money
    capacity: Money
    ratio: Decimal
    shortfall: Money

    @property
    def sufficient(self) -> bool:
        """Whether nothing is missing."""
        return not self.shortfall


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityTerms:
    """Ranks from `escalate_from_rank` on (inclusive) need the risk director; rank 1 never does."""

    escalate_from_rank: int


def told_ratio(part: Money, whole: Money) -> Decimal:
    """part / whole to six places, at most `RATIO_TOLD_MAX`, which also stands for a whole of zero."""
    if not whole:
        return RATIO_TOLD_MAX if part else Decimal(0)
    return min(part.ratio(whole).quantize(RATIO_STEP), RATIO_TOLD_MAX)


def loan_to_value(exposure: Money, senior_claims: Money, value: Money) -> Decimal:
    """COL-02: what is claimed from the item, senior claims included, as a fraction of its value (six places)."""
    return told_ratio(exposure + senior_claims, value)


def capacity_of(item: Item) -> Money:
    """What one item can carry: value by the latest index × advance rate, less senior claims, never below zero."""
    if item.valuation is None or item.status not in STANDING:
        return item.declared_value.zero
    gross = _gross(item.valuation)
    if item.registration is None:
        return gross
    return max(gross - item.registration.senior_claims, gross.zero)


def combine(exposure: Money, items: Iterable[Item], ratio_max: Decimal) -> Combined:
    """COL-01: claims over Σ(value × advance rate) must not exceed `ratio_max` (inclusive)."""
    capacity = total((capacity_of(item) for item in items), exposure.currency)
    shortfall = max(exposure - capacity * ratio_max, exposure.zero)
    return Combined(exposure=exposure, capacity=capacity, ratio=told_ratio(exposure, capacity), shortfall=shortfall)


def check_rank(rank: int, terms: PriorityTerms) -> None:
    """Raises Refused `rank_needs_risk_director` for a rank that the customer manager may not accept alone (COL-02)."""
    if rank >= terms.escalate_from_rank:
        raise Refused("rank_needs_risk_director", f"rank {rank} is escalated from rank {terms.escalate_from_rank} on")


def check_junior(item: Item, exposure: Money, senior_claims: Money) -> None:
    """COL-02: a junior lien is admitted while (senior + ours) / value stays within the advance rate (inclusive).

    So a capacity that was already published as sufficient stays so. Raises Refused `junior_lien_above_cap`.
    """
    valuation = valuation_of(item)
    if exposure + senior_claims > valuation.now * valuation.advance_rate:
        ltv = loan_to_value(exposure, senior_claims, valuation.now)
        raise Refused("junior_lien_above_cap", f"LTV {ltv} with senior claims, cap {valuation.advance_rate}")


def _gross(valuation: Valuation) -> Money:
    return valuation.now * valuation.advance_rate
