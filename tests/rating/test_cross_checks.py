"""The cross-check formulas against the domain vectors and at their edges."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest

from libs.kernel.errors import Invalid
from services.rating.domain.cross_checks import (
    debt_service_cover,
    expected_equity,
    gross_margin,
    overstatement,
    understatement,
)
from services.rating.domain.sources import HardFigures, Product
from tests.rating.facts import SCORECARD, cny, vector


def per_cent(ratio: Decimal) -> str:
    return f"{(ratio * 100).quantize(Decimal('0.01'), ROUND_HALF_UP)}%"


def test_equity_that_should_be_there_counts_profit_injections_appreciation_withdrawals_and_depreciation() -> None:
    case = vector("CHK-01")
    given, expected = case["input"], case["expected"]
    record = HardFigures(
        opening_equity=cny(given["initial"]),
        annual_profit=cny(given["profit"]),
        injections=cny(given["injection"]),
        appreciation=cny(given["appreciation"]),
        withdrawals=cny(given["withdrawal"]),
        depreciation=cny(given["depreciation"]),
    )
    should = expected_equity(record)
    actual = Decimal(given["assets"] - given["liabilities"])
    assert should == cny(expected["should"])
    assert actual == expected["actual"]
    deviation = overstatement(Decimal(expected["should"]), actual)
    assert per_cent(deviation) == expected["deviation"]
    assert (deviation <= Decimal("0.05")) is expected["pass_at_5pct"]


def test_equity_is_unknown_without_opening_equity_or_profit() -> None:
    assert expected_equity(HardFigures(opening_equity=cny(1))) is None
    assert expected_equity(HardFigures(annual_profit=cny(1))) is None
    assert expected_equity(HardFigures(opening_equity=cny(5), annual_profit=cny(-2))) == cny(3)


def test_gross_margin_is_weighted_by_share_of_sales() -> None:
    case = vector("CHK-02")
    lines = [
        Product(cost=Decimal(cost), price=Decimal(price), sales_share=Decimal(str(share)))
        for cost, price, share in case["input"]["items"]
    ]
    margin = gross_margin(lines)
    assert margin is not None
    assert per_cent(margin) == case["expected"]["margin"]
    assert gross_margin([]) is None


def test_deviation_of_a_claim_is_the_part_of_it_that_was_not_confirmed() -> None:
    case = vector("CHK-04")
    own = Decimal(case["input"]["self"])
    assert per_cent(overstatement(own, Decimal(case["input"]["audited"]))) == case["expected"]["self_vs_audited"]
    assert per_cent(overstatement(own, Decimal(case["input"]["tax"]))) == case["expected"]["self_vs_tax"]


def test_debt_service_cover_is_taken_plain_and_under_the_policys_stress() -> None:
    case = vector("CHK-05")
    cash, service = Decimal(case["input"]["cfo"]), Decimal(case["input"]["debt_service"])
    plain = debt_service_cover(cash, service)
    stressed = debt_service_cover(cash, service, SCORECARD.terms.cash_stress)
    assert plain is not None
    assert stressed is not None
    assert f"{plain:.2f}" == case["expected"]["base"]
    assert f"{stressed:.2f}" == case["expected"]["stress"]
    caps = {cap.code: cap for cap in SCORECARD.terms.caps}
    values = {"debt_service_cover": plain, "debt_service_cover_stressed": stressed}
    assert caps["debt_service_thin"].applies(values, "industry") is not case["expected"]["base_ok"]
    assert caps["debt_service_stressed"].applies(values, "industry") is not case["expected"]["stress_ok"]


def test_nothing_to_serve_has_no_cover_ratio() -> None:
    assert debt_service_cover(Decimal(10), Decimal(0)) is None


@pytest.mark.parametrize(
    ("claimed", "tested", "deviation"),
    [
        ("100", "80", "0.2"),
        ("100", "120", "-0.2"),
        ("0", "0", "0"),
        ("0", "5", "0"),
        ("0", "-5", "1"),
        ("-10", "-20", "1"),
        ("-10", "-5", "-0.5"),
    ],
)
def test_overstatement_is_positive_only_when_the_truth_is_worse(claimed: str, tested: str, deviation: str) -> None:
    assert overstatement(Decimal(claimed), Decimal(tested)) == Decimal(deviation)


@pytest.mark.parametrize(
    ("claimed", "tested", "deviation"), [("80", "100", "0.2"), ("100", "80", "-0.25"), ("5", "0", "0"), ("0", "5", "1")]
)
def test_understatement_is_positive_only_when_something_owed_was_kept_small(
    claimed: str, tested: str, deviation: str
) -> None:
    assert understatement(Decimal(claimed), Decimal(tested)) == Decimal(deviation)


@pytest.mark.parametrize(("cost", "price", "share"), [("1", "0", "0.5"), ("-1", "2", "0.5"), ("1", "2", "1.01")])
def test_an_impossible_product_line_is_invalid(cost: str, price: str, share: str) -> None:
    with pytest.raises(Invalid):
        Product(cost=Decimal(cost), price=Decimal(price), sales_share=Decimal(share))
