"""Write-off after determination only, of exactly what is owed; recoveries booked then, never beyond the loss."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.kernel.errors import Refused
from libs.kernel.money import Money, total
from services.application.domain.classification import RiskClass
from services.application.domain.loan import ClaimState, Instalment, LoanStatus, disbursed, requested_loan
from services.application.domain.recovery import booked, check_write_off, net_loss, proceeds_kept, written_off


def cny(amount: str | int | Decimal) -> Money:
    return Money(Decimal(amount), "CNY")


PLAN = (Instalment(due=date(2025, 12, 20), principal=cny(1000)),)
BAD = replace(
    disbursed(requested_loan("f", "l", cny(1000), PLAN), date(2025, 9, 8)),
    risk_class=RiskClass.LOSS,
    case_determined=True,
)


def test_a_determined_bad_loan_may_be_written_off_for_what_is_owed() -> None:
    check_write_off(BAD, cny(1000))
    lost = written_off(BAD)
    assert (lost.status, lost.written_off, lost.outstanding) == (LoanStatus.WRITTEN_OFF, cny(1000), cny(0))


@pytest.mark.parametrize(
    ("changes", "amount", "code"),
    [
        ({"risk_class": RiskClass.SPECIAL_MENTION}, 1000, "not_non_performing"),
        ({"case_determined": False}, 1000, "case_not_determined"),
        ({"claim": ClaimState.OPEN}, 1000, "claim_unanswered"),
        ({"status": LoanStatus.WRITTEN_OFF}, 1000, "loan_not_active"),
        ({}, 999, "amount_not_outstanding"),
        ({}, 1001, "amount_not_outstanding"),
    ],
)
def test_a_write_off_out_of_order_is_refused(changes: dict[str, object], amount: int, code: str) -> None:
    with pytest.raises(Refused, match=code):
        check_write_off(replace(BAD, **changes), cny(amount))  # type: ignore[arg-type]  # fields of Loan


@pytest.mark.parametrize("claim", [ClaimState.NONE, ClaimState.PAID, ClaimState.DENIED, ClaimState.WITHDRAWN])
def test_an_answered_claim_does_not_hold_up_the_write_off(claim: ClaimState) -> None:
    check_write_off(replace(BAD, claim=claim), cny(1000))


@pytest.mark.parametrize(("claim_paid", "net"), [("0", "1000"), ("800", "200"), ("1000", "0"), ("1000.01", "0")])
def test_our_net_loss_is_what_the_partners_left_to_us(claim_paid: str, net: str) -> None:
    assert net_loss(cny(1000), cny(claim_paid)) == cny(net)


def test_a_sale_before_the_write_off_is_kept_and_booked_with_it() -> None:
    kept = proceeds_kept(BAD, cny(300))
    assert booked(kept) == (kept, ())
    loan, recoveries = booked(written_off(kept))
    assert (recoveries, loan.recovered, loan.proceeds) == ((cny(300),), cny(300), ())


def test_what_exceeds_the_loss_is_not_a_recovery() -> None:
    loan, recoveries = booked(proceeds_kept(proceeds_kept(written_off(BAD), cny(700)), cny(500)))
    assert (recoveries, loan.recovered) == ((cny(700), cny(300)), cny(1000))
    assert booked(proceeds_kept(loan, cny(1))) == (loan, ())


@given(
    st.lists(st.integers(min_value=0, max_value=800), max_size=6),
    st.lists(st.integers(min_value=0, max_value=800), max_size=6),
)
def test_recoveries_never_exceed_the_loss_whenever_the_sales_were(before: list[int], later: list[int]) -> None:
    loan = BAD
    for net in before:
        loan = proceeds_kept(loan, cny(net))
    loan, recoveries = booked(written_off(loan))
    for net in later:
        loan, more = booked(proceeds_kept(loan, cny(net)))
        recoveries = (*recoveries, *more)
    assert total(recoveries, "CNY") == loan.recovered == min(cny(sum(before) + sum(later)), cny(1000))
