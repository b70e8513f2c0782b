"""Is it true? Tolerances are inclusive; missing and stale are never a pass; the dangerous direction alone counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.events.application import Figures
from libs.events.rating import Check, InformationDisputed, InformationVerified
from libs.kernel.errors import Invalid
from services.rating.domain.authenticity import Comparison, Evidence, InformationTerms, conclude, verify
from services.rating.domain.sources import HardFigures, Product, Source, SourceRecord
from tests.rating.facts import DAY, FACILITY, INFORMATION, PROFILES, bank, cny, figures, policy, tax

TERMS = INFORMATION.terms
OPTIONAL = {"filed_sales", "equity", "margin"}


def checks(
    *,
    declared: Figures | None = None,
    found: Figures | None = None,
    records: tuple[SourceRecord, ...] | None = None,
) -> dict[str, Check]:
    """The checks of the branch policy by code; the sound borrower where nothing else is said."""
    evidence = Evidence(
        declared=declared or figures(),
        found=found or figures(),
        records=(bank(), tax()) if records is None else records,
        on=DAY,
    )
    return {check.code: check for check in verify(evidence, TERMS)}


def test_a_borrower_whose_books_agree_passes_every_check() -> None:
    made = checks()
    assert {check.result for check in made.values()} == {"passed"}
    assert {check.deviation for check in made.values()} == {Decimal(0)}
    answer = conclude(FACILITY, tuple(made.values()), "small")
    assert isinstance(answer, InformationVerified)
    assert answer.size_class == "small"


@pytest.mark.parametrize(
    ("monthly", "result"), [(800_001, "passed"), (800_000, "passed"), (799_999, "failed"), (1_300_000, "passed")]
)
def test_sales_may_exceed_taxed_sales_by_the_tolerance_and_not_a_yuan_more(monthly: int, result: str) -> None:
    assert checks(records=(bank(), tax(monthly_tax_sales=cny(monthly))))["sales_vs_tax"].result == result


@pytest.mark.parametrize(("monthly", "result"), [(800_000, "passed"), (799_999, "failed")])
def test_sales_are_held_against_a_year_of_bank_inflow(monthly: int, result: str) -> None:
    assert checks(records=(bank(monthly_bank_inflow=cny(monthly)), tax()))["sales_vs_bank_inflow"].result == result


@pytest.mark.parametrize(("sales", "result"), [(10_800_000, "passed"), (10_799_999, "failed")])
def test_declared_sales_may_exceed_found_sales_by_the_tolerance(sales: int, result: str) -> None:
    check = checks(found=figures(annual_sales=sales))["declared_sales"]
    assert (check.result, check.source) == (result, "investigation")


@pytest.mark.parametrize(("declared", "result"), [(2_880_000, "passed"), (2_879_999, "failed"), (9_000_000, "passed")])
def test_liabilities_may_be_understated_by_the_tolerance_and_overstated_freely(declared: int, result: str) -> None:
    assert checks(declared=figures(total_liabilities=declared))["declared_liabilities"].result == result


def test_a_profit_declared_where_a_loss_was_found_fails() -> None:
    check = checks(found=figures(annual_profit=-1))["declared_profit"]
    assert check.result == "failed"
    assert check.deviation > 1 - Decimal("0.000001")


def test_a_figure_on_the_statement_must_be_the_one_the_office_holds() -> None:
    made = checks(found=figures(monthly_tax_sales=1_200_000, monthly_bank_inflow=1_111_111))
    assert (made["tax_statement"].result, made["bank_statement"].result) == ("failed", "passed")


@pytest.mark.parametrize(
    ("records", "missing"),
    [
        ((), {"sales_vs_tax", "tax_statement", "sales_vs_bank_inflow", "bank_statement"}),
        ((tax(),), {"sales_vs_bank_inflow", "bank_statement"}),
        ((bank(),), {"sales_vs_tax", "tax_statement"}),
    ],
)
def test_a_missing_source_is_missing_and_never_a_pass(records: tuple[SourceRecord, ...], missing: set[str]) -> None:
    made = checks(records=records)
    assert {code for code, check in made.items() if check.result == "missing"} == missing
    assert {made[code].deviation for code in missing} == {Decimal(1)}
    assert isinstance(conclude(FACILITY, tuple(made.values()), "small"), InformationDisputed)


@pytest.mark.parametrize(("age", "result"), [(89, "passed"), (90, "passed"), (91, "stale")])
def test_a_record_older_than_the_policy_allows_is_stale_however_well_it_agrees(age: int, result: str) -> None:
    made = checks(records=(bank(), tax(as_of=DAY - timedelta(days=age))))
    assert made["sales_vs_tax"].result == result
    assert made["sales_vs_bank_inflow"].result == "passed"
    assert isinstance(conclude(FACILITY, tuple(made.values()), "small"), InformationDisputed) is (result == "stale")


def test_checks_that_need_optional_data_are_skipped_without_it() -> None:
    assert not OPTIONAL & set(checks())


@pytest.mark.parametrize(("opening", "result"), [(3_852_631, "passed"), (3_852_633, "failed")])
def test_equity_that_should_be_there_may_exceed_the_found_one_by_five_per_cent(opening: int, result: str) -> None:
    # Found equity is 4.8 million: 5 % of 5,052,631.58 are short of it.
    record = tax(opening_equity=cny(opening), annual_profit=cny(1_200_000))
    assert checks(records=(bank(), record))["equity"].result == result


@pytest.mark.parametrize(("cost", "result"), [("0.90", "passed"), ("0.91", "failed")])
def test_a_net_margin_above_the_gross_margin_of_the_goods_is_impossible(cost: str, result: str) -> None:
    line = Product(cost=Decimal(cost), price=Decimal(1), sales_share=Decimal(1))
    assert checks(records=(bank(), tax(products=(line,))))["margin"].result == result


def test_filed_sales_are_compared_when_the_tax_record_states_them() -> None:
    check = checks(records=(bank(), tax(annual_sales=cny(9_000_000))))["filed_sales"]
    assert (check.result, check.deviation, check.tolerance) == ("failed", Decimal("0.25"), Decimal("0.20"))


def test_a_borrower_without_sales_claims_nothing_and_hides_nothing() -> None:
    made = checks(declared=figures(annual_sales=0), found=figures(annual_sales=0))
    assert made["sales_vs_tax"].deviation == 0
    assert "margin" not in made


def test_the_comparison_is_exact_although_the_event_shows_six_places() -> None:
    check = checks(found=figures(annual_sales=1_000_000_000_000), records=(bank(), tax()))["sales_vs_tax"]
    assert (check.deviation, check.result) == (Decimal("0.999988"), "failed")
    barely = checks(
        declared=figures(annual_sales=120_000_000_000),
        found=figures(annual_sales=120_000_000_000),
        records=(bank(), tax(monthly_tax_sales=cny("7999999999.99"))),
    )["sales_vs_tax"]
    assert (barely.deviation, barely.result) == (Decimal("0.200000"), "failed")


@pytest.mark.parametrize("profile", PROFILES)
def test_every_policy_of_the_profiles_verifies_a_sound_borrower(profile: str) -> None:
    terms = policy(InformationTerms, f"information{profile}").terms
    evidence = Evidence(declared=figures(), found=figures(), records=(bank(), tax()), on=DAY)
    assert {check.result for check in verify(evidence, terms)} == {"passed"}


@pytest.mark.parametrize(
    "changed",
    [
        {"claimed": "found.colour"},
        {"tested": "oracle.annual_sales"},
        {"tested": "tax.products"},
        {"risk": "strange"},
        {"absent": "passed"},
    ],
)
def test_a_policy_that_names_what_nobody_knows_is_invalid(changed: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        replace(TERMS.comparisons[0], **changed)


def test_a_required_source_that_no_check_uses_is_invalid() -> None:
    rest = tuple(row for row in TERMS.comparisons if row.source != Source.TAX)
    with pytest.raises(Invalid):
        replace(TERMS, comparisons=rest)
    skippable = tuple(replace(row, absent="skipped") for row in TERMS.comparisons)
    with pytest.raises(Invalid):
        replace(TERMS, comparisons=skippable)


def test_a_comparison_rests_on_the_hard_source_whichever_side_it_stands() -> None:
    sides = Comparison(code="x", claimed="tax.annual_sales", tested="found.annual_sales", tolerance=Decimal(0))
    assert sides.source == "tax"


def test_a_record_must_state_its_essential_figure_in_one_currency() -> None:
    with pytest.raises(Invalid, match="figure_missing"):
        SourceRecord(source=Source.TAX, as_of=DAY, figures=HardFigures(monthly_bank_inflow=cny(1)))
    with pytest.raises(Invalid, match="currency_mismatch"):
        tax(annual_sales=replace(cny(1), currency="USD"))
