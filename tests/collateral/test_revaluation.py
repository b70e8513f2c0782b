"""A price index moves a value; a fall since the value last told counts at 10, 15 and 25 per cent."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.kernel.money import Money
from services.collateral.domain.item import Valuation
from services.collateral.domain.revaluation import (
    RevaluationTerms,
    Trigger,
    change_since_told,
    moved,
    trigger_of,
)

TERMS = RevaluationTerms(watch=Decimal("0.10"), warn=Decimal("0.15"), red=Decimal("0.25"))


def cny(amount: str | int) -> Money:
    return Money(Decimal(amount), "CNY")


def valued(value: str | int, told: str | int | None = None) -> Valuation:
    return Valuation(
        value=cny(value),
        valued_on=date(2025, 12, 1),
        advance_rate=Decimal("0.70"),
        policy="collateral/valuation@2025-07-01",
        now=cny(value),
        told=cny(value if told is None else told),
    )


@pytest.mark.parametrize(
    ("after", "trigger"),
    [
        ("100.00", None),
        ("90.01", None),
        ("90.00", Trigger.WATCH),
        ("85.01", Trigger.WATCH),
        ("85.00", Trigger.WARN),
        ("75.01", Trigger.WARN),
        ("75.00", Trigger.RED),
        ("0.00", Trigger.RED),
        ("150.00", None),
    ],
)
def test_a_fall_that_reaches_a_trigger_counts(after: str, trigger: Trigger | None) -> None:
    assert trigger_of(change_since_told(valued(100), cny(after)), TERMS) is trigger


def test_the_change_is_measured_from_the_value_last_told_not_from_the_appraisal() -> None:
    assert trigger_of(change_since_told(valued(100, told=85), cny(80)), TERMS) is None
    assert trigger_of(change_since_told(valued(100, told=85), cny("76.50")), TERMS) is Trigger.WATCH


def test_the_value_follows_the_index_from_the_level_of_its_valuation_day() -> None:
    assert moved(valued(1000), Decimal(80), Decimal(100)) == cny(1250)
    assert moved(valued(1000), Decimal("98.9"), Decimal("98.9")) == cny(1000)


def test_a_value_told_as_nothing_cannot_fall_further() -> None:
    assert change_since_told(valued(100, told=0), cny(0)) == 0


@given(
    st.integers(1, 10**12),
    st.decimals(min_value=1, max_value=500, places=2),
    st.decimals(min_value=1, max_value=500, places=2),
    st.decimals(min_value=1, max_value=500, places=2),
)
def test_a_lower_level_never_gives_a_higher_value(cents: int, base: Decimal, one: Decimal, other: Decimal) -> None:
    start = valued(str(Decimal(cents) / 100))
    low, high = sorted((one, other))
    assert moved(start, base, low) <= moved(start, base, high)
    assert (moved(start, base, high) <= start.value) or high > base
