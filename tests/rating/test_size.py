"""SIZ-01: all indicators of a class must reach its lower bound, else one class down."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.kernel.errors import Invalid
from services.rating.domain.size import Bound, Extent, Indicator, Industry, SizeTerms, size_class
from tests.rating.facts import PROFILES, SIZES, policy, vector

WAN = 10_000
CASES = list(zip(vector("SIZ-01")["input"]["cases"], vector("SIZ-01")["expected"]["size"], strict=True))


def extent(industry: str, first: int, second: int) -> Extent:
    """The vector's pairs: staff and revenue, but revenue and assets for construction, staff and assets for leasing."""
    match industry:
        case "construction":
            return Extent(staff=0, revenue=Decimal(first * WAN), assets=Decimal(second * WAN))
        case "leasing":
            return Extent(staff=first, revenue=Decimal(0), assets=Decimal(second * WAN))
    return Extent(staff=first, revenue=Decimal(second * WAN), assets=Decimal(0))


@pytest.mark.parametrize(("case", "expected"), CASES)
def test_size_class_by_the_national_standard(case: tuple[str, int, int], expected: str) -> None:
    assert size_class(case[0], extent(*case), SIZES.terms) == expected


@pytest.mark.parametrize(
    ("staff", "revenue", "expected"),
    [(19, 300, "micro"), (20, 299, "micro"), (20, 300, "small"), (299, 2000, "small"), (300, 2000, "medium")],
)
def test_lower_bounds_are_inclusive_and_every_indicator_counts(staff: int, revenue: int, expected: str) -> None:
    assert size_class("industry", extent("industry", staff, revenue), SIZES.terms) == expected


def test_a_cent_below_the_bound_drops_one_class() -> None:
    at = Extent(staff=20, revenue=Decimal("3000000.00"), assets=Decimal(0))
    below = Extent(staff=20, revenue=Decimal("2999999.99"), assets=Decimal(0))
    assert (size_class("industry", at, SIZES.terms), size_class("industry", below, SIZES.terms)) == ("small", "micro")


def test_an_industry_nobody_lists_is_sized_by_staff_alone() -> None:
    sizes = [
        size_class("stargazing", Extent(staff=n, revenue=Decimal(0), assets=Decimal(0)), SIZES.terms) for n in (9, 10)
    ]
    assert sizes == ["micro", "small"]


@pytest.mark.parametrize("profile", PROFILES)
def test_bounds_of_every_row_rise_from_small_to_large(profile: str) -> None:
    rows = policy(SizeTerms, f"size{profile}").terms.industries
    assert all(b.small < b.medium < b.large for row in rows for b in row.bounds)


def test_a_table_without_a_row_for_others_or_with_a_word_twice_is_invalid() -> None:
    bound = Bound(indicator=Indicator.STAFF, large=Decimal(3), medium=Decimal(2), small=Decimal(1))
    other = Industry(words=("other",), bounds=(bound,))
    for rows in (
        (Industry(words=("retail",), bounds=(bound,)),),
        (other, other),
        (Industry(words=("other",), bounds=()),),
    ):
        with pytest.raises(Invalid):
            SizeTerms(unit=Decimal(1), industries=rows)
