"""A premium is charged once per loan, for what was drawn and the days to maturity, and paid to the cent."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.application import LoanDisbursed
from libs.kernel.calendar import add_months
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.guarantee.domain.cover import Cover, CoverState
from services.guarantee.domain.loan import CoveredLoan, activate_cover, file_drawdown, remove_unfiled, run_down
from services.guarantee.domain.premium import (
    PremiumTerms,
    charge_next,
    charge_premium,
    next_charge_on,
    pay_premium,
    premium_for,
    refund_unearned,
)
from services.guarantee.domain.sharing import partners_part
from services.guarantee.domain.terms import Binding, BindTiming, PremiumRules
from tests.guarantee.test_cover import AGREED, cny, shares

TERMS = PremiumTerms(year_days=365)
DAY = date(2025, 9, 1)
COVER = Cover(
    cover_id="c1",
    facility_id="f1",
    agreement="ins-28",
    terms="ins-28@2025-09-01",
    partner="insurer-1",
    state=CoverState.BOUND,
    currency="CNY",
    amount=cny("100000"),
    held=cny("80000"),
    guaranteed=cny("80000"),
    active=cny("0"),
    used=cny("0"),
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
    return activate_cover(COVER, disbursed(amount, loan_id), AGREED, DAY)[1]


@pytest.mark.parametrize(("days", "premium"), [(-1, "0"), (0, "0"), (1, "4.38"), (365, "1600.00"), (730, "3200.00")])
def test_the_premium_follows_the_days_to_maturity(days: int, premium: str) -> None:
    charged = premium_for(cny("80000"), Decimal("0.02"), DAY, DAY + timedelta(days=days), TERMS)
    assert charged == cny(premium)


def test_the_days_of_a_year_come_from_the_policy() -> None:
    charged = premium_for(cny("80000"), Decimal("0.02"), DAY, DAY + timedelta(days=360), PremiumTerms(year_days=360))
    assert charged == cny("1600")


def test_the_premium_is_for_what_was_really_drawn() -> None:
    loan, (due,) = charge_premium(drawn("50000"), COVER, AGREED, DAY, TERMS)
    assert (due.amount, due.payer, due.due) == (cny("800"), "borrower", DAY)
    assert (loan.premium, loan.premium_open) == (cny("800"), True)


def test_an_agreement_without_a_price_charges_nothing() -> None:
    loan = drawn()
    assert charge_premium(loan, COVER, replace(AGREED, premium_rate=Decimal(0)), DAY, TERMS) == (loan, ())


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


def test_premiums_fall_due_period_by_period_on_what_is_guaranteed_then() -> None:
    yearly = replace(AGREED, premiums=PremiumRules(every_months=6))
    start = activate_cover(COVER, disbursed(maturity=add_months(DAY, 15)), AGREED, DAY)[1]
    loan, (first,) = charge_premium(start, COVER, yearly, DAY, TERMS)
    assert (first.amount, next_charge_on(loan)) == (cny("793.42"), add_months(DAY, 6))  # 80,000 at 2 % for 181 days
    loan, (second,) = charge_next(replace(loan, guaranteed=cny("40000")), COVER, yearly, add_months(DAY, 6), TERMS)
    assert (second.amount, second.due) == (cny("403.29"), add_months(DAY, 6))  # half of it for 184 days
    loan, (last,) = charge_next(loan, COVER, yearly, add_months(DAY, 12), TERMS)
    assert (last.amount, next_charge_on(loan)) == (cny("199.45"), None)  # 91 days to maturity
    assert charge_next(loan, COVER, yearly, add_months(DAY, 18), TERMS) == (loan, ())
    loan, _ = pay_premium((loan,), cny("403.29"))
    assert (loan.premium_open, [charge.paid for charge in loan.charges]) == (True, [False, True, False])


def test_a_fund_bears_its_part_of_the_premium_and_each_pays_its_own() -> None:
    helped = replace(AGREED, premiums=PremiumRules(subsidy=Decimal("0.3"), subsidised_by="city-fund"))
    loan, dues = charge_premium(drawn(), COVER, helped, DAY, TERMS)
    assert {due.payer: due.amount for due in dues} == {"borrower": cny("1120"), "city-fund": cny("480")}
    loan, _ = pay_premium((loan,), cny("480"))
    assert loan.premium_open
    assert not pay_premium((loan,), cny("1120"))[0].premium_open


@pytest.mark.parametrize(
    ("days", "refund", "back"),
    [(0, "1", "1600.00"), (73, "1", "1280.00"), (73, "0.5", "640.00"), (365, "1", None), (400, "1", None)],
)
def test_the_agreed_part_of_what_was_charged_for_days_after_an_early_repayment_goes_back(
    days: int, refund: str, back: str | None
) -> None:
    terms = replace(AGREED, premiums=PremiumRules(refund=Decimal(refund)))
    loan, _ = charge_premium(drawn(), COVER, terms, DAY, TERMS)
    events = refund_unearned(loan, terms, DAY + timedelta(days=days))
    assert [(event.amount, event.payee) for event in events] == ([(cny(back), "borrower")] if back else [])
    assert refund_unearned(loan, AGREED, DAY) == ()


def test_a_cover_is_in_force_for_what_was_disbursed() -> None:
    active, loan, event = activate_cover(COVER, disbursed("90000"), AGREED, DAY)
    assert (active.state, active.held, active.active, active.used) == (CoverState.ACTIVE, *[cny("72000")] * 3)
    assert (loan.outstanding, event.amount, event.loan_id) == (cny("90000"), cny("90000"), "l1")
    assert Money(Decimal(0), "CNY") == loan.shared


@pytest.mark.parametrize("state", [CoverState.REQUESTED, CoverState.WITHDRAWN])
def test_money_cannot_be_out_before_the_cover_is_bound(state: CoverState) -> None:
    with pytest.raises(Refused, match="cover_not_bound"):
        activate_cover(replace(COVER, state=state), disbursed(), AGREED, DAY)


def test_a_cover_for_several_drawdowns_keeps_what_is_undrawn_until_the_last() -> None:
    twice = replace(AGREED, binding=Binding(drawdowns_max=2))
    first, _, _ = activate_cover(COVER, disbursed("30000"), twice, DAY)
    assert (first.held, first.active) == (cny("80000"), cny("24000"))
    last, _, _ = activate_cover(first, disbursed("50000", "l2"), twice, DAY)
    assert (last.held, last.active, last.used) == (cny("64000"), cny("64000"), cny("64000"))


def test_a_cover_runs_down_with_what_is_repaid() -> None:
    active, loan, _ = activate_cover(COVER, disbursed(), AGREED, DAY)
    lower, repaid = run_down(active, loan, cny("70000"))
    assert (lower.held, lower.active, lower.used) == (cny("56000"), cny("56000"), cny("80000"))
    assert (repaid.outstanding, repaid.guaranteed) == (cny("70000"), cny("56000"))
    assert run_down(lower, repaid, cny("70000")) == (lower, repaid)


@given(steps=st.lists(st.integers(0, 100_000_00), min_size=1, max_size=6))
def test_what_a_cover_holds_is_always_what_its_loan_still_needs(steps: list[int]) -> None:
    cover, loan, _ = activate_cover(COVER, disbursed(), AGREED, DAY)
    for cents in sorted(steps, reverse=True):
        cover, loan = run_down(cover, loan, cny(str(Decimal(cents) / 100)))
        assert (
            cover.held == cover.active == loan.guaranteed == partners_part(loan.outstanding, COVER.sharing, loan.amount)
        )


def test_a_batch_drawdown_is_filed_once_and_up_to_its_last_day() -> None:
    batch = replace(AGREED, binding=Binding(timing=BindTiming.FILED, file_days=10))
    _, loan, _ = activate_cover(COVER, disbursed(), batch, DAY)
    last = DAY + timedelta(days=10)
    filed, event = file_drawdown(loan, last)
    assert (filed.filed_on, event.amount) == (last, cny("100000"))
    for again, day, code in ((filed, last, "filed_before"), (loan, last + timedelta(days=1), "filing_too_late")):
        with pytest.raises(Refused, match=code):
            file_drawdown(again, day)
    with pytest.raises(Refused, match="filing_not_needed"):
        file_drawdown(drawn(), DAY)


def test_an_unfiled_drawdown_is_removed_and_gives_back_what_it_held() -> None:
    batch = replace(AGREED, binding=Binding(timing=BindTiming.FILED, file_days=10))
    active, loan, _ = activate_cover(COVER, disbursed(), batch, DAY)
    freed, removed, event = remove_unfiled(active, loan)
    assert (freed.held, freed.active, removed.guaranteed) == (cny("0"), cny("0"), cny("0"))
    assert (event.amount, event.reason) == (cny("80000"), "not_filed")
