"""An agreement that contradicts itself is never admitted, and its hold is the most its partners can come to owe."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from libs.events.guarantee import ShareOf
from libs.kernel.errors import Invalid
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Agreement, ShareSource, hold_for


def shares(**weights: str) -> tuple[ShareOf, ...]:
    return tuple(ShareOf(party=party, weight=Decimal(weight)) for party, weight in weights.items())


AGREED = Agreement(
    ref="reg-4321@2025-07-01",
    code="reg-4321",
    partner_id="city-guarantee",
    kind="guarantor",
    share_source=ShareSource.AGREEMENT,
    shares=shares(guarantor="4", reguarantor="3", bank="2", government="1"),
    share_max=Decimal("0.80"),
    currency="CNY",
    capacity=Money(Decimal(1000000), "CNY"),
    grades=("A", "B"),
    bank_share_min=Decimal("0.20"),
    premium_rate=Decimal("0.01"),
    premium_payer="borrower",
    claim_wait_days=90,
    pay_working_days=10,
    effective=date(2025, 7, 1),
    source="contract",
)
NAMED = replace(
    AGREED,
    ref="sba-7a@2025-07-01",
    code="sba-7a",
    share_source=ShareSource.ANSWER,
    shares=(),
    share_max=Decimal("0.85"),
)


def test_the_hold_of_agreed_shares_is_what_the_partners_would_bear() -> None:
    assert hold_for(AGREED, Money(Decimal(1000000), "CNY")) == Money(Decimal(800000), "CNY")


def test_the_hold_of_an_open_answer_is_the_most_it_may_name() -> None:
    assert hold_for(NAMED, Money(Decimal(1000000), "CNY")) == Money(Decimal(850000), "CNY")


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("party_named_twice", {"shares": (*shares(guarantor="8", bank="2"), *shares(bank="1"))}),
        ("parties_incomplete", {"shares": shares(guarantor="8", reguarantor="2")}),
        ("parties_incomplete", {"shares": shares(bank="1")}),
        ("parties_incomplete", {"shares": ()}),
        ("weights_not_positive", {"shares": shares(guarantor="10", bank="0")}),
        ("shares_named_twice", {"share_source": ShareSource.ANSWER}),
    ],
)
def test_terms_that_contradict_themselves_are_invalid(code: str, change: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as invalid:
        replace(AGREED, **change)
    assert invalid.value.code == code


@pytest.mark.parametrize(("least", "admitted"), [("0.19", True), ("0.20", True), ("0.21", False)])
def test_the_bank_keeps_at_least_its_minimum_inclusive(least: str, admitted: bool) -> None:
    if admitted:
        assert replace(AGREED, bank_share_min=Decimal(least)).bank_share_min == Decimal(least)
    else:
        with pytest.raises(Invalid, match="bank_share_below_minimum"):
            replace(AGREED, bank_share_min=Decimal(least))


@pytest.mark.parametrize(("most", "admitted"), [("0.81", True), ("0.80", True), ("0.79", False)])
def test_the_partners_bear_at_most_their_maximum_inclusive(most: str, admitted: bool) -> None:
    if admitted:
        assert replace(AGREED, share_max=Decimal(most)).share_max == Decimal(most)
    else:
        with pytest.raises(Invalid, match="shares_above_maximum"):
            replace(AGREED, share_max=Decimal(most))
