"""The generated portfolio holds its dates, limits and mix; its indices fall when the policy says so."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.demo.generator import ID_CHECKS, ID_WEIGHTS, generate, indices
from deploy.demo.lives import SETTLEMENT_DAY, Figures, Life
from deploy.demo.policies import FOLDER, assumptions, span, versions
from libs.kernel.errors import Invalid, NotFound
from libs.kernel.money import Money
from libs.runtime.policies import read_versions

COUNT, SEED = 1200, 11
LIVES = list(generate(COUNT, SEED))
FIRST, LAST = date(2025, 9, 1), date(2029, 12, 31)
HIGH = Money(Decimal(8_000_000), "CNY")
LOW = Money(Decimal(100_000), "CNY")


def days_of(life: Life) -> set[date]:
    days = (
        {life.applied_on, life.disbursed_on} | {row.due for row in life.schedule} | {row.on for row in life.repayments}
    )
    if life.default:
        days |= {life.default.first_missed, life.default.charged_off_on, life.default.disposal.on}
    return days | ({life.inspection.on} if life.inspection else set())


def leverage(figures: Figures) -> Decimal:
    return figures.total_liabilities.ratio(figures.total_assets)


@given(st.integers(1, 60), st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_every_life_of_every_seed_keeps_the_rules_of_dates_and_limits(count: int, seed: int) -> None:
    lives = list(generate(count, seed))
    assert len(lives) == count
    assert [life.applied_on for life in lives] == sorted(life.applied_on for life in lives)
    for life in lives:
        assert life.profile == "cn-branch"
        assert life.recorded_decision == ""
        assert LOW <= life.amount <= HIGH
        assert life.applied_on.weekday() == 0
        assert all(FIRST <= day <= LAST for day in days_of(life))
        assert all(row.due.day == SETTLEMENT_DAY and row.due.month % 3 == 0 for row in life.schedule)
        assert 1 <= len(life.schedule) <= 5
        assert len(life.repayments) <= 4
        if life.default:
            assert 375 <= (life.default.charged_off_on - life.default.first_missed).days <= 480
            assert (life.default.charged_off_on + timedelta(days=1)).day == 1
            assert life.default.disposal.on.day == 1
        if life.inspection:
            assert life.inspection.on.day == SETTLEMENT_DAY


def test_the_same_seed_gives_the_same_lives_and_another_seed_others() -> None:
    assert list(generate(30, SEED)) == list(generate(30, SEED))
    assert list(generate(30, SEED)) != list(generate(30, SEED + 1))


def test_a_life_outside_the_window_is_invalid() -> None:
    with pytest.raises(Invalid, match="outside_window"):
        list(generate(300, SEED, start=date(2028, 6, 1)))


def test_before_the_first_policy_nothing_is_generated() -> None:
    with pytest.raises(NotFound):
        next(generate(1, SEED, start=date(2025, 6, 30)))


def test_few_business_dates_are_used() -> None:
    assert len({day for life in LIVES for day in days_of(life)}) <= 110


def test_the_mix_of_outcomes_agreements_and_securities_is_as_intended() -> None:
    share = Decimal(sum(life.default is not None for life in LIVES)) / COUNT
    assert Decimal("0.05") <= share <= Decimal("0.12")
    agreements = Counter(life.agreement for life in LIVES)
    assert set(agreements) == {"reg-4321", "ins-28", ""}
    assert min(agreements.values()) > COUNT // 8
    assert {life.security.kind for life in LIVES} == {"house", "commercial", "factory", "equipment"}


def test_a_partner_answers_for_eight_tenths_inside_its_own_limits() -> None:
    for life in LIVES:
        if life.agreement:
            assert life.guaranteed == life.amount * Decimal("0.8")
        else:
            assert not life.guaranteed
        if life.agreement == "ins-28":
            assert life.amount <= Money(Decimal(5_000_000), "CNY")
            assert life.tenor_months <= 12


def test_some_borrowers_are_weak_in_their_facts_and_none_is_flagged() -> None:
    assert any(leverage(life.sources) > Decimal("0.85") for life in LIVES)
    assert any(life.years_in_business < 1 for life in LIVES)
    assert any(life.sources.annual_sales < life.amount * 2 for life in LIVES)
    assert all(
        set(life.notes) <= {"life:generated", "outcome:generated-repaid", "outcome:generated-default"} for life in LIVES
    )


def test_declared_sales_are_far_from_sources_for_a_few_and_near_for_most() -> None:
    far = [life for life in LIVES if life.declared.annual_sales > life.sources.annual_sales * Decimal("1.2")]
    assert COUNT // 100 <= len(far) <= COUNT // 10
    believed = [
        life for life in far if life.investigations[0].annual_sales > life.sources.annual_sales * Decimal("1.2")
    ]
    assert 0 < len(believed) < len(far)


def test_two_managers_agree_within_5_percent_for_most_and_not_for_a_few() -> None:
    def apart(life: Life) -> Decimal:
        first, second = (figures.annual_sales for figures in life.investigations)
        return abs(second.ratio(first) - 1)

    beyond = [life for life in LIVES if apart(life) > Decimal("0.05")]
    assert COUNT // 100 <= len(beyond) <= COUNT // 10


def test_falsified_files_are_found_on_some_defaults_only_and_name_the_lead_manager() -> None:
    falsified = [life for life in LIVES if life.inspection and life.inspection.finding == "falsified_file"]
    assert falsified
    for life in falsified:
        assert life.default
        assert life.inspection
        assert life.inspection.against == "lead"
        assert life.default.first_missed < life.inspection.on < life.default.charged_off_on
    assert any(life.inspection and life.inspection.finding == "in_order" for life in LIVES)


def test_a_sale_brings_less_than_the_loss_for_some_and_more_for_others() -> None:
    lost = [life.default for life in LIVES if life.default]
    short = [one for one in lost if one.disposal.price - one.disposal.costs < one.charged_off]
    assert 0 < len(short) < len(lost)


def test_identity_looks_real_and_can_be_nobodys() -> None:
    for life in LIVES:
        assert re.fullmatch(r"3399\d{13}[\dX]", life.borrower_id_number)  # no such region
        body, check = life.borrower_id_number[:17], life.borrower_id_number[17]
        assert check == ID_CHECKS[sum(int(digit) * weight for digit, weight in zip(body, ID_WEIGHTS, strict=True)) % 11]
        assert re.fullmatch(r"1[3-9]\d{9}", life.borrower_phone)
        assert "示例" in life.borrower_name
    assert len({life.borrower_id_number for life in LIVES}) == COUNT
    assert len({life.borrower_phone for life in LIVES}) == COUNT


def test_every_series_in_use_starts_at_100_and_falls_by_more_than_12_percent_in_2026() -> None:
    moves = indices(LIVES, SEED)
    assert [(move.on, move.series) for move in moves] == sorted((move.on, move.series) for move in moves)
    assert {move.series for move in moves} == {life.security.index_series for life in LIVES}
    for series in {move.series for move in moves}:
        path = [move for move in moves if move.series == series]
        assert path[0].value == 100
        assert path[0].on == min(life.applied_on for life in LIVES)
        steps = [(after.on, after.value / before.value - 1) for before, after in pairwise(path)]
        assert [step for on, step in steps if on.year == 2026 and step < Decimal("-0.12")]
        assert all(on.day == SETTLEMENT_DAY for on, _ in steps)


def test_only_the_sharp_fall_is_told_during_one_loan_the_slow_slide_never() -> None:
    # With one revaluation told a life stays within the number of events that the platform is sized for.
    told_from = 1 - read_versions("collateral/revaluation")[-1].terms["watch"]
    longest = max(life.ends_on.toordinal() - life.disbursed_on.toordinal() for life in LIVES)
    quarters = longest // 90
    for shape in assumptions("portfolio", FIRST).rows("indices"):
        assert len(shape["falls"]) == 1
        assert (1 + span(shape["drift"])[0]) ** quarters > told_from, shape["prefix"]


def test_a_disputed_file_is_not_inspected_once_more() -> None:
    apart = [
        life
        for life in LIVES
        if life.investigations[1].annual_sales > life.investigations[0].annual_sales * Decimal("1.05")
    ]
    assert apart
    assert not any(life.inspection for life in apart)


def test_indices_repeat_for_a_seed_and_are_empty_without_lives() -> None:
    assert indices(LIVES[:50], 1) == indices(LIVES[:50], 1)
    assert indices(LIVES[:50], 1) != indices(LIVES[:50], 2)
    assert indices([], 1) == ()


def test_every_policy_table_names_its_source() -> None:
    names = sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and not path.name.startswith("_"))
    assert names == ["branch", "branch-us-sba", "portfolio", "replay-assumptions"]
    for name in names:
        for version in versions(name):
            for title, table in version.terms.items():
                assert isinstance(table, dict), title
                assert table.get("source"), f"{version.ref} [{title}]"
