"""A life that contradicts itself cannot be made; plans always add up and fall on settlement days."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.generator import generate
from deploy.demo.lives import (
    Inspection,
    Repayment,
    even_plan,
    first_of_month,
    month_settlement_days,
    plan_around_default,
    quarter_days,
    repay,
    spread,
)
from libs.kernel.errors import Invalid
from libs.kernel.money import Money, total

LIVES = list(generate(200, 3))
REPAID = next(life for life in LIVES if life.default is None and len(life.schedule) == 2)
LOST = next(life for life in LIVES if life.default and life.repayments)
DAYS = st.dates(date(1970, 1, 1), date(2028, 12, 31))


def cny(amount: str) -> Money:
    return Money(Decimal(amount), "CNY")


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("drawn_outside_amount", {"drawn": REPAID.amount + cny("0.01")}),
        ("cover_inconsistent", {"guaranteed": REPAID.amount + cny("0.01")}),
        ("cover_inconsistent", {"agreement": "", "guaranteed": cny("1")}),
        ("disbursed_before_application", {"disbursed_on": REPAID.applied_on - timedelta(days=1)}),
        ("not_repaid", {"repayments": REPAID.repayments[:-1]}),
        ("schedule_not_drawn", {"schedule": REPAID.schedule[:-1]}),
        ("days_not_ascending", {"repayments": REPAID.repayments[::-1]}),
        ("too_many_rows", {"schedule": ()}),
        ("repaid_late", {"repayments": (Repayment(on=date(2029, 1, 1), principal=REPAID.drawn, interest=cny("0")),)}),
    ],
)
def test_a_repaid_life_that_contradicts_itself_is_invalid(code: str, change: dict[str, object]) -> None:
    with pytest.raises(Invalid, match=code):
        replace(REPAID, **change)  # type: ignore[arg-type]  # each row changes another field


def test_a_defaulted_life_must_balance_loss_and_dates() -> None:
    assert LOST.default
    less = replace(LOST.default, charged_off=LOST.default.charged_off - cny("0.01"))
    elsewhere = replace(LOST.default, first_missed=LOST.default.first_missed + timedelta(days=1))
    soon = replace(LOST.default, charged_off_on=LOST.default.first_missed)
    costly = replace(LOST.default.disposal, costs=LOST.default.disposal.price + cny("0.01"))
    for code, default in [
        ("loss_not_balanced", less),
        ("first_missed_not_planned", elsewhere),
        ("default_out_of_order", soon),
        ("disposal_costs_above_price", replace(LOST.default, disposal=costly)),
    ]:
        with pytest.raises(Invalid, match=code):
            replace(LOST, default=default)


def test_a_life_ends_on_its_last_known_day() -> None:
    assert LOST.default
    assert LOST.ends_on == LOST.default.disposal.on
    assert replace(LOST, inspection=Inspection(on=date(2031, 1, 20), finding="in_order")).ends_on == date(2031, 1, 20)


@given(DAYS, st.integers(0, 4000))
def test_settlement_days_are_20ths_after_the_first_day_up_to_the_last(after: date, length: int) -> None:
    until = after + timedelta(days=length)
    for days, months in (
        (quarter_days(after, until), {3, 6, 9, 12}),
        (month_settlement_days(after, until), set(range(1, 13))),
    ):
        assert days == sorted(set(days))
        assert all(day.day == 20 and day.month in months and after < day <= until for day in days)
    assert len(quarter_days(after, until)) >= length // 93
    assert len(month_settlement_days(after, until)) >= length // 32


@given(DAYS, st.integers(0, 12))
def test_the_first_of_a_month_is_on_or_after_the_day(day: date, later: int) -> None:
    first = first_of_month(day, later)
    assert first.day == 1
    assert 0 <= (first - day).days <= 31 * (later + 1)


@given(st.integers(1, 40), st.integers(1, 6))
def test_spread_keeps_the_last_day_and_repeats_none(length: int, count: int) -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(length)]
    kept = spread(days, count)
    assert len(set(kept)) == len(kept) == min(length, count)
    assert kept == sorted(kept)
    assert kept[-1] == days[-1]


@given(st.integers(1, 10**9), st.integers(1, 100), st.integers(0, 2), st.integers(0, 2))
def test_a_plan_around_a_loss_adds_up_and_misses_exactly_the_lost_part(
    cents: int, lost_percent: int, before: int, after: int
) -> None:
    drawn = Money(Decimal(cents) / 100, "USD")
    lost = max(drawn * (Decimal(lost_percent) / 100), Money(Decimal("0.01"), "USD"))
    missed = date(2000, 6, 20)
    plan, met = plan_around_default(
        drawn,
        lost,
        missed,
        [date(1999, 9 + n, 20) for n in range(before)],
        [date(2001, 1 + n, 20) for n in range(after)],
    )
    assert total((row.principal for row in plan), "USD") == drawn
    assert total((row.principal for row in met), "USD") == drawn - lost
    assert missed in [row.due for row in plan]
    planned = total((row.principal for row in plan if row.due <= missed), "USD")
    assert planned > drawn - lost
    assert all(row.principal > drawn.zero for row in plan)


def test_interest_is_simple_on_the_open_balance_over_360_days() -> None:
    plan = even_plan(cny("1000.00"), [date(2026, 3, 20), date(2026, 6, 20)])
    first, second = repay(plan, cny("1000.00"), date(2025, 12, 20), Decimal("0.036"))
    assert (first.principal, first.interest) == (cny("500.00"), cny("9.00"))  # 90 days on 1,000
    assert (second.principal, second.interest) == (cny("500.00"), cny("4.60"))  # 92 days on 500
