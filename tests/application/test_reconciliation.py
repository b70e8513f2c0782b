"""Two sealed findings: equal within tolerance they become one prudent value, beyond it a third person decides."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.application import Figures
from libs.kernel.errors import NotAllowed, Refused
from libs.kernel.money import Money
from services.application.domain.investigation import (
    Investigation,
    InvestigationTerms,
    ModeBand,
    agree,
    deviation,
    differences,
    filed,
    mode_for,
    prudent,
)

TOLERANCE = Decimal("0.05")


def cny(amount: str | int | Decimal) -> Money:
    return Money(Decimal(amount), "CNY")


FIGURES = Figures(
    annual_sales=cny(1000),
    annual_profit=cny(100),
    total_assets=cny(800),
    total_liabilities=cny(400),
    monthly_bank_inflow=cny(80),
    monthly_tax_sales=cny(82),
)
OPEN = Investigation(facility_id="f", mode="blind", lead="li", assistant="wang")


@pytest.mark.parametrize(
    ("other", "together"),
    [("950.00", True), ("949.99", False), ("1000", True), ("1052.63", True), ("1052.64", False)],
)
def test_findings_agree_up_to_and_including_the_tolerance(other: str, *, together: bool) -> None:
    assert agree(FIGURES, replace(FIGURES, annual_sales=cny(other)), TOLERANCE) is together


def test_the_deviation_is_relative_to_the_larger_finding_whoever_filed_it() -> None:
    assert deviation(cny(950), cny(1000)) == deviation(cny(1000), cny(950)) == Decimal("0.05")


def test_two_zeros_do_not_differ_and_a_profit_differs_wholly_from_a_loss() -> None:
    assert deviation(cny(0), cny(0)) == 0
    assert deviation(cny(100), cny(-100)) == 2


def test_the_prudent_value_is_the_lower_but_of_liabilities_the_higher() -> None:
    other = replace(FIGURES, annual_sales=cny(990), annual_profit=cny(-5), total_liabilities=cny(410))
    found = prudent(FIGURES, other)
    assert (found.annual_sales, found.annual_profit, found.total_liabilities) == (cny(990), cny(-5), cny(410))
    assert found.total_assets == cny(800)


def test_every_differing_field_stays_on_record_with_its_deviation() -> None:
    other = replace(FIGURES, annual_sales=cny(900), monthly_tax_sales=cny(81))
    found = {difference.field: difference.deviation for difference in differences(FIGURES, other, TOLERANCE)}
    assert found == {"annual_sales": Decimal("0.100000"), "monthly_tax_sales": Decimal("0.012195")}


def test_equal_findings_leave_no_difference() -> None:
    assert differences(FIGURES, FIGURES, TOLERANCE) == ()


amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=2)
all_figures = st.builds(Figures, **{field.name: st.builds(Money, amounts, st.just("CNY")) for field in fields(Figures)})


@given(all_figures, all_figures)
def test_reconciling_does_not_depend_on_who_filed_first(one: Figures, other: Figures) -> None:
    assert agree(one, other, TOLERANCE) == agree(other, one, TOLERANCE)
    assert prudent(one, other) == prudent(other, one)
    assert differences(one, other, TOLERANCE) == differences(other, one, TOLERANCE)


@given(all_figures, all_figures)
def test_the_reconciled_borrower_is_never_better_than_either_finding(one: Figures, other: Figures) -> None:
    found = prudent(one, other)
    for field in fields(Figures):
        value, sides = getattr(found, field.name), (getattr(one, field.name), getattr(other, field.name))
        assert value in sides
        assert all(value >= side if field.name == "total_liabilities" else value <= side for side in sides)


def test_only_the_two_named_people_may_file() -> None:
    with pytest.raises(NotAllowed, match="not_investigator"):
        filed(OPEN, "zhao", FIGURES)


def test_nobody_files_twice() -> None:
    once = filed(OPEN, "li", FIGURES)
    with pytest.raises(Refused, match="already_filed"):
        filed(once, "li", FIGURES)
    assert [filing.investigator for filing in filed(once, "wang", FIGURES).filings] == ["li", "wang"]


@pytest.mark.parametrize(("amount", "mode"), [("1000000", "joint"), ("1000000.01", "blind"), ("3000000", "blind")])
def test_the_mode_follows_the_amount_bands_inclusive(amount: str, mode: str) -> None:
    terms = InvestigationTerms(
        tolerance=TOLERANCE,
        modes=(
            ModeBand(amount_max=Decimal(3_000_000), mode="blind"),
            ModeBand(amount_max=Decimal(1_000_000), mode="joint"),
        ),
    )
    assert mode_for(cny(amount), terms) == mode
    with pytest.raises(Refused, match="no_investigation_mode"):
        mode_for(cny("3000000.01"), terms)
