"""A premium is charged once per loan, for what was drawn and the days to maturity, and paid to the cent."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from libs.events.application import LoanDisbursed
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.guarantee.domain.cover import Cover, CoverState
from services.guarantee.domain.loan import CoveredLoan, activate_cover
from services.guarantee.domain.premium import PremiumTerms, charge_premium, pay_premium, premium_for
from tests.guarantee.test_cover import AGREED, cny, shares

TERMS = PremiumTerms(year_days=365)
DAY = date(2025, 9, 1)
COVER = Cover(
    cover_id="c1",
    facility_id="f1",
    agreement="ins-28",
    partner="insurer-1",
    state=CoverState.BOUND,
    currency="CNY",
    amount=cny("100000"),
    held=cny("80000"),
    guaranteed=cny("80000"),
    shares=shares(insurer="8", bank="2"),
)


def disbursed(amount: str = "100000", loan_id: str = "l1", maturity: date = DAY + timedelta(days=365)) -> LoanDisbursed:
    return LoanDisbursed(
        facility_id="f1",
        loan_id=loan_id,
        amount=cny(amount),
        maturity=maturity,
        annual_rate=Decimal("0.045"),
        grade="A",
        lead="s1",
        assistant="s2",
        reviewer="s3",
        approver="s4",
        channel="walk-in",
    )


def drawn(amount: str = "100000", loan_id: str = "l1") -> CoveredLoan:
    return activate_cover(COVER, disbursed(amount, loan_id))[1]


@pytest.mark.parametrize(("days", "premium"), [(-1, "0"), (0, "0"), (1, "4.38"), (365, "1600.00"), (730, "3200.00")])
def test_the_premium_follows_the_days_to_maturity(days: int, premium: str) -> None:
    charged = premium_for(cny("80000"), Decimal("0.02"), DAY, DAY + timedelta(days=days), TERMS)
    assert charged == cny(premium)


def test_the_days_of_a_year_come_from_the_policy() -> None:
    charged = premium_for(cny("80000"), Decimal("0.02"), DAY, DAY + timedelta(days=360), PremiumTerms(year_days=360))
    assert charged == cny("1600")


def test_the_premium_is_for_what_was_really_drawn() -> None:
    loan, due = charge_premium(drawn("50000"), COVER, AGREED, DAY, TERMS)
    assert due is not None
    assert (due.amount, due.payer, due.due) == (cny("800"), "borrower", DAY)
    assert (loan.premium, loan.premium_open) == (cny("800"), True)


def test_an_agreement_without_a_price_charges_nothing() -> None:
    loan = drawn()
    assert charge_premium(loan, COVER, replace(AGREED, premium_rate=Decimal(0)), DAY, TERMS) == (loan, None)


@pytest.mark.parametrize("amount", ["1599.99", "1600.01"])
def test_a_premium_paid_a_cent_off_is_refused(amount: str) -> None:
    loan, _ = charge_premium(drawn(), COVER, AGREED, DAY, TERMS)
    with pytest.raises(Refused) as refused:
        pay_premium((loan,), cny(amount))
    assert (refused.value.code, refused.value.facts) == ("premium_differs", {"due": "1600.00 CNY"})


def test_a_premium_is_paid_once() -> None:
    loan, _ = charge_premium(drawn(), COVER, AGREED, DAY, TERMS)
    loan, paid = pay_premium((loan,), cny("1600"))
    assert paid.amount == cny("1600")
    with pytest.raises(Refused, match="no_premium_due"):
        pay_premium((loan,), cny("1600"))


def test_a_payment_settles_the_loan_whose_premium_it_is() -> None:
    first, _ = charge_premium(drawn("60000", "l1"), COVER, AGREED, DAY, TERMS)
    second, _ = charge_premium(drawn("40000", "l2"), COVER, AGREED, DAY, TERMS)
    settled, _ = pay_premium((first, second), cny("640"))
    assert (settled.loan_id, settled.premium_open) == ("l2", False)


def test_a_cover_is_in_force_for_what_was_disbursed() -> None:
    active, loan, event = activate_cover(COVER, disbursed("90000"))
    assert active.state is CoverState.ACTIVE
    assert (loan.outstanding, event.amount, event.loan_id) == (cny("90000"), cny("90000"), "l1")
    assert Money(Decimal(0), "CNY") == loan.shared


@pytest.mark.parametrize("state", [CoverState.REQUESTED, CoverState.WITHDRAWN])
def test_money_cannot_be_out_before_the_cover_is_bound(state: CoverState) -> None:
    with pytest.raises(Refused, match="cover_not_bound"):
        activate_cover(replace(COVER, state=state), disbursed())
