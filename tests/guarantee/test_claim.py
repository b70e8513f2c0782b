"""A claim is filed when waiting is over, asks for the partners' parts of the loss, and always comes to an end."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from libs.events.guarantee import ClaimDenied
from libs.kernel.calendar import Calendar
from libs.kernel.errors import Refused
from libs.kernel.money import total
from services.guarantee.domain.claim import (
    Claim,
    ClaimState,
    ClaimTerms,
    PaymentLate,
    accept_claim,
    claim_open,
    claim_paid,
    deny_claim,
    file_claim,
    miss_payment,
    pay_claim,
    withdraw_claim,
)
from services.guarantee.domain.loan import CoveredLoan, claimable_on, share_recovery
from tests.guarantee.test_cover import cny, shares
from tests.guarantee.test_premium import COVER, drawn

VECTORS = {v["id"]: v for v in json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))}
SINCE = date(2025, 12, 20)
DAY = date(2026, 3, 20)
CALENDAR = Calendar("weekdays", date(2025, 1, 1), date(2027, 12, 31), holidays=frozenset({date(2026, 4, 6)}))
TERMS = ClaimTerms(recheck_working_days=5, rechecks_max=2)


def overdue(outstanding: str = "70000") -> CoveredLoan:
    return replace(drawn(), overdue_since=SINCE, outstanding=cny(outstanding))


def filed() -> Claim:
    return file_claim(COVER, overdue(), "k1", DAY)[0]


def accepted() -> Claim:
    return accept_claim(filed(), DAY, 10, CALENDAR)[0]


@pytest.mark.parametrize("case", range(4))
def test_the_waiting_period_includes_its_last_day(case: int) -> None:
    vector = VECTORS["SHR-09"]
    what, days = vector["input"]["cases"][case]
    wait = {"interest_arrears": 90, "past_maturity": 30}[what]
    claimable = SINCE + timedelta(days=days) >= claimable_on(SINCE, wait)
    assert claimable is vector["expected"]["claimable"][case]


def test_a_claim_asks_for_the_partners_parts_of_the_principal_left() -> None:
    claim, event = file_claim(COVER, overdue("70000"), "k1", DAY)
    assert (event.loss, event.claimed) == (cny("70000"), cny("56000"))
    assert (claim.state, claim.filed_on) == (ClaimState.FILED, DAY)


@pytest.mark.parametrize("change", [{"overdue_since": None}, {"closed": True}, {"outstanding": cny("0")}])
def test_no_claim_is_filed_without_a_loss(change: dict[str, object]) -> None:
    with pytest.raises(Refused, match="no_loss_to_claim"):
        file_claim(COVER, replace(overdue(), **change), "k1", DAY)  # type: ignore[arg-type]


def test_an_accepted_claim_is_paid_within_working_days() -> None:
    claim, event = accept_claim(filed(), DAY, 12, CALENDAR)
    assert event.pay_by == claim.pay_by == date(2026, 4, 8)  # twelve weekdays, one of them a holiday
    assert event.amount == cny("56000")


def test_the_final_split_names_every_party_and_sums_to_the_loss() -> None:
    four = replace(COVER, shares=shares(guarantor="4", reguarantor="3", bank="2", government="1"))
    claim = replace(accepted(), loss=cny("99999.99"), claimed=cny("79999.99"))
    paid, event = pay_claim(claim, four, "R-1")
    assert paid.state is ClaimState.PAID
    assert {part.party: str(part.amount.amount) for part in event.parts} == {
        "guarantor": "39999.99",
        "reguarantor": "30000.00",
        "bank": "20000.00",
        "government": "10000.00",
    }
    assert total((part.amount for part in event.parts), "CNY") == cny("99999.99")


def test_a_late_payment_is_asked_after_until_the_claim_has_failed() -> None:
    claim, first = miss_payment(accepted(), date(2026, 4, 3), CALENDAR, TERMS)
    assert first == PaymentLate(ask_on=date(2026, 4, 13))  # five weekdays, one of them a holiday
    claim, second = miss_payment(claim, date(2026, 4, 13), CALENDAR, TERMS)
    assert second == PaymentLate(ask_on=date(2026, 4, 20))
    claim, last = miss_payment(claim, date(2026, 4, 20), CALENDAR, TERMS)
    assert isinstance(last, ClaimDenied)
    assert (claim.state, last.reason) == (ClaimState.DENIED, "payment_not_received")


@pytest.mark.parametrize("claim", [filed(), accepted()])
def test_a_cure_or_a_denial_ends_an_open_claim(claim: Claim) -> None:
    assert withdraw_claim(claim)[0].state is ClaimState.WITHDRAWN
    denied, event = deny_claim(claim, "material_breach")
    assert (denied.state, event.reason) == (ClaimState.DENIED, "material_breach")


@pytest.mark.parametrize("state", [ClaimState.PAID, ClaimState.DENIED, ClaimState.WITHDRAWN])
def test_a_claim_that_ended_stays_as_it_ended(state: ClaimState) -> None:
    ended = replace(filed(), state=state)
    for again in (
        lambda: accept_claim(ended, DAY, 10, CALENDAR),
        lambda: deny_claim(ended, "late"),
        lambda: withdraw_claim(ended),
        lambda: pay_claim(ended, COVER, "R-1"),
        lambda: miss_payment(ended, DAY, CALENDAR, TERMS),
    ):
        with pytest.raises(Refused, match=f"claim_{state}"):
            again()


def test_a_claim_is_not_paid_before_it_was_accepted() -> None:
    with pytest.raises(Refused, match="claim_filed"):
        pay_claim(filed(), COVER, "R-1")


def test_claims_are_found_by_their_loan_and_state() -> None:
    mine, other = filed(), replace(filed(), claim_id="k2", loan_id="l2", state=ClaimState.PAID)
    assert claim_open((other, mine), "l1") == mine
    assert claim_open((other, mine), "l2") is None
    assert claim_paid((other, mine), "l2") == other
    assert claim_paid((other, mine), "l1") is None


def test_a_recovery_is_shared_in_the_ratio_of_the_loss() -> None:
    loan, event = share_recovery(COVER, overdue(), cny("10000.01"))
    assert [(part.party, str(part.amount.amount)) for part in event.parts] == [
        ("insurer", "8000.01"),
        ("bank", "2000.00"),
    ]
    assert loan.shared == cny("10000.01")
