"""The account mirror: plans that add up, repayments in order, arrears, classes, the way back, provision."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.kernel.errors import Invalid, Refused
from libs.kernel.money import Money
from services.application.domain.arrears import assessed, clean_from, next_look
from services.application.domain.classification import ClassificationTerms, RiskClass
from services.application.domain.loan import (
    Instalment,
    Loan,
    arrears_since,
    check_schedule,
    days_past_due,
    disbursed,
    next_unpaid,
    repaid,
    requested_loan,
)
from services.application.domain.provision import ProvisionTerms, adequacy, provision

TERMS = ClassificationTerms(
    substandard_over_days=90, doubtful_over_days=270, loss_over_days=360, upgrade_months=6, upgrade_periods=2
)
RATES = ProvisionTerms(
    normal=Decimal("0.01"),
    special_mention=Decimal("0.02"),
    substandard=Decimal("0.25"),
    doubtful=Decimal("0.50"),
    loss=Decimal("1.00"),
    coverage_min=Decimal("1.5"),
    reserve_to_loans_min=Decimal("0.025"),
)
START = date(2025, 9, 8)
DUES = (date(2025, 12, 20), date(2026, 3, 20), date(2026, 6, 20), date(2026, 9, 20))


def cny(amount: str | int | Decimal) -> Money:
    return Money(Decimal(amount), "CNY")


PLAN = tuple(Instalment(due=due, principal=cny(250)) for due in DUES)
LOAN = disbursed(requested_loan("f", "l", cny(1000), PLAN), START)


def paid(loan: Loan, *amounts: int) -> Loan:
    for amount in amounts:
        loan = repaid(loan, cny(amount), cny(1), f"p{len(loan.payments)}")
    return loan


def after(days: int, due: date = DUES[0]) -> date:
    return due + timedelta(days=days)


@pytest.mark.parametrize(
    ("schedule", "code"),
    [
        ((), "schedule_not_ahead"),
        ((Instalment(due=START, principal=cny(1000)),), "schedule_not_ahead"),
        ((PLAN[1], PLAN[0], *PLAN[2:]), "schedule_not_ascending"),
        ((PLAN[0], PLAN[0], *PLAN[2:]), "schedule_not_ascending"),
        ((*PLAN[:3], replace(PLAN[3], principal=cny(0))), "instalment_empty"),
        ((*PLAN[:3], replace(PLAN[3], principal=cny("249.99"))), "schedule_not_amount"),
    ],
)
def test_a_plan_that_does_not_add_up_is_invalid(schedule: tuple[Instalment, ...], code: str) -> None:
    with pytest.raises(Invalid, match=code):
        check_schedule(schedule, cny(1000), START)


def test_a_plan_may_begin_tomorrow() -> None:
    check_schedule(PLAN, cny(1000), DUES[0] - timedelta(days=1))


def test_instalments_are_cleared_in_order_by_whatever_came_in() -> None:
    assert next_unpaid(LOAN) == PLAN[0]
    assert next_unpaid(paid(LOAN, 249)) == PLAN[0]
    assert next_unpaid(paid(LOAN, 250)) == PLAN[1]
    assert next_unpaid(paid(LOAN, 300, 300)) == PLAN[2]
    assert next_unpaid(paid(LOAN, 1000)) is None


def test_more_than_is_owed_cannot_be_repaid() -> None:
    assert not paid(LOAN, 1000).outstanding
    with pytest.raises(Refused, match="principal_above_outstanding"):
        repaid(LOAN, cny("1000.01"), cny(0), "p")


def test_a_payment_counts_once_and_brings_something() -> None:
    with pytest.raises(Refused, match="payment_already_booked"):
        repaid(repaid(LOAN, cny(1), cny(0), "p"), cny(1), cny(0), "p")
    with pytest.raises(Invalid, match="repayment_empty"):
        repaid(LOAN, cny(0), cny(0), "p")
    assert repaid(LOAN, cny(0), cny(5), "p").outstanding == cny(1000)


def test_a_loan_that_was_not_paid_out_cannot_be_repaid() -> None:
    with pytest.raises(Refused, match="loan_not_active"):
        repaid(requested_loan("f", "l", cny(1000), PLAN), cny(1), cny(0), "p")


@given(st.lists(st.integers(min_value=1, max_value=400), max_size=12))
def test_the_first_unpaid_instalment_is_where_the_money_ran_out(amounts: list[int]) -> None:
    loan, total = LOAN, 0
    for number, amount in enumerate(amounts):
        if total + amount > 1000:
            break
        loan, total = repaid(loan, cny(amount), cny(0), str(number)), total + amount
    unpaid = next_unpaid(loan)
    assert loan.outstanding == cny(1000 - total)
    assert unpaid == (PLAN[total // 250] if total < 1000 else None)


def test_a_due_date_is_met_until_its_close() -> None:
    assert arrears_since(LOAN, DUES[0]) is None
    assert arrears_since(LOAN, after(1)) == DUES[0]
    assert days_past_due(assessed(LOAN, after(1), TERMS), after(1)) == 1


@pytest.mark.parametrize(
    ("days", "risk_class"),
    [
        (0, RiskClass.NORMAL),
        (1, RiskClass.SPECIAL_MENTION),
        (90, RiskClass.SPECIAL_MENTION),
        (91, RiskClass.SUBSTANDARD),
        (270, RiskClass.SUBSTANDARD),
        (271, RiskClass.DOUBTFUL),
        (360, RiskClass.DOUBTFUL),
        (361, RiskClass.LOSS),
    ],
)
def test_the_class_follows_the_days_past_due(days: int, risk_class: RiskClass) -> None:
    assert assessed(LOAN, after(days), TERMS).risk_class is risk_class


def test_the_next_look_is_the_day_a_bound_is_exceeded() -> None:
    looks, loan, day = [], LOAN, START
    while (look := next_look(loan, day, TERMS)) is not None:
        looks.append((look - DUES[0]).days)
        day, loan = look, assessed(loan, look, TERMS)
    assert looks == [1, 91, 271, 361]
    assert loan.risk_class is RiskClass.LOSS


def test_a_paid_loan_need_not_be_looked_at() -> None:
    assert next_look(paid(LOAN, 1000), START, TERMS) is None


def test_special_mention_returns_to_normal_on_the_day_of_cure() -> None:
    overdue = assessed(LOAN, after(30), TERMS)
    cured = assessed(paid(overdue, 250), after(30), TERMS)
    assert (cured.overdue_since, cured.cured_on, cured.risk_class) == (None, after(30), RiskClass.NORMAL)


def test_a_part_payment_does_not_cure_and_the_class_never_improves_in_arrears() -> None:
    overdue = assessed(LOAN, after(100), TERMS)
    still = assessed(paid(overdue, 250), after(100), TERMS)
    assert still.overdue_since == DUES[1]
    assert days_past_due(still, after(100)) == 10
    assert still.risk_class is RiskClass.SUBSTANDARD


def test_a_cured_bad_loan_earns_its_way_back_in_the_later_of_six_months_and_two_instalments() -> None:
    bad = assessed(paid(LOAN, 250), after(91, DUES[1]), TERMS)
    cured_on = after(93, DUES[1])  # one day after the third due date: two were missed
    cured = assessed(paid(bad, 500), cured_on, TERMS)
    assert cured.risk_class is RiskClass.SUBSTANDARD
    assert clean_from(cured, cured_on, TERMS) == date(2026, 12, 21)
    assert next_look(cured, cured_on, TERMS) == DUES[3] + timedelta(days=1)
    assert assessed(cured, date(2026, 9, 20), TERMS).risk_class is RiskClass.SUBSTANDARD


def test_the_clean_period_waits_for_the_second_instalment() -> None:
    cured = replace(LOAN, risk_class=RiskClass.SUBSTANDARD, cured_on=date(2025, 12, 21))
    assert clean_from(cured, date(2025, 12, 21), replace(TERMS, upgrade_months=1)) == DUES[2] + timedelta(days=1)
    assert clean_from(cured, date(2025, 12, 21), TERMS) == date(2026, 6, 21)


def test_after_the_clean_period_the_loan_is_normal_and_not_a_day_before() -> None:
    cured = replace(paid(LOAN, 750), risk_class=RiskClass.DOUBTFUL, cured_on=date(2026, 1, 5))
    assert assessed(cured, date(2026, 7, 4), TERMS).risk_class is RiskClass.DOUBTFUL
    assert assessed(cured, date(2026, 7, 5), TERMS).risk_class is RiskClass.NORMAL


def test_a_new_arrear_ends_the_clean_period() -> None:
    cured = replace(paid(LOAN, 250), risk_class=RiskClass.SUBSTANDARD, cured_on=date(2026, 1, 5))
    again = assessed(cured, after(1, DUES[1]), TERMS)
    assert (again.cured_on, again.risk_class) == (None, RiskClass.SUBSTANDARD)


@pytest.mark.parametrize(
    ("risk_class", "needed"),
    [
        (RiskClass.NORMAL, "10.00"),
        (RiskClass.SPECIAL_MENTION, "20.00"),
        (RiskClass.SUBSTANDARD, "250.00"),
        (RiskClass.DOUBTFUL, "500.00"),
        (RiskClass.LOSS, "1000.00"),
    ],
)
def test_provision_is_what_is_owed_times_the_rate_of_its_class(risk_class: RiskClass, needed: str) -> None:
    assert provision(cny(1000), risk_class, RATES) == cny(needed)


def test_an_empty_book_has_no_ratio_and_no_shortfall() -> None:
    found = adequacy({}, cny(0), RATES)
    assert (found.npl_ratio, found.coverage, found.reserve_to_loans) == (None, None, None)
    assert found.shortfall == cny(0)
