"""Cover at risk: each planted defect moves the figure by exactly its amount, names whose duty it is and until when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.events.application import InspectionCompleted, InspectionFinding
from libs.events.collateral import CollateralOffered, CollateralPerfected, CollateralReleased
from libs.events.guarantee import CoverEndangered, CoverMended
from services.guarantee.domain.agreement import Agreement, ShareSource
from services.guarantee.domain.change import Change, ChangeKind, ChangeState
from services.guarantee.domain.cover import Cover, CoverFile, CoverState
from services.guarantee.domain.defence import Facts, Proof, Security, at_risk, next_look
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.domain.terms import (
    ClaimRules,
    Coverage,
    Duties,
    InSuspension,
    Liability,
    LiabilityKind,
)
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, DAY, DUE, Story, admit, cny
from tests.guarantee.test_cover import shares
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
ONE = Story()
TODAY = date(2026, 3, 1)
SINCE = date(2026, 2, 1)
CLAIMS = ClaimRules(documents=("iou", "contract"), in_suspension=InSuspension.REFUSED, file_days_max=60, notice_days=10)


def agreement(**terms: Any) -> Agreement:
    """80 % of principal and interest; every duty agreed, and two documents."""
    agreed = {
        "coverage": Coverage(interest=Decimal(1), interest_days_max=90),
        "claims": CLAIMS,
        "liability": Liability(period_months=6),
        "duties": Duties(perfection=True, use_of_funds=True, premium=True),
    }
    return Agreement(
        ref="a@2025-01-01",
        code="a",
        partner_id="city-guarantee",
        kind="guarantor",
        share_source=ShareSource.AGREEMENT,
        shares=shares(guarantor="8", bank="2"),
        share_max=Decimal("0.8"),
        currency="CNY",
        capacity=cny("1000000"),
        grades=("A",),
        bank_share_min=Decimal("0.2"),
        premium_rate=Decimal("0.01"),
        premium_payer="borrower",
        claim_wait_days=90,
        pay_working_days=10,
        effective=date(2025, 1, 1),
        source="test",
        **{**agreed, **terms},
    )


def proof(duty: str, on: date = SINCE) -> Proof:
    return Proof(proof_id=duty, facility_id="f", loan_id="l", duty=duty, on=on, by="li")


def sound() -> Facts:
    """A loan of 100,000 at 3.6 %, 28 days in arrears: 280.00 of interest, and nothing to hold against it."""
    amount, none = cny("100000"), cny("0")
    loan = CoveredLoan(
        loan_id="l",
        facility_id="f",
        cover_id="c",
        terms="a@2025-01-01",
        year=2025,
        currency="CNY",
        amount=amount,
        outstanding=amount,
        guaranteed=cny("80000"),
        annual_rate=Decimal("0.036"),
        disbursed_on=date(2025, 9, 1),
        maturity=date(2026, 9, 1),
        premium=none,
        overdue_since=SINCE,
        notified_on=SINCE,
        shared=none,
    )
    cover = Cover(
        cover_id="c",
        facility_id="f",
        agreement="a",
        terms="a@2025-01-01",
        partner="city-guarantee",
        state=CoverState.ACTIVE,
        currency="CNY",
        amount=amount,
        held=cny("80000"),
        guaranteed=cny("80000"),
        active=cny("80000"),
        used=cny("80000"),
        shares=shares(guarantor="8", bank="2"),
    )
    return Facts(
        loan=loan,
        cover=cover,
        agreement=agreement(),
        file=CoverFile(facility_id="f", annual_rate=Decimal("0.036"), tenor_months=12),
        securities=(Security(collateral_id="s", facility_id="f", perfected=True),),
        proofs=tuple(proof(duty) for duty in ("iou", "contract")),
        changes=(),
        misused=False,
        suspended=False,
        cap_room=cny("80224"),
        on=TODAY,
    )


@dataclass(frozen=True)
class Defect:
    """What is wrong, and what that must come to; `whole` is 80 % of 100,280."""

    defence: str
    plant: Callable[[Facts], Facts]
    amount: str = "80224.00"
    holder: str = "customer_manager"
    mend_by: date | None = None
    mendable: bool = True


def on_loan(**change: Any) -> Callable[[Facts], Facts]:
    return lambda facts: replace(facts, loan=replace(facts.loan, **change))


def without(duty: str) -> Callable[[Facts], Facts]:
    return lambda facts: replace(facts, proofs=tuple(p for p in facts.proofs if p.duty != duty))


def changed(state: ChangeState, heavier: str, **terms: Any) -> Callable[[Facts], Facts]:
    """Bank and borrower agreed on other terms on the day after the loan fell due; the loan has the partner's."""

    def plant(facts: Facts) -> Facts:
        loan = facts.loan
        change = Change(
            change_id="ch",
            facility_id="f",
            cover_id="c",
            loan_id="l",
            kind=ChangeKind.RESTRUCTURED,
            state=state,
            heavier=(heavier,),
            rate_before=loan.annual_rate,
            maturity_before=loan.maturity,
            document="E-1",
            asked_on=SINCE,
            **{"annual_rate": loan.annual_rate, "maturity": loan.maturity, **terms},
        )
        return replace(facts, changes=(*facts.changes, change))

    return plant


