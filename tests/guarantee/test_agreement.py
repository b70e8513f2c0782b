"""An agreement that contradicts itself is never admitted, and its hold is the most its partners can come to owe."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from libs.events.guarantee import LayerOf, ShareOf
from libs.kernel.errors import Invalid
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Agreement, ShareSource, agreed_split, hold_for, in_force, sign
from services.guarantee.domain.sharing import parts_of
from services.guarantee.domain.terms import (
    Binding,
    BindTiming,
    Cap,
    Coverage,
    Leg,
    Limits,
    Measure,
    Signature,
    Trigger,
)


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

TRIGGER = Trigger(measure=Measure.LOSS_RATIO, suspend_at=Decimal("0.1"))


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
        ("layers_not_rising", {"layers": (LayerOf(up_to=Decimal(1), shares=shares(bank="1")),)}),
        ("layers_not_rising", {"layers": tuple(LayerOf(up_to=Decimal("0.1"), shares=shares(bank="1")) for _ in "ab")}),
        ("bank_share_below_minimum", {"layers": (LayerOf(up_to=Decimal("0.1"), shares=shares(guarantor="1")),)}),
        ("weights_not_positive", {"cap": Cap(rate=Decimal("0.1"), excess=shares(bank="0"))}),
        ("version_misnamed", {"effective": date(2025, 7, 2)}),
        ("premium_above_ceiling", {"premium_rate_max": Decimal("0.0099")}),
        ("filing_days_missing", {"binding": Binding(timing=BindTiming.FILED)}),
        ("filing_days_missing", {"binding": Binding(file_days=1)}),
        ("payer_unknown", {"direct": "bank"}),
        ("payer_unknown", {"direct": "stranger"}),
        ("legs_of_strangers", {"legs": (Leg(party="guarantor", working_days=1, proof="p"),)}),
        ("legs_of_strangers", {"legs": (Leg(party="bank", working_days=1, proof="p"),)}),
        ("warned_after_suspension", {"triggers": (replace(TRIGGER, warn_at=Decimal("0.2")),)}),
        ("measure_named_twice", {"triggers": (TRIGGER, TRIGGER)}),
    ],
)
def test_terms_that_contradict_themselves_are_invalid(code: str, change: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as invalid:
        replace(AGREED, **change)
    assert invalid.value.code == code


def test_a_batch_partner_cannot_name_the_shares() -> None:
    with pytest.raises(Invalid, match="nobody_answers"):
        replace(NAMED, binding=Binding(timing=BindTiming.FILED, file_days=5))


def test_both_sides_sign_the_same_digest_however_a_number_is_written() -> None:
    assert replace(AGREED, share_max=Decimal("0.8")).digest == AGREED.digest
    assert replace(AGREED, drafted_by="someone").digest == AGREED.digest
    assert replace(AGREED, coverage=Coverage(interest=Decimal(0))).digest == AGREED.digest  # as by default
    assert replace(AGREED, coverage=Coverage(interest=Decimal("0.5"))).digest != AGREED.digest
    assert replace(AGREED, claim_wait_days=91).digest != AGREED.digest


def test_a_version_counts_from_its_day_once_both_have_signed() -> None:
    later = replace(AGREED, ref="reg-4321@2026-01-01", effective=date(2026, 1, 1))
    first, second = signed(AGREED), signed(later)
    for versions, on, expected in (
        ((first, second), date(2025, 6, 30), None),
        ((first, second), date(2025, 12, 31), first),
        ((first, second), date(2026, 1, 1), second),
        ((first, later), date(2026, 1, 1), first),
        ((AGREED,), date(2026, 1, 1), None),
    ):
        assert in_force(versions, on) == expected


def signed(agreement: Agreement) -> Agreement:
    for party in ("bank", "city-guarantee"):
        agreement = sign(agreement, Signature(party=party, by="someone", on=date(2025, 7, 1), digest=agreement.digest))
    return agreement


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


@pytest.mark.parametrize(
    ("amount", "guaranteed", "bank"), [("100.00", "80.00", "20.00"), ("100.01", "80.00", "20.01"), ("250", "80", "170")]
)
def test_a_maximum_of_one_loan_is_inclusive_and_the_rest_is_the_banks(amount: str, guaranteed: str, bank: str) -> None:
    limited = replace(AGREED, limits=Limits(cover_max=Decimal(80)))
    loan = Money(Decimal(amount), "CNY")
    sharing, held = agreed_split(limited, loan)
    assert held == hold_for(limited, loan) == Money(Decimal(guaranteed), "CNY")
    parts = {part.party: part.amount.amount for part in parts_of(loan, sharing.shares)}
    assert parts["bank"] == Decimal(bank)
    assert parts["guarantor"] == Decimal("40.00")


def test_a_maximum_of_one_loan_bounds_a_named_amount_too() -> None:
    limited = replace(NAMED, limits=Limits(cover_max=Decimal(80)))
    assert hold_for(limited, Money(Decimal(100), "CNY")) == Money(Decimal(80), "CNY")


def test_a_maximum_of_one_loan_does_not_cut_into_layers() -> None:
    layer = LayerOf(up_to=Decimal("0.1"), shares=shares(guarantor="1"))
    with pytest.raises(Invalid, match="layers_with_maximum"):
        replace(
            AGREED,
            bank_share_min=Decimal(0),
            share_max=Decimal(1),
            layers=(layer,),
            limits=Limits(cover_max=Decimal(80)),
        )
