"""Performance pay: priced by grade, divided exactly, deferred so that no cent is lost or paid too early."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.kernel.errors import Invalid, Refused
from libs.kernel.money import Money, total
from services.incentive.domain.deferral import DeferralTerms, Status, defer, equal_instalments, paid_at_once, pay_run
from services.incentive.domain.pay import GradeRate, PayTerms, RoleWeight, performance_pay
from services.incentive.domain.people import Role, duties

TERMS = PayTerms(
    rates=(GradeRate(grade="A", rate_bp=15), GradeRate(grade="C", rate_bp=0)),
    roles=(RoleWeight(role=Role.LEAD, weight=70), RoleWeight(role=Role.ASSISTANT, weight=30)),
)
WAIT = DeferralTerms(share=Decimal("0.40"), years=3, run_month=3, run_day=31)
PEOPLE = duties(lead="s-lead", assistant="s-assist", reviewer="s-review", approver="s-approve")


def cny(amount: str) -> Money:
    return Money(Decimal(amount), "CNY")


def test_pay_is_the_grades_price_divided_over_the_paid_roles():
    parts = performance_pay(cny("1000000"), "A", PEOPLE, TERMS)
    assert [(part.staff, part.role, part.amount) for part in parts] == [
        ("s-lead", Role.LEAD, cny("1050.00")),
        ("s-assist", Role.ASSISTANT, cny("450.00")),
    ]


def test_who_reviews_and_approves_earns_nothing_from_volume():
    earners = {part.role for part in performance_pay(cny("1000000"), "A", PEOPLE, TERMS)}
    assert not earners & {Role.REVIEWER, Role.APPROVER}


def test_a_role_nobody_held_leaves_the_whole_to_the_others():
    alone = duties(lead="s-lead", assistant="", reviewer="s-review", approver="s-approve")
    (part,) = performance_pay(cny("1000000"), "A", alone, TERMS)
    assert (part.staff, part.amount) == ("s-lead", cny("1500.00"))


def test_a_loan_with_no_paid_person_is_no_loan_of_ours():
    with pytest.raises(Invalid, match="weights_not_positive"):
        performance_pay(cny("1000000"), "A", duties(lead="", assistant="", reviewer="r", approver="a"), TERMS)


def test_a_grade_without_a_price_is_refused_and_never_guessed():
    with pytest.raises(Refused, match="grade_without_price"):
        performance_pay(cny("1000000"), "B", PEOPLE, TERMS)


def test_a_grade_priced_at_nothing_earns_nothing():
    assert not total((part.amount for part in performance_pay(cny("1000000"), "C", PEOPLE, TERMS)), "CNY")


@given(cents=st.integers(0, 10**12), grade=st.sampled_from(["A", "C"]))
def test_the_parts_of_pay_sum_to_the_whole(cents: int, grade: str):
    amount = Money(Decimal(cents) / 100, "CNY")
    rate = Decimal({"A": 15, "C": 0}[grade]) / 10_000
    parts = performance_pay(amount, grade, PEOPLE, TERMS)
    assert total((part.amount for part in parts), "CNY") == amount * rate


@given(cents=st.integers(0, 10**9), years=st.integers(1, 12))
def test_instalments_are_equal_but_the_last_never_negative_and_sum_to_what_was_deferred(cents: int, years: int):
    deferred = Money(Decimal(cents) / 100, "CNY")
    parts = equal_instalments(deferred, years)
    assert len(parts) == years
    assert len(set(parts[:-1])) <= 1
    assert all(part >= deferred.zero for part in parts)
    assert total(parts, "CNY") == deferred


@given(cents=st.integers(0, 10**9))
def test_at_least_the_policys_share_is_deferred(cents: int):
    pay = Money(Decimal(cents) / 100, "CNY")
    now = paid_at_once(pay, WAIT.share)
    assert (pay - now).amount >= pay.amount * WAIT.share
    assert (pay - now).amount < pay.amount * WAIT.share + Decimal("0.01")


@pytest.mark.parametrize(
    ("not_before", "run"),
    [
        (date(2026, 3, 30), date(2026, 3, 31)),
        (date(2026, 3, 31), date(2026, 3, 31)),
        (date(2026, 4, 1), date(2027, 3, 31)),
    ],
)
def test_the_pay_run_is_the_first_on_or_after_the_day(not_before: date, run: date):
    assert pay_run(not_before, WAIT) == run


def test_instalment_n_vests_at_the_first_run_n_full_years_after_disbursement():
    earned = performance_pay(cny("1000000"), "A", PEOPLE, TERMS)
    deferred = defer(earned, date(2025, 10, 15), WAIT)
    assert [part.amount for part in deferred.paid_now] == [cny("630.00"), cny("270.00")]
    assert [row.vests_on for row in deferred.instalments] == [date(2027, 3, 31), date(2028, 3, 31), date(2029, 3, 31)]
    assert [row.number for row in deferred.instalments] == [1, 2, 3]
    assert {row.status for row in deferred.instalments} == {Status.DEFERRED}
    assert [row.total("CNY") for row in deferred.instalments] == [cny("200.00")] * 3


def test_a_loan_disbursed_on_the_run_day_waits_exactly_one_year():
    earned = performance_pay(cny("1000000"), "A", PEOPLE, TERMS)
    assert defer(earned, date(2026, 3, 31), WAIT).instalments[0].vests_on == date(2027, 3, 31)


def test_a_loan_of_the_leap_day_vests_a_year_later():
    earned = performance_pay(cny("1000000"), "A", PEOPLE, TERMS)
    leap = DeferralTerms(share=Decimal("0.40"), years=1, run_month=2, run_day=28)
    assert defer(earned, date(2028, 2, 29), leap).instalments[0].vests_on == date(2029, 2, 28)