LATER = {"maturity": date(2026, 12, 1)}
LAST = SINCE + timedelta(days=90 + 60)
DEFECTS = [
    Defect("notice_missed", on_loan(notified_on=None), mend_by=SINCE + timedelta(days=10), mendable=False),
    Defect(  # told, but a day late
        "notice_missed",
        on_loan(notified_on=date(2026, 2, 12)),
        mend_by=SINCE + timedelta(days=10),
        mendable=False,
    ),
    Defect("perfection_lapsed", lambda f: replace(f, securities=(replace(f.securities[0], released=True),))),
    Defect(
        "perfection_lapsed",
        lambda f: replace(f, securities=(*f.securities, Security(collateral_id="t", facility_id="f"))),
    ),
    Defect("rate_raised", lambda f: replace(f, file=replace(f.file, annual_rate=Decimal("0.018"))), "112.00"),
    Defect("term_extended", on_loan(maturity=date(2026, 9, 2)), mend_by=date(2026, 9, 1)),
    # The partner has not consented: the higher rate costs its interest, the later maturity the whole.
    Defect("rate_raised", changed(ChangeState.ASKED, "rate", annual_rate=Decimal("0.054")), "112.00"),
    Defect("rate_raised", changed(ChangeState.REFUSED, "rate", annual_rate=Decimal("0.054")), "112.00"),
    Defect("term_extended", changed(ChangeState.ASKED, "maturity", **LATER), mend_by=date(2026, 9, 1)),
    Defect("term_extended", changed(ChangeState.REFUSED, "renewal"), mend_by=date(2026, 9, 1)),
    Defect("drawdown_not_filed", on_loan(file_by=date(2026, 3, 5)), mend_by=date(2026, 3, 5)),
    Defect("drawdown_not_filed", on_loan(file_by=date(2025, 9, 5)), mend_by=date(2025, 9, 5), mendable=False),
    Defect("funds_misused", lambda f: replace(f, misused=True), mendable=False),
    Defect("document_missing", without("iou"), mend_by=LAST),
    Defect(
        "execution_not_tried",
        lambda f: replace(f, agreement=agreement(liability=Liability(kind=LiabilityKind.GENERAL, period_months=6))),
        mend_by=LAST,
    ),
    Defect(
        "period_expired",
        lambda f: replace(f, agreement=agreement(claims=ClaimRules(file_days_max=2)), on=date(2026, 5, 5)),
        amount="80720.00",  # 90 days of interest by then
        mend_by=date(2026, 5, 4),
        mendable=False,
    ),
    Defect(
        "period_expired",
        on_loan(disbursed_on=date(2024, 9, 1), maturity=date(2025, 8, 31), overdue_since=SINCE),
        mend_by=date(2026, 2, 28),
        mendable=False,
    ),
    Defect("premium_unpaid", on_loan(premium_open=True), holder="borrower"),
    Defect("agreement_suspended", lambda f: replace(f, suspended=True), holder="risk_director"),
    Defect(
        "cap_used_up", lambda f: replace(f, cap_room=cny("80000")), "224.00", holder="risk_director", mendable=False
    ),
]


def test_a_sound_loan_has_nothing_at_risk() -> None:
    judged = at_risk(sound())
    assert (judged.payable, judged.at_risk, judged.gaps) == (cny("80224"), cny("0"), ())
    assert next_look(sound()) == LAST + timedelta(days=1)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.defence)
def test_a_planted_defect_moves_the_figure_exactly(defect: Defect) -> None:
    judged = at_risk(defect.plant(replace(sound(), cap_room=cny("90000"))))
    (gap,) = judged.gaps
    assert judged.at_risk == gap.amount == cny(defect.amount)
    assert (gap.defence, gap.holder, gap.mend_by) == (defect.defence, defect.holder, defect.mend_by)
    assert gap.mendable is defect.mendable


