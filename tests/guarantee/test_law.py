"""Where an agreement says nothing, law does: a guarantor's period (Civil Code 692), an insurer's clocks (SHR-14)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from libs.events.guarantee import DeadlineMissed
from libs.events.guarantee_upkeep import CoverExpiring
from libs.kernel.calendar import Calendar, add_months
from libs.runtime.policies import PolicyBook, read_profile
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.claim import file_claim
from services.guarantee.domain.claim_life import miss_interim, pay_interim
from services.guarantee.domain.law import LawTerms, pay_by, under_law
from services.guarantee.domain.loan import claimable_on, last_claim_day
from services.guarantee.domain.terms import ClaimRules, Liability
from services.guarantee.main import service
from tests.guarantee.partner_client import CALLING, OWN_PARTY, Partner, claimed, money
from tests.guarantee.stories import AGREED, CLAIM_DAY, DAY, MATURITY, Story, admit, cny
from tests.guarantee.test_claim import VECTORS, basis, demand, overdue
from tests.guarantee.test_cover import AGREED as PLAIN
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
LAW = PolicyBook(read_profile("cn-branch")).get(LawTerms, "guarantee/law", DAY).terms
FILED = date.fromisoformat(VECTORS["SHR-14"]["input"]["claim"])
DECIDE_BY, INTERIM_BY = (date.fromisoformat(VECTORS["SHR-14"]["expected"][k]) for k in ("decide_by", "interim_by"))
WEEKDAYS = Calendar("weekdays", date(2025, 1, 1), date(2027, 12, 31))


def of_kind(kind: str, **terms: Any) -> Agreement:
    return under_law(replace(PLAIN, kind=kind, **terms), LAW)


@pytest.mark.parametrize(
    ("kind", "agreed", "months"),
    [("guarantee", None, 6), ("guarantee", 24, 24), ("guarantee", 0, 0), ("guarantee-insurance", None, None)],
)
def test_a_guarantee_without_a_period_ends_six_months_after_maturity(
    kind: str, agreed: int | None, months: int | None
) -> None:
    loan = replace(overdue(), maturity=date(2024, 12, 31))
    agreement = of_kind(kind, liability=Liability(period_months=agreed))
    last = last_claim_day(loan, claimable_on(loan, date(2025, 1, 1), agreement), agreement)
    assert last == (None if months is None else add_months(loan.maturity, months))
    assert months != 6 or last == date(2025, 6, 30)  # COL-10: the last day of the month, not the 31st


def test_a_profile_whose_law_says_nothing_leaves_agreements_as_they_are() -> None:
    law = PolicyBook(read_profile("us-sba")).get(LawTerms, "guarantee/law", date(1990, 1, 1)).terms
    assert under_law(PLAIN, law) is PLAIN


@pytest.mark.parametrize(
    ("agreed", "clocks"),
    [
        (ClaimRules(), (30, 60)),
        (ClaimRules(decide_days=10, interim_days=20), (10, 20)),
        # The contract may give more time to decide (art. 23), not to pay what is certain (art. 25).
        (ClaimRules(decide_days=45, interim_days=90), (45, 60)),
    ],
)
def test_an_insurers_clocks_are_laws_where_the_agreement_says_nothing_or_may_not_say_more(
    agreed: ClaimRules, clocks: tuple[int, int]
) -> None:
    claims = of_kind("credit-insurance", claims=agreed).claims
    assert (claims.decide_days, claims.interim_days) == clocks
    assert of_kind("guarantee", claims=agreed).claims == agreed


def test_shr_14_decision_after_30_days_and_payment_in_advance_after_60() -> None:
    agreement = of_kind("guarantee-insurance")
    claim, _ = file_claim(demand(), basis(agreement=agreement, on=FILED), "k1", "")
    assert claim.act_by == DECIDE_BY
    due = FILED + timedelta(days=agreement.claims.interim_days or 0)
    assert due == INTERIM_BY
    cover = basis().cover
    assert miss_interim(claim, cover, agreement.claims.interim_share, due) is not None
    paid, _ = pay_interim(claim, cny("1"), "R-1")
    assert miss_interim(paid, cover, agreement.claims.interim_share, due) is None


@pytest.mark.parametrize(
    ("kind", "working_days", "last"),
    [
        ("guarantee-insurance", 0, date(2025, 1, 11)),
        ("guarantee-insurance", 20, date(2025, 1, 29)),  # a term of payment that was agreed goes first (art. 23)
        ("guarantee", 0, date(2025, 1, 1)),
    ],
)
def test_an_insurer_pays_within_ten_days_unless_other_days_were_agreed(
    kind: str, working_days: int, last: date
) -> None:
    assert pay_by(replace(PLAIN, kind=kind, pay_working_days=working_days), FILED, WEEKDAYS, LAW) == last


INSURED = {**CALLING, "code": "insured", "kind": "guarantee-insurance", "pay_working_days": 0}


async def test_an_insurer_that_misses_laws_days_is_named_for_each(bench: Benches) -> None:
    story, insurer = Story(agreement="insured"), OWN_PARTY
    async with bench(service) as b:
        await admit(b, INSURED)
        await claimed(b, story)
        assert (await Partner(b, insurer).claim_of(story))["act_by"] == str(CLAIM_DAY + timedelta(days=30))
        for days in (31, 61):
            await b.tick(CLAIM_DAY + timedelta(days=days))
        body = {"accepted": False, "reason": "misuse_of_funds"}
        early = await Partner(b, insurer).on_claim(story, "decision", **body, decided_on="2099-01-01")
        assert early.json()["code"] == "decided_in_future"
        decided = CLAIM_DAY + timedelta(days=57)
        await Partner(b, insurer).on_claim(story, "decision", **body, decided_on=str(decided))
        missed = [(e.duty, e.side, e.due) for e in await b.published() if isinstance(e, DeadlineMissed)]
        assert missed == [
            ("decision", insurer, CLAIM_DAY + timedelta(days=30)),
            ("interim_payment", insurer, CLAIM_DAY + timedelta(days=60)),
            ("refusal_notice", insurer, decided + timedelta(days=3)),
        ]


async def test_an_insurer_that_keeps_laws_days_misses_none_and_has_ten_to_pay(bench: Benches) -> None:
    story = Story(agreement="insured")
    async with bench(service) as b:
        await admit(b, INSURED)
        await claimed(b, story)
        await b.tick(CLAIM_DAY + timedelta(days=30))
        accepted = await Partner(b, OWN_PARTY).on_claim(story, "decision", accepted=True)
        assert accepted.json()["pay_by"] == str(CLAIM_DAY + timedelta(days=40))
        paid = await Partner(b, OWN_PARTY).on_claim(story, "payments", amount=money("80000.00"), receipt="R-1")
        assert paid.json()["state"] == "paid"
        await b.tick(CLAIM_DAY + timedelta(days=70))
        assert [e for e in await b.published() if isinstance(e, DeadlineMissed)] == []


async def test_the_bank_is_warned_of_the_end_of_a_period_that_nobody_agreed(bench: Benches) -> None:
    story = Story()
    async with bench(service) as b:
        await admit(b, AGREED)
        await story.bind(b)
        await b.react(story.disbursed(), on=DAY)
        await b.tick(add_months(MATURITY, 6) - timedelta(days=30))
        warned = (await b.published())[-1]
        assert isinstance(warned, CoverExpiring)
        assert warned.ends == add_months(MATURITY, 6)
