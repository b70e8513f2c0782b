"""A disbursed loan as far as its cover needs to know it: principal left, arrears, what was recovered on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

from libs.events.application import LoanDisbursed
from libs.events.guarantee import CoverActivated, RecoveryShared
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.guarantee.domain.cover import Cover, CoverState
from services.guarantee.domain.sharing import parts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveredLoan:
    """One loan under a cover; `waiting` are recoveries that came while a claim was open and are not yet shared."""

    loan_id: str
    facility_id: str
    cover_id: str
    currency: str
    amount: Money
    outstanding: Money
    maturity: date
    premium: Money
    premium_open: bool = False
    overdue_since: date | None = None
    closed: bool = False
    waiting: tuple[Money, ...] = ()
    shared: Money


def activate_cover(cover: Cover, event: LoanDisbursed) -> tuple[Cover, CoveredLoan, CoverActivated]:
    """The cover is in force for what was disbursed; raises Refused while the partner has not answered."""
    if cover.state not in (CoverState.BOUND, CoverState.ACTIVE):
        raise Refused("cover_not_bound", f"{event.loan_id} was disbursed while {cover.cover_id} is {cover.state}")
    loan = CoveredLoan(
        loan_id=event.loan_id,
        facility_id=event.facility_id,
        cover_id=cover.cover_id,
        currency=event.amount.currency,
        amount=event.amount,
        outstanding=event.amount,
        maturity=event.maturity,
        premium=event.amount.zero,
        shared=event.amount.zero,
    )
    active = CoverActivated(
        facility_id=event.facility_id, cover_id=cover.cover_id, loan_id=event.loan_id, amount=event.amount
    )
    return replace(cover, state=CoverState.ACTIVE), loan, active


def claimable_on(since: date, wait_days: int) -> date:
    """The first day on which a claim may be filed: `wait_days` past due, inclusive (90 days means on the 90th)."""
    return since + timedelta(days=wait_days)


def share_recovery(cover: Cover, loan: CoveredLoan, amount: Money) -> tuple[CoveredLoan, RecoveryShared]:
    """Split a net recovery in the ratio in which the loss was borne (practice; contracts name the same weights)."""
    event = RecoveryShared(
        facility_id=loan.facility_id, cover_id=cover.cover_id, amount=amount, parts=parts_of(amount, cover.shares)
    )
    return replace(loan, shared=loan.shared + amount), event