def test_a_consent_on_paper_or_to_a_later_change_mends_it() -> None:
    refused = changed(ChangeState.REFUSED, "maturity", **LATER)
    assert at_risk(changed(ChangeState.CONSENTED, "maturity", **LATER)(refused(sound()))).gaps == ()
    assert at_risk(changed(ChangeState.LIGHTER, "", annual_rate=Decimal("0.03"))(sound())).gaps == ()
    consents = replace(sound(), proofs=(*sound().proofs, proof("change_consent")))
    assert at_risk(refused(consents)).gaps == ()
    before = changed(ChangeState.CONSENTED, "rate")(sound())
    again = refused(before).changes[-1]
    later = replace(before, changes=(*before.changes, replace(again, asked_on=TODAY)))
    assert [gap.defence for gap in at_risk(later).gaps] == ["term_extended"], (
        "an earlier consent covers no later change"
    )


def test_all_twelve_defences_are_planted_and_together_deny_no_more_than_the_whole() -> None:
    facts = sound()
    assert len({defect.defence for defect in DEFECTS}) == 12
    for defect in DEFECTS:
        if not defect.defence.startswith(("period", "execution")):  # their terms replace the others'
            facts = defect.plant(facts)
    judged = at_risk(facts)
    assert len(judged.gaps) == 10
    assert judged.at_risk == judged.payable


def test_what_was_not_agreed_is_no_defence() -> None:
    none = agreement(duties=Duties(), claims=ClaimRules(), liability=Liability())
    facts = replace(sound(), securities=(), proofs=(), misused=True, suspended=True, agreement=none)
    assert at_risk(on_loan(premium_open=True)(facts)).gaps == ()


DUTIES = {
    **AGREED,
    "claims": {"notice_days": 10},
    "duties": {"perfection": True, "use_of_funds": True, "premium": True},
}


async def test_growth_is_told_with_the_last_day_and_what_is_mended_goes_down(bench: Benches) -> None:
    offered = CollateralOffered(
        facility_id=ONE.facility_id,
        collateral_id="c-1",
        kind="house",
        declared_value=cny("1"),
        index_series="x",
        synthetic=False,
    )
    perfected = CollateralPerfected(facility_id=ONE.facility_id, collateral_id="c-1", registration_no="r", rank=1)
    released = CollateralReleased(facility_id=ONE.facility_id, collateral_id="c-1")
    misuse = InspectionCompleted(
        facility_id=ONE.facility_id,
        loan_id=ONE.loan_id,
        inspector="i",
        findings=(InspectionFinding(code="misuse_of_funds_allowed", staff="s", evidence="e"),),
    )
    path = f"/v1/facilities/{ONE.facility_id}"

    async def last(b: Bench) -> tuple[type, str, tuple[str, ...]]:
        event = (await b.published())[-1]
        return type(event), str(event.after.amount), getattr(event, "reasons", ())

    async def total(b: Bench) -> tuple[int, str, str]:
        (partner,) = (await b.get("/v1/cover-at-risk")).json()
        return partner["loans_at_risk"], partner["payable"]["amount"], partner["at_risk"]["amount"]

    async with bench(service) as b:
        await admit(b, DUTIES)
        await b.react(offered, perfected, on=DAY)
        await ONE.go_overdue(b)
        event = (await b.published())[-1]
        assert isinstance(event, CoverEndangered)
        assert (event.reasons, event.holders) == (("notice_missed", "premium_unpaid"), ("customer_manager", "borrower"))
        assert (event.after, event.mend_by) == (cny("56000"), (DUE + timedelta(days=10),))
        assert await total(b) == (1, "56000.00", "56000.00")
        (row,) = (await b.get("/v1/cover-at-risk/facilities")).json()["items"]
        assert [gap["defence"] for gap in row["loans"][0]["gaps"]] == ["notice_missed", "premium_unpaid"]

        premium = {"amount": {"amount": "800.00", "currency": "CNY"}}
        assert (await b.post(f"{path}/premium-payments", premium, role="core_bank")).is_success
        notice = {"loan_id": ONE.loan_id}
        assert (await b.post(f"{path}/loss-notices", notice, role="customer_manager")).is_success
        assert await last(b) == (CoverMended, "0.00", ())
        assert await total(b) == (0, "56000.00", "0.00")

        await b.react(released, on=DUE + timedelta(days=1))
        assert await last(b) == (CoverEndangered, "56000.00", ("perfection_lapsed",))
        await b.react(perfected, misuse, on=DUE + timedelta(days=1))
        assert await last(b) == (CoverEndangered, "56000.00", ("funds_misused",))
        await b.react(ONE.repaid("70000", "0"), ONE.closed("repaid"), on=DUE + timedelta(days=1))
        assert await last(b) == (CoverMended, "0.00", ())
        assert (await b.get("/v1/cover-at-risk")).json() == []
