"""A claim is filed when waiting is over, asks for the partners' parts of the loss, and always comes to an end."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.events.guarantee import ClaimDenied
from libs.kernel.calendar import Calendar
from libs.kernel.errors import Refused
from libs.kernel.money import Money, total
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
    loss_ratio,
    miss_payment,
    pay_claim,
    withdraw_claim,
)
from services.guarantee.domain.claim_rules import Basis, ClaimFault, Demand, fault_of, loss_today, payable
from services.guarantee.domain.cover import CoverState
from services.guarantee.domain.law import LawTerms, pay_by
from services.guarantee.domain.loan import CoveredLoan, claimable_on, share_recovery
from services.guarantee.domain.terms import (
    Cap,
    ClaimRules,
    Coverage,
    InSuspension,
    Liability,
    LiabilityKind,
    RecoveryRank,
)
from tests.guarantee.stories import loss_of
from tests.guarantee.test_cover import AGREED, cny, shares
from tests.guarantee.test_premium import COVER, drawn

VECTORS = {v["id"]: v for v in json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))}
SINCE = date(2025, 12, 20)
DAY = date(2026, 3, 20)
CALENDAR = Calendar("weekdays", date(2025, 1, 1), date(2027, 12, 31), holidays=frozenset({date(2026, 4, 6)}))
PAY_BY = CALENDAR.add_working_days(DAY, 10)
CAPPED = replace(AGREED, cap=Cap(rate=Decimal("0.03")))
TERMS = ClaimTerms(recheck_working_days=5, rechecks_max=2)


def overdue(outstanding: str = "70000") -> CoveredLoan:
    return replace(drawn(), overdue_since=SINCE, outstanding=cny(outstanding))


def basis(loan: CoveredLoan | None = None, **change: Any) -> Basis:
    plain = Basis(
        cover=replace(COVER, state=CoverState.ACTIVE),
        loan=loan or overdue(),
        agreement=AGREED,
        claimed_before=False,
        suspended=False,
        cap_room=None,
        on=DAY,
    )
    return replace(plain, **change)


def demand(principal: str = "70000", **change: Any) -> Demand:
    plain = Demand(partner="insurer-1", loss=loss_of(cny(principal)), claimed=None)
    return replace(plain, **change)


def filed() -> Claim:
    return file_claim(demand(), basis(), "k1", "")[0]


def accepted() -> Claim:
    return accept_claim(filed(), PAY_BY)[0]


@pytest.mark.parametrize("case", range(4))
def test_the_waiting_period_includes_its_last_day(case: int) -> None:
    vector = VECTORS["SHR-09"]
    what, days = vector["input"]["cases"][case]
    shenzhen = replace(AGREED, claim_wait_days=90, claims=ClaimRules(maturity_wait_days=30))
    loan = overdue() if what == "interest_arrears" else replace(overdue(), maturity=SINCE)
    claimable = SINCE + timedelta(days=days) >= claimable_on(loan, SINCE, shenzhen)
    assert claimable is vector["expected"]["claimable"][case]


def test_a_claim_asks_for_the_partners_parts_of_the_principal_left() -> None:
    claim, event = file_claim(demand(), basis(), "k1", "")
    assert (event.loss, event.claimed) == (cny("70000"), cny("56000"))
    assert (claim.state, claim.filed_on) == (ClaimState.FILED, DAY)


def test_an_accepted_claim_is_paid_within_working_days() -> None:
    last = pay_by(replace(AGREED, pay_working_days=12), DAY, CALENDAR, LawTerms(insurance_kinds=()))
    claim, event = accept_claim(filed(), last)
    assert event.pay_by == claim.pay_by == date(2026, 4, 8)  # twelve weekdays, one of them a holiday
    assert event.amount == cny("56000")


def test_the_final_split_names_every_party_and_sums_to_the_loss() -> None:
    four = replace(COVER, shares=shares(guarantor="4", reguarantor="3", bank="2", government="1"))
    claim, _ = file_claim(demand("99999.99"), basis(overdue("99999.99"), cover=four), "k1", "")
    assert claim.claimed == cny("79999.99")
    paid, event = pay_claim(accept_claim(claim, PAY_BY)[0], "R-1")
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
def test_a_cure_ends_an_open_claim(claim: Claim) -> None:
    assert withdraw_claim(claim)[0].state is ClaimState.WITHDRAWN


def test_a_denial_ends_a_claim_that_waits_for_a_decision_and_none_that_was_accepted() -> None:
    denied, event = deny_claim(filed(), "material_breach")
    assert (denied.state, event.reason) == (ClaimState.DENIED, "material_breach")
    with pytest.raises(Refused, match="claim_accepted"):
        deny_claim(accepted(), "material_breach")


@pytest.mark.parametrize("state", [ClaimState.PAID, ClaimState.DENIED, ClaimState.WITHDRAWN])
def test_a_claim_that_ended_stays_as_it_ended(state: ClaimState) -> None:
    ended = replace(filed(), state=state)
    for again in (
        lambda: accept_claim(ended, PAY_BY),
        lambda: deny_claim(ended, "late"),
        lambda: withdraw_claim(ended),
        lambda: pay_claim(ended, "R-1"),
        lambda: miss_payment(ended, DAY, CALENDAR, TERMS),
    ):
        with pytest.raises(Refused, match=f"claim_{state}"):
            again()


def test_a_claim_is_not_paid_before_it_was_accepted() -> None:
    with pytest.raises(Refused, match="claim_filed"):
        pay_claim(filed(), "R-1")


def test_claims_are_found_by_their_loan_and_state() -> None:
    mine, other = filed(), replace(filed(), claim_id="k2", loan_id="l2", state=ClaimState.PAID)
    assert claim_open((other, mine), "l1") == mine
    assert claim_open((other, mine), "l2") is None
    assert claim_paid((other, mine), "l2") == other
    assert claim_paid((other, mine), "l1") is None


def test_a_recovery_is_shared_in_the_ratio_of_the_loss() -> None:
    loan, event = share_recovery(overdue(), filed().parts, COVER.shares, RecoveryRank.PARI_PASSU, cny("10000.01"))
    assert [(part.party, str(part.amount.amount)) for part in event.parts] == [
        ("insurer", "8000.01"),
        ("bank", "2000.00"),
    ]
    assert loan.shared == cny("10000.01")


def test_the_bank_is_made_whole_first_where_that_was_agreed() -> None:
    loan, borne = overdue(), filed().parts  # insurer 56,000, bank 14,000
    parts = []
    for amount in ("10000", "10000", "5000"):
        loan, event = share_recovery(loan, borne, COVER.shares, RecoveryRank.BANK_FIRST, cny(amount))
        parts.append({part.party: str(part.amount.amount) for part in event.parts})
    assert parts[0] == {"bank": "10000.00", "insurer": "0.00"}
    assert parts[1] == {"bank": "4000.00", "insurer": "6000.00"}
    assert parts[2] == {"insurer": "5000.00"}


LATE = replace(AGREED, claims=ClaimRules(file_days_max=30))
BATCH = replace(overdue(), file_by=DAY)
FAULTS: list[tuple[ClaimFault, dict[str, Any], dict[str, Any]]] = [
    (ClaimFault.COVER_ENDED, {}, {"cover": replace(COVER, state=CoverState.RELEASED)}),
    (ClaimFault.FOREIGN_CURRENCY, {"loss": loss_of(Money(Decimal(70000), "USD"))}, {}),
    (ClaimFault.FOREIGN_CURRENCY, {"claimed": Money(Decimal(56000), "USD")}, {}),
    (ClaimFault.WRONG_PARTNER, {"partner": "another"}, {}),
    (ClaimFault.CLAIMED_BEFORE, {}, {"claimed_before": True}),
    (ClaimFault.DRAWDOWN_NOT_FILED, {}, {"loan": BATCH}),
    (
        ClaimFault.AGREEMENT_SUSPENDED,
        {},
        {"suspended": True, "agreement": replace(AGREED, claims=ClaimRules(in_suspension=InSuspension.REFUSED))},
    ),
    (ClaimFault.NOT_IN_ARREARS, {}, {"loan": replace(overdue(), overdue_since=None)}),
    (ClaimFault.NOT_IN_ARREARS, {}, {"loan": replace(overdue(), closed=True)}),
    (ClaimFault.NOT_IN_ARREARS, {}, {"loan": overdue("0")}),
    (ClaimFault.TOO_EARLY, {}, {"on": SINCE + timedelta(days=89)}),
    (ClaimFault.TOO_EARLY, {}, {"agreement": replace(AGREED, claims=ClaimRules(lock_in_months=18))}),
    (ClaimFault.TOO_LATE, {}, {"agreement": LATE, "on": SINCE + timedelta(days=121)}),
    (
        ClaimFault.TOO_LATE,
        {},
        {"agreement": replace(AGREED, liability=Liability(period_months=6)), "on": date(2027, 3, 2)},
    ),
    (ClaimFault.DOCUMENTS_MISSING, {}, {"agreement": replace(AGREED, claims=ClaimRules(documents=("contract",)))}),
    (
        ClaimFault.DOCUMENTS_MISSING,
        {"documents": ("contract",)},
        {"agreement": replace(AGREED, liability=Liability(kind=LiabilityKind.GENERAL))},
    ),
    (ClaimFault.WRONG_AMOUNT, {"loss": loss_of(cny("70000.01"))}, {}),
    (ClaimFault.WRONG_AMOUNT, {"claimed": cny("56000.01")}, {}),
    (ClaimFault.WRONG_AMOUNT, {"claimed": cny("55999.99")}, {}),
    (ClaimFault.WRONG_AMOUNT, {"loss": replace(loss_of(cny("70000")), interest=cny("0.01"))}, {}),
    (ClaimFault.OVER_CAP, {"claimed": cny("56000")}, {"agreement": CAPPED, "cap_room": cny("55999.99")}),
    (ClaimFault.OVER_CAP, {}, {"agreement": CAPPED, "cap_room": cny("0")}),
    (ClaimFault.NOTHING_COVERED, {}, {"agreement": replace(AGREED, coverage=Coverage(principal=Decimal(0)))}),
]


@pytest.mark.parametrize(("fault", "asked", "given"), FAULTS, ids=lambda value: str(value) if value else "")
def test_a_claim_that_breaks_a_rule_is_refused_with_its_code(
    fault: ClaimFault, asked: dict[str, Any], given: dict[str, Any]
) -> None:
    assert fault_of(demand(), basis()) is None
    assert fault_of(demand(**asked), basis(**given)) is fault


@pytest.mark.parametrize(
    "given",
    [
        {"suspended": True},
        {"on": SINCE + timedelta(days=90)},
        {"agreement": LATE, "on": SINCE + timedelta(days=120)},
        {"agreement": replace(AGREED, liability=Liability(period_months=6)), "on": date(2027, 3, 1)},
        {"loan": replace(BATCH, filed_on=DAY)},
    ],
)
def test_the_last_day_and_the_first_are_inclusive_and_existing_covers_pay_in_suspension(given: dict[str, Any]) -> None:
    assert fault_of(demand(), basis(**given)) is None


def test_every_fault_has_its_case() -> None:
    assert {fault for fault, _, _ in FAULTS} == set(ClaimFault)


def test_interest_is_covered_up_to_the_cut_off() -> None:
    covering = replace(AGREED, coverage=Coverage(interest=Decimal(1), interest_days_max=60))
    assert loss_today(overdue(), covering, SINCE + timedelta(days=30)).interest == cny("262.50")  # 4.5 %, 30/360
    assert loss_today(overdue(), covering, SINCE + timedelta(days=90)).interest == cny("525.00")
    assert loss_today(overdue(), AGREED, DAY).interest == cny("0")


def test_what_is_above_the_cap_falls_on_the_bank_and_uses_no_more_of_the_cap_than_there_was() -> None:
    due = payable(basis(agreement=CAPPED, cap_room=cny("50000")), loss_of(cny("70000")))
    assert {part.party: str(part.amount.amount) for part in due.parts} == {"insurer": "50000.00", "bank": "20000.00"}
    assert (due.claimed, due.counted) == (cny("50000"), cny("50000"))


def test_a_lock_in_and_a_covered_share_of_the_default() -> None:
    case = VECTORS["F7"]
    given = case["input"]
    scheme = replace(AGREED, claims=ClaimRules(lock_in_months=given["lock_in_months"]))
    share = Decimal(given["share"])
    cover = replace(COVER, shares=shares(insurer=str(share), bank=str(1 - share)))
    loan = replace(overdue(str(given["default"])), amount=cny(str(given["default"])))
    loan = replace(loan, disbursed_on=date.fromisoformat(given["disbursed"]))
    first = date.fromisoformat(case["expected"]["first_claim_day"])
    assert claimable_on(loan, SINCE, scheme) == first
    due = payable(basis(loan, agreement=scheme, cover=cover, on=first), loss_of(loan.outstanding))
    assert str(due.claimed.amount) == case["expected"]["covered"]


def test_a_recovery_follows_the_exact_ratio_of_the_cover_unless_a_cap_cut_the_loss() -> None:
    assert loss_ratio(filed(), COVER) == COVER.shares
    cut, _ = file_claim(demand(), basis(agreement=CAPPED, cap_room=cny("50000")), "k1", "")
    assert {share.party: share.weight for share in loss_ratio(cut, COVER)} == {
        "insurer": Decimal(50000),
        "bank": Decimal(20000),
    }
