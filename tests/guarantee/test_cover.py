"""A cover is asked for when its facts are complete, binds only within terms, and gives back what it does not need."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from libs.events.guarantee import CapacityReleased, CoverBound, CoverRefused, CoverReleased, ShareOf
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Adoption, Agreement, ShareSource
from services.guarantee.domain.cover import (
    Cover,
    CoverAnswer,
    CoverFile,
    CoverState,
    CoverTerms,
    ask_partner,
    cover_wanted,
    drop_cover,
    expire_hold,
    hold_cover,
    refuse_cover,
    release_cover,
    settle_answer,
    why_not_eligible,
)
from services.guarantee.domain.terms import Adopting, Eligibility

TODAY = date(2025, 9, 1)
TERMS = CoverTerms(bank_share_min=Decimal("0.20"))
OPEN_TERMS = CoverTerms(bank_share_min=Decimal(0))


def cny(amount: str) -> Money:
    return Money(Decimal(amount), "CNY")


def shares(**weights: str) -> tuple[ShareOf, ...]:
    return tuple(ShareOf(party=party, weight=Decimal(weight)) for party, weight in weights.items())


AGREED = Agreement(
    ref="ins-28@2025-09-01",
    code="ins-28",
    partner_id="insurer-1",
    kind="insurer",
    share_source=ShareSource.AGREEMENT,
    shares=shares(insurer="8", bank="2"),
    share_max=Decimal("0.80"),
    currency="CNY",
    capacity=Money(Decimal(1000000), "CNY"),
    grades=("A", "B"),
    bank_share_min=Decimal("0.20"),
    premium_rate=Decimal("0.02"),
    premium_payer="borrower",
    claim_wait_days=90,
    pay_working_days=10,
    effective=TODAY,
    source="contract",
)
NAMED = replace(
    AGREED,
    ref="sba-7a@2025-09-01",
    code="sba-7a",
    share_source=ShareSource.ANSWER,
    shares=(),
    share_max=Decimal("0.85"),
    bank_share_min=Decimal("0.15"),
)
FILE = CoverFile(facility_id="f1", currency="CNY", amount=cny("100000"), agreement="ins-28", grade="A")


def asked(agreement: Agreement) -> Cover:
    return hold_cover(FILE, agreement, cny("100000"), "c1", ())[0]


def why_not(
    file: CoverFile = FILE,
    agreement: Agreement = AGREED,
    adoption: Adoption | None = None,
    terms: CoverTerms = TERMS,
    amount: str = "100000",
) -> str:
    return why_not_eligible(file, cny(amount), agreement, adoption, terms)


def yes(guaranteed: str | None) -> CoverAnswer:
    return CoverAnswer(accepted=True, guaranteed=None if guaranteed is None else cny(guaranteed), reason="")


def test_a_cover_is_wanted_once_application_and_rating_are_known() -> None:
    assert cover_wanted(FILE) == cny("100000")
    assert cover_wanted(replace(FILE, grade="")) is None
    assert cover_wanted(CoverFile(facility_id="f1", grade="A")) is None


def test_no_cover_is_wanted_without_an_agreement_or_after_the_application_was_refused() -> None:
    assert cover_wanted(replace(FILE, agreement="")) is None
    assert cover_wanted(replace(FILE, application_refused=True)) is None


def test_a_request_within_terms_is_eligible() -> None:
    assert why_not() == ""


def test_a_grade_outside_the_agreement_is_not_eligible() -> None:
    assert why_not(replace(FILE, grade="C")) == "grade_not_eligible"


def test_another_currency_is_not_covered() -> None:
    assert why_not(replace(FILE, currency="USD")) == "currency_not_covered"


ELIGIBLE = Eligibility(
    amount_max=Decimal(100000),
    tenor_months_max=12,
    rate_max=Decimal("0.05"),
    industries=("retail",),
    size_classes=("small",),
    products=("working-capital",),
    territory=("b1",),
)
SOUND = replace(
    FILE,
    tenor_months=12,
    annual_rate=Decimal("0.05"),
    industry="retail",
    size_class="small",
    product="working-capital",
    branch="b1",
)


@pytest.mark.parametrize(
    ("change", "amount", "reason"),
    [
        ({}, "100000.00", ""),
        ({}, "100000.01", "amount_not_eligible"),
        ({"tenor_months": 13}, "1", "tenor_not_eligible"),
        ({"annual_rate": Decimal("0.0501")}, "1", "rate_above_ceiling"),
        ({"industry": "mining"}, "1", "industry_not_eligible"),
        ({"size_class": "large"}, "1", "size_not_eligible"),
        ({"product": "rollover"}, "1", "product_not_eligible"),
        ({"branch": "b2"}, "1", "territory_not_covered"),
    ],
)
def test_a_loan_outside_the_terms_is_not_eligible_and_its_bounds_are_inclusive(
    change: dict[str, Any], amount: str, reason: str
) -> None:
    assert why_not(replace(SOUND, **change), replace(AGREED, eligibility=ELIGIBLE), amount=amount) == reason


def test_an_agreement_to_be_adopted_serves_only_branches_that_did_and_within_their_limits() -> None:
    agreed = replace(AGREED, adopting=Adopting.ADOPTED_ONLY)
    adoption = Adoption(
        adoption_id="ins-28/b1",
        code="ins-28",
        branch="b1",
        currency="CNY",
        capacity=cny("500000"),
        amount_max=cny("100000"),
        grades=("A",),
        adopted_by="someone",
        adopted_on=TODAY,
    )
    assert why_not(agreement=agreed) == "agreement_not_adopted"
    assert why_not(agreement=agreed, adoption=adoption) == ""
    assert why_not(agreement=agreed, adoption=adoption, amount="100000.01") == "adoption_too_narrow"
    assert why_not(replace(FILE, grade="B"), agreed, adoption) == "adoption_too_narrow"


def test_a_hold_that_expired_is_refused_and_a_yes_that_comes_after_it_is_left_to_people() -> None:
    expired, (refused, back) = expire_hold(asked(AGREED))
    assert (expired.state, expired.held) == (CoverState.REFUSED, cny("0"))
    assert isinstance(refused, CoverRefused)
    assert isinstance(back, CapacityReleased)
    assert (refused.reason, back.amount) == ("hold_expired", cny("80000"))
    assert settle_answer(expired, AGREED, CoverAnswer(accepted=False, guaranteed=None, reason=""), TERMS)[1] == ()
    with pytest.raises(Refused, match="cover_already_answered"):
        settle_answer(expired, AGREED, yes(None), TERMS)


def test_a_cover_that_was_answered_in_time_does_not_expire() -> None:
    bound, _ = settle_answer(asked(AGREED), AGREED, yes(None), TERMS)
    assert expire_hold(bound) == (bound, ())


@pytest.mark.parametrize(("least", "reason"), [("0.19", ""), ("0.20", ""), ("0.21", "bank_share_below_minimum")])
def test_the_banks_own_policy_may_ask_for_more_than_the_agreement(least: str, reason: str) -> None:
    assert why_not(terms=CoverTerms(bank_share_min=Decimal(least))) == reason


def test_a_request_holds_the_most_that_can_be_guaranteed() -> None:
    cover, reserved = hold_cover(FILE, NAMED, cny("100000"), "c1", ())
    requested = ask_partner(cover)
    assert (cover.state, cover.held, cover.guaranteed) == (CoverState.REQUESTED, cny("85000"), cny("0"))
    assert (requested.partner, requested.amount, reserved.amount) == ("insurer-1", cny("100000"), cny("85000"))


def test_a_cover_ruled_out_holds_nothing_and_says_why() -> None:
    cover, refused = refuse_cover(FILE, cny("100000"), "c1", "capacity_exhausted")
    assert (cover.state, cover.held, refused.reason) == (CoverState.REFUSED, cny("0"), "capacity_exhausted")


def test_agreed_shares_bind_as_agreed() -> None:
    bound, events = settle_answer(asked(AGREED), AGREED, yes("80000.00"), TERMS)
    assert (bound.state, bound.held, bound.guaranteed) == (CoverState.BOUND, cny("80000"), cny("80000"))
    assert [type(event) for event in events] == [CoverBound]
    assert isinstance(events[0], CoverBound)
    assert events[0].shares == AGREED.shares


def test_a_partner_that_names_no_amount_binds_at_the_agreed_shares() -> None:
    assert settle_answer(asked(AGREED), AGREED, yes(None), TERMS)[0].guaranteed == cny("80000")


@pytest.mark.parametrize(
    ("named", "state"),
    [
        ("79999.97", CoverState.REFUSED),
        ("79999.98", CoverState.BOUND),
        ("80000.02", CoverState.BOUND),
        ("80000.03", CoverState.REFUSED),
        ("0", CoverState.REFUSED),
    ],
)
def test_a_partner_may_round_by_a_cent_a_party_and_no_more(named: str, state: CoverState) -> None:
    assert settle_answer(asked(AGREED), AGREED, yes(named), TERMS)[0].state is state


def test_a_lower_named_amount_sets_the_hold() -> None:
    bound, (event,) = settle_answer(asked(NAMED), NAMED, yes("75000.50"), OPEN_TERMS)
    assert (bound.held, bound.guaranteed) == (cny("75000.50"), cny("75000.50"))
    assert isinstance(event, CoverBound)
    assert {share.party: share.weight for share in event.shares} == {
        "insurer-1": Decimal("75000.50"),
        "bank": Decimal("24999.50"),
    }


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("74999.98", ""),
        ("75000.02", ""),
        ("74999.97", "answer_contradicts_quote"),
        ("75000.03", "answer_contradicts_quote"),
        ("85000.01", "guaranteed_above_maximum"),
    ],
)
def test_who_was_chosen_for_its_quote_binds_for_what_it_quoted(named: str, reason: str) -> None:
    assert settle_answer(asked(NAMED), NAMED, yes(named), OPEN_TERMS, cny("75000.00"))[0].reason == reason


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("84999.99", ""),
        ("85000.00", ""),
        ("85000.01", "guaranteed_above_maximum"),
        ("0.00", "nothing_guaranteed"),
        (None, "nothing_guaranteed"),
    ],
)
def test_a_named_amount_is_bounded_by_the_agreement_inclusive(named: str | None, reason: str) -> None:
    settled, _ = settle_answer(asked(NAMED), NAMED, yes(named), OPEN_TERMS)
    assert settled.reason == reason
    assert settled.state is (CoverState.REFUSED if reason else CoverState.BOUND)


@pytest.mark.parametrize(("named", "state"), [("80000.00", CoverState.BOUND), ("80000.01", CoverState.REFUSED)])
def test_the_bank_keeps_what_its_policy_asks_even_if_the_partner_would_bear_more(named: str, state: CoverState) -> None:
    settled, _ = settle_answer(asked(NAMED), NAMED, yes(named), TERMS)
    assert settled.state is state
    assert settled.reason == ("" if state is CoverState.BOUND else "bank_share_below_minimum")


def test_a_declined_request_gives_the_whole_hold_back_with_the_partners_reason() -> None:
    no = CoverAnswer(accepted=False, guaranteed=None, reason="industry_excluded")
    refused, (event, back) = settle_answer(asked(AGREED), AGREED, no, TERMS)
    assert (refused.state, refused.held) == (CoverState.REFUSED, cny("0"))
    assert isinstance(event, CoverRefused)
    assert isinstance(back, CapacityReleased)
    assert (event.reason, back.amount, back.reason) == ("industry_excluded", cny("80000"), "industry_excluded")


def test_a_second_answer_is_refused() -> None:
    bound, _ = settle_answer(asked(AGREED), AGREED, yes(None), TERMS)
    with pytest.raises(Refused, match="cover_already_answered"):
        settle_answer(bound, AGREED, yes(None), TERMS)


def test_a_refused_application_takes_back_the_hold_and_a_late_no_changes_nothing() -> None:
    dropped, (back,) = drop_cover(asked(AGREED))
    assert (dropped.state, dropped.held) == (CoverState.WITHDRAWN, cny("0"))
    assert isinstance(back, CapacityReleased)
    assert (back.amount, back.reason) == (cny("80000"), "application_refused")
    no = CoverAnswer(accepted=False, guaranteed=None, reason="")
    assert settle_answer(dropped, AGREED, no, TERMS) == (dropped, ())


def test_a_late_yes_to_a_withdrawn_request_is_left_to_people() -> None:
    dropped, _ = drop_cover(asked(AGREED))
    with pytest.raises(Refused, match="cover_already_answered"):
        settle_answer(dropped, AGREED, yes(None), TERMS)


def test_a_refused_application_ends_a_bound_cover() -> None:
    bound, _ = settle_answer(asked(AGREED), AGREED, yes(None), TERMS)
    released, (event,) = drop_cover(bound)
    assert (released.state, released.held) == (CoverState.RELEASED, cny("0"))
    assert isinstance(event, CoverReleased)
    assert event.amount == cny("80000")


def test_an_application_cannot_be_refused_once_money_is_out_under_the_cover() -> None:
    with pytest.raises(Refused, match="cover_in_use"):
        drop_cover(replace(asked(AGREED), state=CoverState.ACTIVE))


@pytest.mark.parametrize("state", [CoverState.REFUSED, CoverState.WITHDRAWN, CoverState.RELEASED])
def test_a_cover_that_ended_has_nothing_to_give_back(state: CoverState) -> None:
    ended = replace(asked(AGREED), state=state)
    assert drop_cover(ended) == (ended, ())


def test_a_released_cover_gives_back_what_it_held() -> None:
    bound, _ = settle_answer(asked(NAMED), NAMED, yes("70000"), OPEN_TERMS)
    released, (event,) = release_cover(bound)
    assert (released.state, released.held, event.amount) == (CoverState.RELEASED, cny("0"), cny("70000"))
