"""Two appraisals give a value: COL-11 at its thresholds, and what happens when the appraisers quarrel."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.kernel.calendar import add_months
from libs.kernel.errors import Invalid, Refused
from libs.kernel.money import Money
from services.collateral.domain.item import Appraisal, Item, ItemStatus
from services.collateral.domain.valuation import (
    AdvanceRate,
    Age,
    ValuationTerms,
    accept,
    age_of,
    agree,
    appraise,
    deviation,
    rate_of,
)

VECTORS: dict[str, Any] = {
    row["id"]: row for row in json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))
}
TODAY = date(2025, 12, 15)
TERMS = ValuationTerms(
    deviation_max=Decimal("0.20"),
    valid_months=6,
    warn_months=5,
    appraisals_max=3,
    combined_ratio_max=Decimal("1.00"),
    unlisted_rate=Decimal("0.00"),
    rates=(AdvanceRate(kind="house", rate=Decimal("0.70")), AdvanceRate(kind="factory", rate=Decimal("0.60"))),
)


def cny(amount: str | int) -> Money:
    return Money(Decimal(amount), "CNY")


def offered(kind: str = "house") -> Item:
    return Item(
        collateral_id="c1",
        facility_id="f1",
        number=1,
        kind=kind,
        currency="CNY",
        declared_value=cny(1000),
        index_series="cn-house",
        synthetic=True,
    )


def appraisal(amount: str | int, appraiser: str = "a1", valued_on: date = TODAY) -> Appraisal:
    return Appraisal(appraiser=appraiser, value=cny(amount), valued_on=valued_on)


def appraisals(*amounts: str | int) -> tuple[Appraisal, ...]:
    return tuple(appraisal(amount, f"a{number}") for number, amount in enumerate(amounts, start=1))


def test_col_11_age_of_an_appraisal() -> None:
    vector = VECTORS["COL-11"]
    found = []
    for months in vector["input"]["age_months"]:
        whole, half = divmod(Decimal(str(months)), 1)
        on = add_months(TODAY, int(whole)) + timedelta(days=int(half * 30))
        found.append(age_of(TODAY, on, TERMS).value)
    assert found == vector["expected"]["age"]


def test_col_11_deviation_of_two_appraisals() -> None:
    """The veto at 1.3 times the market needs a market value of its own, which nobody delivers: two of three actions."""
    vector = VECTORS["COL-11"]
    close, apart, _far = vector["input"]["dev"]
    assert vector["expected"]["action"][:2] == ["ok", "reappraise"]
    assert agree(appraisals(1000, str(1000 * (1 + Decimal(str(close))))), TERMS) is not None
    assert agree(appraisals(1000, str(1000 * (1 + Decimal(str(apart))))), TERMS) is None


@pytest.mark.parametrize(
    ("on", "age"),
    [
        (date(2026, 5, 14), Age.OK),
        (date(2026, 5, 15), Age.WARN),
        (date(2026, 6, 15), Age.WARN),
        (date(2026, 6, 16), Age.INVALID),
    ],
)
def test_an_appraisal_warns_from_the_fifth_month_and_is_void_after_the_sixth(on: date, age: Age) -> None:
    assert age_of(TODAY, on, TERMS) is age


@pytest.mark.parametrize(("high", "accepted"), [("119.99", True), ("120.00", True), ("120.01", False)])
def test_two_appraisals_agree_up_to_twenty_per_cent_of_the_lower_one(high: str, accepted: bool) -> None:
    assert (agree(appraisals(100, high), TERMS) is not None) is accepted


def test_the_lower_of_two_agreeing_appraisals_is_the_value() -> None:
    agreement = agree(appraisals(110, 100), TERMS)
    assert agreement is not None
    assert agreement.value == cny(100)
    assert [one.value for one in agreement.pair] == [cny(100), cny(110)]


def test_one_appraisal_is_not_enough() -> None:
    assert agree(appraisals(100), TERMS) is None


def test_a_third_appraisal_decides_by_the_closest_pair() -> None:
    agreement = agree(appraisals(100, 150, 140), TERMS)
    assert agreement is not None
    assert agreement.value == cny(140)


def test_of_equally_close_pairs_the_lower_one_counts() -> None:
    agreement = agree(appraisals(121, 100, 110), TERMS)
    assert agreement is not None
    assert agreement.value == cny(100)


def test_three_appraisals_that_all_disagree_give_the_lowest_value() -> None:
    agreement = agree(appraisals(130, 60, 100), TERMS)
    assert agreement is not None
    assert [one.value for one in agreement.pair] == [cny(60), cny(100)]
    assert agreement.value == cny(60)


@given(st.lists(st.integers(1, 10**9), min_size=3, max_size=3))
def test_an_accepted_value_is_always_one_appraised_and_never_the_highest_of_a_quarrel(cents: list[int]) -> None:
    values = [cny(str(Decimal(count) / 100)) for count in cents]
    agreement = agree(tuple(appraisal(str(v.amount), f"a{i}") for i, v in enumerate(values)), TERMS)
    assert agreement is not None
    low, high = (one.value for one in agreement.pair)
    assert agreement.value == low <= high
    assert deviation(low, high) <= TERMS.deviation_max or agreement.value == min(values, key=lambda v: v.amount)


def test_the_same_appraiser_does_not_count_twice() -> None:
    item = appraise(offered(), appraisal(100), TODAY, TERMS)
    with pytest.raises(Refused, match="same_appraiser"):
        appraise(item, appraisal(101), TODAY, TERMS)


def test_an_appraisal_that_grew_too_old_no_longer_counts() -> None:
    item = appraise(offered(), appraisal(100), TODAY, TERMS)
    later = add_months(TODAY, 7)
    item = appraise(item, appraisal(100, "a2", later), later, TERMS)
    assert [one.appraiser for one in item.appraisals] == ["a2"]
    renewed = appraise(item, appraisal(101, "a1", later), later, TERMS)
    assert agree(renewed.appraisals, TERMS) is not None


def test_an_appraisal_more_than_six_months_old_is_refused() -> None:
    with pytest.raises(Refused, match="appraisal_too_old"):
        appraise(offered(), appraisal(100, valued_on=date(2025, 6, 14)), TODAY, TERMS)
    assert appraise(offered(), appraisal(100, valued_on=date(2025, 6, 15)), TODAY, TERMS).appraisals


def test_an_appraisal_from_tomorrow_of_nothing_or_in_another_currency_is_invalid() -> None:
    with pytest.raises(Invalid, match="appraisal_from_the_future"):
        appraise(offered(), appraisal(100, valued_on=TODAY + timedelta(days=1)), TODAY, TERMS)
    with pytest.raises(Invalid, match="appraisal_not_positive"):
        appraise(offered(), appraisal(0), TODAY, TERMS)
    dollars = Appraisal(appraiser="a1", value=Money(Decimal(1), "USD"), valued_on=TODAY)
    with pytest.raises(Invalid, match="currency_mismatch"):
        appraise(offered(), dollars, TODAY, TERMS)


def test_a_valued_item_takes_no_further_appraisal() -> None:
    agreement = agree(appraisals(100, 101), TERMS)
    assert agreement is not None
    item = accept(offered(), agreement, None, TERMS, "collateral/valuation@2025-07-01")
    assert item.status is ItemStatus.VALUED
    with pytest.raises(Refused, match="not_open_to_appraisal"):
        appraise(item, appraisal(100, "a3"), TODAY, TERMS)


@pytest.mark.parametrize(("kind", "rate"), [("house", "0.70"), ("factory", "0.60"), ("painting", "0.00")])
def test_a_kind_that_the_policy_does_not_list_carries_nothing(kind: str, rate: str) -> None:
    assert rate_of(kind, TERMS) == Decimal(rate)
