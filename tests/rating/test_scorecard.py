"""How good is the borrower? Points, bands, requirements and caps at their thresholds; same inputs, same grade."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from libs.kernel.errors import Invalid
from services.rating.domain.inputs import RATIOS, RatingInputs, ratios, shown, snapshot
from services.rating.domain.scorecard import Cap, ScorecardTerms, Step, rate
from tests.rating.facts import FACILITY, PROFILES, SCORECARD, policy

TERMS = SCORECARD.terms
SOUND = RatingInputs(
    industry="industry",
    region="hangzhou",
    employees=60,
    size_class="small",
    years_in_business=Decimal(10),
    first_time_borrower=0,
    currency="CNY",
    amount=Decimal(1_500_000),
    annual_sales=Decimal(12_000_000),
    annual_profit=Decimal(1_200_000),
    total_assets=Decimal(8_000_000),
    total_liabilities=Decimal(3_200_000),
    monthly_bank_inflow=Decimal(1_000_000),
    monthly_tax_sales=Decimal(1_000_000),
    operating_cash_flow=None,
    debt_service=None,
    checks_failed=0,
    checks_unanswered=0,
)


def rated(terms: ScorecardTerms = TERMS, **changed: Any) -> tuple[str, int, str]:
    """(grade, score, capped by) of the sound borrower with some facts changed."""
    rating = rate(FACILITY, replace(SOUND, **changed), terms)
    return rating.grade, rating.score, rating.capped_by


def points(ratio: str, **changed: Any) -> int:
    """The points one characteristic gives the changed borrower."""
    inputs = replace(SOUND, **changed)
    characteristic = next(row for row in TERMS.characteristics if row.ratio == ratio)
    return characteristic.points(ratios(inputs, TERMS.cash_stress)[ratio], TERMS.points_missing)


def test_the_sound_borrower_reaches_full_marks() -> None:
    rating = rate(FACILITY, SOUND, TERMS)
    assert (rating.grade, rating.score, rating.capped_by, rating.reasons) == ("AAA", 100, "", ())
    assert rating.pd == Decimal("0.004")


@pytest.mark.parametrize(
    ("liabilities", "expected"),
    [
        (3_600_000, 20),
        (3_600_001, 16),
        (4_800_000, 16),
        (4_800_001, 10),
        (5_600_000, 10),
        (5_600_001, 4),
        (6_400_001, 0),
    ],
)
def test_leverage_steps_include_their_bound(liabilities: int, expected: int) -> None:
    assert points("leverage", total_liabilities=Decimal(liabilities)) == expected


@pytest.mark.parametrize(("years", "expected"), [("0.99", 0), ("1", 3), ("2.99", 3), ("3", 6), ("5", 8), ("8", 10)])
def test_years_in_business_steps_include_their_bound(years: str, expected: int) -> None:
    assert points("years_in_business", years_in_business=Decimal(years)) == expected


def test_a_flow_nobody_stated_earns_nothing() -> None:
    assert points("inflow_to_sales", monthly_bank_inflow=None) == 0
    assert points("tax_to_sales", monthly_tax_sales=None) == 0


def test_a_first_loan_costs_little() -> None:
    assert rated(first_time_borrower=1) == ("AAA", 98, "")


def scored(score: int) -> ScorecardTerms:
    """A model that gives every borrower exactly `score` points, all in one characteristic, and overrides nothing."""
    steps = (Step(points=score, at_most=Decimal(1)), Step(points=100, at_least=Decimal(2)))
    only = replace(TERMS.characteristics[0], steps=steps)
    return replace(TERMS, characteristics=(only,), requirements=(), caps=())


@pytest.mark.parametrize(
    ("score", "grade"),
    [(90, "AAA"), (89, "AA"), (80, "AA"), (79, "A"), (70, "A"), (69, "B"), (60, "B"), (59, "C"), (0, "C")],
)
def test_bands_begin_at_their_lowest_score(score: int, grade: str) -> None:
    assert rated(scored(score)) == (grade, score, "")


def test_the_best_grade_needs_full_marks_on_leverage() -> None:
    assert rated(total_liabilities=Decimal(3_600_001)) == ("AA", 96, "leverage_required")


def test_a_requirement_shuts_one_grade_and_the_next_asks_its_own() -> None:
    # Inflow of 0.84 of sales earns 5 of 15: too little for AAA and for AA.
    assert rated(monthly_bank_inflow=Decimal(840_000)) == ("A", 90, "inflow_to_sales_required")


@pytest.mark.parametrize(
    ("changed", "grade", "code"),
    [
        ({"checks_failed": 1}, "B", "information_disputed"),
        ({"checks_unanswered": 1}, "C", "information_missing"),
        ({"checks_failed": 1, "checks_unanswered": 1}, "C", "information_missing"),
        ({"total_liabilities": Decimal(5_600_000)}, "AA", ""),
        ({"total_liabilities": Decimal(5_600_001)}, "B", "leverage_high"),
        ({"total_liabilities": Decimal(6_800_000)}, "B", "leverage_high"),
        ({"total_liabilities": Decimal(6_800_001)}, "C", "over_indebted"),
        ({"total_liabilities": Decimal(8_000_001)}, "C", "insolvent"),
        ({"total_assets": Decimal(0), "total_liabilities": Decimal(1)}, "C", "insolvent"),
        ({"annual_profit": Decimal(0)}, "AA", ""),
        ({"annual_profit": Decimal(-1)}, "B", "loss_making"),
        ({"years_in_business": Decimal(1)}, "AAA", ""),
        ({"years_in_business": Decimal("0.99")}, "B", "young_business"),
        ({"industry": "real-estate"}, "B", "restricted_industry"),
        ({"operating_cash_flow": Decimal(179), "debt_service": Decimal(150)}, "B", "debt_service_thin"),
        ({"operating_cash_flow": Decimal(180), "debt_service": Decimal(150)}, "B", "debt_service_stressed"),
        ({"operating_cash_flow": Decimal("187.50"), "debt_service": Decimal(150)}, "AAA", ""),
        ({"operating_cash_flow": Decimal("187.49"), "debt_service": Decimal(150)}, "B", "debt_service_stressed"),
    ],
)
def test_a_cap_lowers_the_grade_and_names_itself(changed: dict[str, Any], grade: str, code: str) -> None:
    got, _, capped_by = rated(**changed)
    assert (got, capped_by) == (grade, code)


@pytest.mark.parametrize(("amount", "thin"), [(7_500_000, False), (7_500_001, True)])
def test_sales_too_thin_for_the_amount_cap_the_grade(amount: int, thin: bool) -> None:
    cap = next(cap for cap in TERMS.caps if cap.code == "sales_thin")
    inputs = replace(SOUND, amount=Decimal(amount))
    assert cap.applies(ratios(inputs, TERMS.cash_stress), "industry") is thin


def test_a_cap_never_raises_a_grade_nor_names_itself_in_vain() -> None:
    weak = {
        "annual_sales": Decimal(1_000_000),
        "annual_profit": Decimal(0),
        "total_liabilities": Decimal(5_500_000),
        "years_in_business": Decimal("0.5"),
    }
    assert rated(**weak)[0] == "C"
    assert rated(**weak, checks_failed=1)[2] == ""


def test_reasons_name_the_largest_losses_first_and_no_more_than_the_policy_allows() -> None:
    rating = rate(
        FACILITY,
        replace(
            SOUND,
            total_liabilities=Decimal(4_800_000),
            monthly_bank_inflow=Decimal(900_000),
            years_in_business=Decimal(3),
            first_time_borrower=1,
            annual_profit=Decimal(720_000),
        ),
        TERMS,
    )
    named = [(reason.characteristic, reason.points, reason.points_max) for reason in rating.reasons]
    assert named == [
        ("leverage", 16, 20),
        ("inflow_to_sales", 11, 15),
        ("years_in_business", 6, 10),
        ("profit_margin", 12, 15),
    ]


def test_the_snapshot_is_enough_to_rate_again() -> None:
    inputs = replace(SOUND, operating_cash_flow=Decimal("187.49"), debt_service=Decimal(150), checks_failed=2)
    rating = rate(FACILITY, inputs, TERMS)
    assert "monthly_tax_sales" in rating.inputs
    unstated = {field.name: None for field in fields(RatingInputs)}
    again = TypeAdapter(RatingInputs).validate_python({**unstated, **rating.inputs})
    assert again == inputs
    assert rate(FACILITY, again, TERMS) == rating


def test_what_nobody_stated_is_left_out_of_the_snapshot() -> None:
    assert "debt_service" not in snapshot(SOUND)
    assert "debt_service_cover" not in shown(ratios(SOUND, TERMS.cash_stress))


def test_the_model_sees_no_term_no_price_and_no_outcome() -> None:
    known = {field.name for field in fields(RatingInputs)} | set(RATIOS)
    for leak in ("tenor", "term", "rate", "maturity", "default", "overdue", "charge", "outcome", "agreement"):
        assert not [name for name in known if leak in name.split("_")]


amounts = st.decimals(min_value=0, max_value=10**9, places=2)


@pytest.mark.parametrize("profile", PROFILES)
@given(
    sales=amounts,
    profit=st.decimals(min_value=-(10**9), max_value=10**9, places=2),
    assets=amounts,
    debts=amounts,
    inflow=st.none() | amounts,
    failed=st.integers(0, 3),
    years=st.decimals(min_value=0, max_value=50, places=1),
)
def test_any_borrower_gets_one_grade_no_better_than_the_score_says(
    profile: str,
    sales: Decimal,
    profit: Decimal,
    assets: Decimal,
    debts: Decimal,
    inflow: Decimal | None,
    failed: int,
    years: Decimal,
) -> None:
    terms = policy(ScorecardTerms, f"scorecard{profile}").terms
    inputs = replace(
        SOUND,
        annual_sales=sales,
        annual_profit=profit,
        total_assets=assets,
        total_liabilities=debts,
        monthly_bank_inflow=inflow,
        checks_failed=failed,
        years_in_business=years,
    )
    rating = rate(FACILITY, inputs, terms)
    by_score = next(row.grade for row in terms.grades if rating.score >= row.score_min)
    assert 0 <= rating.score <= 100
    assert terms.rank(rating.grade) >= terms.rank(by_score)
    assert bool(rating.capped_by) == (rating.grade != by_score)
    assert len(rating.reasons) <= terms.reasons_max
    if failed:
        assert terms.rank(rating.grade) >= terms.rank("B")


@pytest.mark.parametrize("profile", PROFILES)
@given(debts=amounts, more=amounts)
def test_more_debt_never_gives_a_better_grade(profile: str, debts: Decimal, more: Decimal) -> None:
    terms = policy(ScorecardTerms, f"scorecard{profile}").terms
    grades = [rate(FACILITY, replace(SOUND, total_liabilities=owed), terms).grade for owed in (debts, debts + more)]
    assert terms.rank(grades[0]) <= terms.rank(grades[1])


def broken(what: str) -> dict[str, Any]:
    """Changes that make the branch model inconsistent."""
    first, last = TERMS.grades[0], TERMS.grades[-1]
    stranger = replace(TERMS.caps[0], ratio="shoe_size")
    return {
        "points": {"characteristics": TERMS.characteristics[1:]},
        "order": {"grades": TERMS.grades[::-1]},
        "pd": {"grades": (replace(first, pd=Decimal("0.9")), *TERMS.grades[1:])},
        "floor": {"grades": TERMS.grades[:-1]},
        "ratio": {"caps": (stranger,)},
        "grade": {"caps": (replace(TERMS.caps[0], grade="Z"),)},
        "unscored": {"requirements": (replace(TERMS.requirements[0], ratio="checks_failed"),)},
        "shut": {"requirements": (replace(TERMS.requirements[0], grade=last.grade),)},
    }[what]


@pytest.mark.parametrize("what", ["points", "order", "pd", "floor", "ratio", "grade", "unscored", "shut"])
def test_an_inconsistent_model_is_invalid(what: str) -> None:
    with pytest.raises(Invalid):
        replace(TERMS, **broken(what))


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"ratio": "leverage"},
        {"ratio": "leverage", "above": Decimal(1), "below": Decimal(2)},
        {"ratio": "leverage", "above": Decimal(1), "industries": ("x",)},
        {"above": Decimal(1), "industries": ("x",)},
    ],
)
def test_a_cap_has_exactly_one_condition(condition: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        Cap(code="c", grade="C", **condition)


def test_a_step_has_exactly_one_bound() -> None:
    for bounds in ({}, {"at_least": Decimal(1), "at_most": Decimal(2)}):
        with pytest.raises(Invalid):
            Step(points=1, **bounds)
