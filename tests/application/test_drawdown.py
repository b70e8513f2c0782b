"""Drawing under a facility: limit, validity and tenor at their last cent and day; conditions before the money."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from libs.events.application import Figures, Profile, SecurityOffer
from libs.kernel.errors import Invalid, Refused
from libs.kernel.money import Money
from services.application.domain.drawdown import DrawdownTerms, check_drawdown, unmet_conditions
from services.application.domain.facility import (
    Application,
    CoverState,
    Facility,
    LendingTerms,
    Status,
    check_offer,
    check_status,
    with_capacity,
    with_disposed,
    with_perfected,
)


def cny(amount: str | int | Decimal) -> Money:
    return Money(Decimal(amount), "CNY")


LENDING = LendingTerms(currency="CNY", amount_max=Decimal(1000), tenor_months_max=12, validity_months=12)
TERMS = DrawdownTerms(maturity_over_tenor_months_max=0)
TODAY = date(2025, 9, 8)
FIGURES = Figures(
    annual_sales=cny(2000),
    annual_profit=cny(-1),
    total_assets=cny(1000),
    total_liabilities=cny(600),
    monthly_bank_inflow=cny(160),
    monthly_tax_sales=cny(165),
)
HOUSE = SecurityOffer(kind="house", declared_value=cny(1500), index_series="cn-house-hangzhou")
ASKED = Application(
    amount=cny(1000),
    tenor_months=12,
    annual_rate=Decimal("0.05"),
    product="working-capital",
    profile=Profile(
        industry="retail", region="hangzhou", employees=12, years_in_business=Decimal(3), first_time_borrower=False
    ),
    declared=FIGURES,
    security=(HOUSE, HOUSE),
    agreement="reg-4321",
)
GRANTED = Facility(
    facility_id="f",
    external_ref="x",
    borrower_id="b",
    channel="tax-platform",
    branch="b1",
    status=Status.CONTRACTED,
    referred_on=TODAY,
    currency="CNY",
    application=ASKED,
    cover=CoverState.BOUND,
    limit=cny(1000),
    valid_until=date(2026, 9, 8),
)
SECURED = with_perfected(with_perfected(GRANTED, "c1"), "c2")


def draw(
    facility: Facility = GRANTED,
    amount: str = "1000",
    maturity: date = date(2026, 9, 8),
    today: date = TODAY,
) -> None:
    check_drawdown(facility, cny(amount), maturity, today, TERMS)


def test_the_whole_limit_may_be_drawn_for_the_whole_tenor_on_the_last_valid_day() -> None:
    draw()
    draw(today=date(2026, 9, 8), maturity=date(2027, 9, 8))


def test_a_drawdown_outside_the_facility_is_refused() -> None:
    with pytest.raises(Refused, match="above_limit"):
        draw(amount="1000.01")
    with pytest.raises(Refused, match="limit_expired"):
        draw(today=date(2026, 9, 9))
    with pytest.raises(Refused, match="maturity_beyond_tenor"):
        draw(maturity=date(2026, 9, 9))
    with pytest.raises(Refused, match="already_drawn"):
        draw(replace(GRANTED, loan_id="l"))
    with pytest.raises(Refused, match="no_limit"):
        draw(replace(GRANTED, limit=None))


def test_money_waits_for_contract_security_and_cover() -> None:
    waiting = replace(GRANTED, status=Status.APPROVED, cover=CoverState.OPEN)
    assert unmet_conditions(waiting) == ("contract", "security", "cover")
    assert unmet_conditions(SECURED) == ()


def test_every_item_must_be_perfected() -> None:
    assert unmet_conditions(with_perfected(GRANTED, "c1")) == ("security",)


def test_a_refused_cover_is_no_longer_waited_for_and_none_asked_never_was() -> None:
    assert unmet_conditions(replace(SECURED, cover=CoverState.REFUSED)) == ()
    unasked = replace(SECURED, cover=CoverState.OPEN, application=replace(ASKED, agreement=""))
    assert unmet_conditions(unasked) == ()


def test_an_unsecured_facility_waits_for_no_security_and_has_nothing_to_sell() -> None:
    unsecured = replace(GRANTED, application=replace(ASKED, security=()))
    assert unmet_conditions(unsecured) == ()
    assert unsecured.all_disposed


def test_facts_about_items_add_up_in_any_order() -> None:
    one = with_disposed(with_perfected(with_capacity(GRANTED, "c1", cny(600)), "c1"), "c2")
    other = with_perfected(with_capacity(with_disposed(GRANTED, "c2"), "c1", cny(600)), "c1")
    assert one.items == other.items
    assert one.capacity == cny(600)
    assert not one.all_valued
    assert not one.all_disposed
    assert with_disposed(one, "c1").all_disposed


def test_the_frame_of_the_product_holds_at_its_last_unit() -> None:
    check_offer(ASKED, LENDING)
    with pytest.raises(Refused, match="amount_above_maximum"):
        check_offer(replace(ASKED, amount=cny("1000.01")), LENDING)
    with pytest.raises(Refused, match="tenor_above_maximum"):
        check_offer(replace(ASKED, tenor_months=13), LENDING)


def test_an_application_is_in_one_currency_and_it_is_ours() -> None:
    dollars = Money(Decimal(1), "USD")
    for foreign in (
        replace(ASKED, amount=dollars),
        replace(ASKED, declared=replace(FIGURES, annual_profit=dollars)),
        replace(ASKED, security=(replace(HOUSE, declared_value=dollars),)),
    ):
        with pytest.raises(Invalid, match="currency_not_lent"):
            check_offer(foreign, LENDING)


def test_a_step_out_of_turn_is_refused_with_where_the_file_stands() -> None:
    with pytest.raises(Refused, match="wrong_status") as refused:
        check_status(GRANTED, Status.SUBMITTED)
    assert refused.value.facts == {"stands": "contracted"}
