"""The recommendation: nothing on an incomplete file; each reason at its threshold; advice does not refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from libs.events.application import Figures, Profile, SecurityOffer
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.application.domain.facility import Application, CoverState, Facility, Item, Status
from services.application.domain.pricing import PricingTerms, break_even_rate
from services.application.domain.review import ReviewTerms, coverage, missing_facts, recommend

PRICING = PricingTerms(
    lgd=Decimal("0.45"),
    funding_rate=Decimal("0.02"),
    operating_rate=Decimal("0.012"),
    risk_weight=Decimal("0.75"),
    capital_ratio=Decimal("0.105"),
    tax_rate=Decimal("0.25"),
    hurdle=Decimal("0.12"),
)
TERMS = ReviewTerms(
    grades=("AAA", "AA", "A", "B", "C"),
    grade_min="B",
    leverage_max=Decimal("0.70"),
    amount_to_sales_max=Decimal("0.50"),
    years_in_business_min=Decimal(1),
    coverage_min=Decimal(1),
    refuse_on=(
        "information_disputed",
        "grade_below_minimum",
        "leverage_above_maximum",
        "amount_above_sales",
        "business_too_young",
        "security_insufficient",
    ),
    pricing=PRICING,
)


def cny(amount: str | int | Decimal) -> Money:
    return Money(Decimal(amount), "CNY")


FIGURES = Figures(
    annual_sales=cny(2000),
    annual_profit=cny(100),
    total_assets=cny(1000),
    total_liabilities=cny(600),
    monthly_bank_inflow=cny(160),
    monthly_tax_sales=cny(165),
)
ASKED = Application(
    amount=cny(1000),
    tenor_months=12,
    annual_rate=Decimal("0.08"),
    product="working-capital",
    profile=Profile(
        industry="retail", region="hangzhou", employees=12, years_in_business=Decimal(1), first_time_borrower=False
    ),
    declared=FIGURES,
    security=(SecurityOffer(kind="house", declared_value=cny(1500), index_series="cn-house-hangzhou"),),
    agreement="reg-4321",
)
COMPLETE = Facility(
    facility_id="f",
    external_ref="x",
    borrower_id="b",
    channel="tax-platform",
    branch="b1",
    status=Status.SUBMITTED,
    referred_on=date(2025, 9, 1),
    currency="CNY",
    application=ASKED,
    figures=FIGURES,
    information="verified",
    grade="A",
    score=75,
    pd=Decimal("0.02"),
    items=(Item(collateral_id="c", capacity=cny(200)),),
    cover=CoverState.BOUND,
    guaranteed=cny(800),
)


def reasons(facility: Facility) -> tuple[str, ...]:
    return recommend(facility, TERMS).reasons


def asked(**changes: object) -> Facility:
    return replace(COMPLETE, application=replace(ASKED, **changes))  # type: ignore[arg-type]  # fields of Application


def test_a_sound_file_is_recommended_without_a_reason() -> None:
    assert recommend(COMPLETE, TERMS).recommendation == "approve"
    assert reasons(COMPLETE) == ()


@pytest.mark.parametrize(
    ("lacking", "name"),
    [
        ({"figures": None}, "investigation"),
        ({"information": ""}, "information"),
        ({"grade": ""}, "rating"),
        ({"items": ()}, "valuation"),
        ({"items": (Item(collateral_id="c"),)}, "valuation"),
        ({"cover": CoverState.OPEN}, "cover"),
    ],
)
def test_there_is_no_opinion_on_an_incomplete_file(lacking: dict[str, object], name: str) -> None:
    facility = replace(COMPLETE, **lacking)  # type: ignore[arg-type]  # fields of Facility
    assert missing_facts(facility) == (name,)
    with pytest.raises(Refused, match="facts_incomplete") as refused:
        recommend(facility, TERMS)
    assert refused.value.facts == {"missing": name}


def test_a_refused_cover_completes_the_file_and_a_file_without_agreement_waits_for_none() -> None:
    assert missing_facts(replace(COMPLETE, cover=CoverState.REFUSED)) == ()
    assert missing_facts(replace(asked(agreement=""), cover=CoverState.OPEN)) == ()


def test_disputed_information_refuses() -> None:
    assert recommend(replace(COMPLETE, information="disputed"), TERMS).recommendation == "refuse"


@pytest.mark.parametrize(("grade", "low"), [("AAA", False), ("B", False), ("C", True), ("D", True)])
def test_the_minimum_grade_is_still_good_enough(grade: str, *, low: bool) -> None:
    assert ("grade_below_minimum" in reasons(replace(COMPLETE, grade=grade))) is low


@pytest.mark.parametrize(("owed", "high"), [("699.99", False), ("700", False), ("700.01", True)])
def test_leverage_above_the_maximum_is_a_reason(owed: str, *, high: bool) -> None:
    figures = replace(FIGURES, total_liabilities=cny(owed))
    assert ("leverage_above_maximum" in reasons(replace(COMPLETE, figures=figures))) is high


def test_debts_without_any_assets_are_too_much_leverage() -> None:
    figures = replace(FIGURES, total_assets=cny(0), total_liabilities=cny("0.01"))
    assert "leverage_above_maximum" in reasons(replace(COMPLETE, figures=figures))


@pytest.mark.parametrize(("sales", "thin"), [("2000.01", False), ("2000", False), ("1999.99", True)])
def test_the_amount_may_be_half_of_sales_and_no_more(sales: str, *, thin: bool) -> None:
    figures = replace(FIGURES, annual_sales=cny(sales))
    assert ("amount_above_sales" in reasons(replace(COMPLETE, figures=figures))) is thin


@pytest.mark.parametrize(("years", "young"), [("0.9", True), ("1", False)])
def test_a_business_of_less_than_a_year_is_too_young(years: str, *, young: bool) -> None:
    profile = replace(ASKED.profile, years_in_business=Decimal(years))
    assert ("business_too_young" in reasons(asked(profile=profile))) is young


@pytest.mark.parametrize(("capacity", "short"), [("199.99", True), ("200", False)])
def test_security_and_guarantee_together_must_carry_the_amount(capacity: str, *, short: bool) -> None:
    facility = replace(COMPLETE, items=(Item(collateral_id="c", capacity=cny(capacity)),))
    assert ("security_insufficient" in reasons(facility)) is short


def test_a_refused_cover_leaves_only_the_security_to_carry_the_amount() -> None:
    facility = replace(COMPLETE, cover=CoverState.REFUSED, guaranteed=None)
    assert coverage(facility) == Decimal("0.2")
    assert reasons(facility) == ("security_insufficient", "cover_refused")


def test_a_refused_cover_alone_is_advice_and_does_not_refuse() -> None:
    facility = replace(
        COMPLETE,
        cover=CoverState.REFUSED,
        guaranteed=None,
        items=(Item(collateral_id="c", capacity=cny(1000)),),
    )
    found = recommend(facility, TERMS)
    assert (found.recommendation, found.reasons) == ("approve", ("cover_refused",))


def test_a_price_below_break_even_is_told_to_the_approver_and_does_not_refuse() -> None:
    floor = break_even_rate(Decimal("0.02"), PRICING)
    assert reasons(asked(annual_rate=floor)) == ()
    found = recommend(asked(annual_rate=floor - Decimal("0.000001")), TERMS)
    assert (found.recommendation, found.reasons) == ("approve", ("price_below_break_even",))
