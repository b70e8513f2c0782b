"""The vocabulary: money that adds up, calendars that do not guess, policies that are in force from their day on."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.kernel.calendar import Calendar, add_months
from libs.kernel.errors import Invalid, NotAllowed, NotFound, Refused
from libs.kernel.money import Money, split, total
from libs.kernel.policy import Version, in_force
from libs.runtime.policies import read_profile

CENTS = st.integers(min_value=-(10**14), max_value=10**14)
WEIGHTS = st.dictionaries(st.text(max_size=3), st.decimals(0, 10**9, places=4), min_size=1, max_size=12).filter(
    lambda weights: sum(weights.values()) > 0
)


def yuan(amount: str | int) -> Money:
    """So many yuan."""
    return Money(Decimal(amount), "CNY")


@pytest.mark.parametrize(
    ("given", "held"), [("1.005", "1.01"), ("1.004", "1.00"), ("-1.005", "-1.01"), ("1", "1.00"), ("1e3", "1000.00")]
)
def test_money_is_held_to_the_cent_rounded_half_up(given: str, held: str) -> None:
    assert str(yuan(given).amount) == held


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_money_is_a_finite_number(amount: str) -> None:
    with pytest.raises(Invalid, match="money_not_finite"):
        yuan(amount)


def test_money_of_two_currencies_never_meets() -> None:
    dollars = Money(Decimal(1), "USD")
    for act in (
        lambda: yuan(1) + dollars,
        lambda: yuan(1) - dollars,
        lambda: yuan(1) < dollars,
        lambda: yuan(1) <= dollars,
        lambda: yuan(1) > dollars,
        lambda: yuan(1) >= dollars,
        lambda: yuan(1).ratio(dollars),
        lambda: total([yuan(1), dollars], "CNY"),
    ):
        with pytest.raises(Invalid, match="currency_mismatch"):
            act()
    assert yuan(1) != dollars


def test_money_compares_adds_and_multiplies() -> None:
    assert yuan(1) < yuan(2) <= yuan(2) < yuan(3) >= yuan(3) > yuan(2)
    assert yuan("0.10") + yuan("0.20") == yuan("0.30")
    assert yuan(1) - yuan(3) == -yuan(2)
    assert yuan("0.33") * Decimal("0.5") == yuan("0.17")  # 0.165, half up
    assert yuan(100) * 3 == yuan(300)
    assert not yuan(0)
    assert yuan("0.01")
    assert yuan(1).ratio(yuan(4)) == Decimal("0.25")
    assert total([], "CNY") == yuan(7).zero == yuan(0)
    assert str(yuan("1.5")) == "1.50 CNY"
    with pytest.raises(Invalid, match="ratio_of_zero"):
        yuan(1).ratio(yuan(0))


@given(CENTS, WEIGHTS)
def test_a_split_sums_to_the_whole_and_no_part_is_a_cent_off(cents: int, weights: dict[str, Decimal]) -> None:
    whole = yuan(0) + Money(Decimal(cents) / 100, "CNY")
    parts = split(whole, weights)
    assert total(parts.values(), "CNY") == whole
    assert list(parts) == list(weights)
    base = sum(weights.values())
    for name, part in parts.items():
        exact = whole.amount * weights[name] / base
        assert abs(part.amount - exact) < Decimal("0.010001")
        assert weights[name] > 0 or not part


@given(CENTS, WEIGHTS)
def test_a_negative_split_mirrors_the_positive_one(cents: int, weights: dict[str, Decimal]) -> None:
    whole = Money(Decimal(cents) / 100, "CNY")
    assert split(-whole, weights) == {name: -part for name, part in split(whole, weights).items()}


@given(CENTS.map(abs), WEIGHTS)
def test_a_larger_weight_never_gets_less(cents: int, weights: dict[str, Decimal]) -> None:
    parts = split(Money(Decimal(cents) / 100, "CNY"), weights)
    ranked = sorted(weights, key=lambda name: weights[name])
    for low, high in pairwise(ranked):
        assert weights[low] == weights[high] or parts[low] <= parts[high]


def test_a_split_gives_the_odd_cents_to_the_largest_remainders_and_ties_to_the_earlier() -> None:
    thirds = {"a": Decimal(1), "b": Decimal(1), "c": Decimal(1)}
    assert [str(part.amount) for part in split(yuan("100.00"), thirds).values()] == ["33.34", "33.33", "33.33"]
    assert [str(part.amount) for part in split(yuan("0.05"), {"a": Decimal(1), "b": Decimal(3)}).values()] == [
        "0.01",
        "0.04",
    ]


@pytest.mark.parametrize("weights", [{}, {"a": Decimal(0)}, {"a": Decimal(-1), "b": Decimal(2)}])
def test_a_split_needs_weights(weights: dict[str, Decimal]) -> None:
    with pytest.raises(Invalid, match="weights_not_positive"):
        split(yuan(1), weights)


CALENDAR = Calendar(
    "test",
    date(2026, 1, 1),
    date(2026, 12, 31),
    holidays=frozenset({date(2026, 1, 1), date(2026, 1, 2)}),
    makeup_days=frozenset({date(2026, 1, 4)}),
)


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 1, 1), False),  # holiday
        (date(2026, 1, 3), False),  # Saturday
        (date(2026, 1, 4), True),  # Sunday made up
        (date(2026, 1, 5), True),  # Monday
        (date(2026, 1, 10), False),  # Saturday
        (date(2026, 12, 31), True),  # the last day known
    ],
)
def test_a_calendar_knows_its_working_days(day: date, works: bool) -> None:
    assert CALENDAR.is_working(day) is works


@pytest.mark.parametrize("day", [date(2025, 12, 31), date(2027, 1, 1)])
def test_a_calendar_does_not_guess_outside_its_years(day: date) -> None:
    with pytest.raises(Invalid, match="calendar_not_loaded"):
        CALENDAR.is_working(day)
    with pytest.raises(Invalid, match="calendar_not_loaded"):
        CALENDAR.add_working_days(date(2026, 12, 31), 1)


@pytest.mark.parametrize(
    ("start", "count", "end"),
    [
        (date(2026, 1, 1), 0, date(2026, 1, 4)),
        (date(2026, 1, 5), 0, date(2026, 1, 5)),
        (date(2026, 1, 4), 1, date(2026, 1, 5)),
        (date(2026, 1, 9), 1, date(2026, 1, 12)),
        (date(2026, 1, 5), 5, date(2026, 1, 12)),
    ],
)
def test_working_days_are_counted_from_a_working_day(start: date, count: int, end: date) -> None:
    assert CALENDAR.add_working_days(start, count) == end


def test_the_chinese_calendar_knows_spring_festival_and_its_made_up_saturday() -> None:
    calendar = read_profile("cn-branch").calendar
    assert not calendar.is_working(date(2026, 2, 17))
    assert calendar.is_working(date(2026, 2, 14))
    assert not calendar.is_working(date(2026, 10, 1))


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
        (date(2026, 1, 15), 0, date(2026, 1, 15)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
    ],
)
def test_months_later_is_the_same_day_or_the_last_of_a_shorter_month(day: date, months: int, later: date) -> None:
    assert add_months(day, months) == later


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(0, 400))
def test_months_later_is_in_the_month_that_many_later(day: date, months: int) -> None:
    later = add_months(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (later + timedelta(days=1)).day == 1


def version(effective: date) -> Version:
    """One version of a policy."""
    return Version("rating/scorecard", effective, "why", "who", "head_office", "where", {})


def test_a_policy_is_in_force_from_its_day_on_until_the_next() -> None:
    old, new = version(date(2025, 1, 1)), version(date(2026, 1, 1))
    for order in ((old, new), (new, old)):
        assert in_force(order, date(2024, 12, 31)) is None
        assert in_force(order, date(2025, 1, 1)) is old
        assert in_force(order, date(2025, 12, 31)) is old
        assert in_force(order, date(2026, 1, 1)) is new
        assert in_force(order, date(2099, 1, 1)) is new
    assert new.ref == "rating/scorecard@2026-01-01"
    assert in_force((), date(2026, 1, 1)) is None


def test_each_rejection_has_its_status_code_and_facts() -> None:
    assert [kind("c").status for kind in (Refused, Invalid, NotFound, NotAllowed)] == [409, 422, 404, 403]
    error = Refused("too_much", "more than allowed", limit=3)
    assert (error.code, error.detail, error.facts, str(error)) == (
        "too_much",
        "more than allowed",
        {"limit": 3},
        "too_much: more than allowed",
    )
