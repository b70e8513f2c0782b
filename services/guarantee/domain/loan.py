"""A disbursed loan as far as its cover needs to know it: principal left, arrears, what was recovered on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from libs.events.application import LoanDisbursed
from libs.events.guarantee import (
    CoverActivated,
    CoverConfirmed,
    CoverFiled,
    CoverRemoved,
    DeadlineMissed,
    LossNotified,
    PartOf,
    RecoveryShared,
    ShareOf,
)
from libs.kernel.calendar import add_months
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.charge import Charge
from services.guarantee.domain.cover import Cover, CoverState
from services.guarantee.domain.sharing import BANK, between, least, partners_part, parts_of, summed
from services.guarantee.domain.terms import BindTiming, RecoveryRank


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveredLoan:
    """One loan under a cover; `guaranteed` is the partners' part of what is outstanding, as capacity counts it.

    `premium` is what was charged for the latest period, `charges` who owes or paid what for which.

    `waiting` are recoveries that came while a claim was open and are not yet shared. `file_by` is the last day to file
    a batch drawdown, `filed_on` the day it was filed, `confirmed_on` the day the partner confirmed it; `removed` says
    why it struck it off. `reported` are the receipts of what the partner recovered itself, `notified_on` the day of the
    notice of loss. `year` is that of disbursement, `pd` the borrower's probability of default within a year.
    """

    loan_id: str
    facility_id: str
    cover_id: str
    currency: str
    amount: Money
    outstanding: Money
    guaranteed: Money
    annual_rate: Decimal
    disbursed_on: date
    maturity: date
    premium: Money
    premium_open: bool = False
    charges: tuple[Charge, ...] = ()
    overdue_since: date | None = None
    file_by: date | None = None
    filed_on: date | None = None
    confirmed_on: date | None = None
    removed: str = ""
    reported: tuple[str, ...] = ()
    notified_on: date | None = None
    closed: bool = False
    waiting: tuple[Money, ...] = ()
    shared: Money
    terms: str
    year: int
    pd: Decimal | None = None


def activate_cover(
    cover: Cover, event: LoanDisbursed, agreement: Agreement, on: date, pd: Decimal | None = None
) -> tuple[Cover, CoveredLoan, CoverActivated]:
    """The cover is in force for what was disbursed; after its last drawdown what is undrawn goes back.

    Raises Refused while the partner has not answered.
    """
    if cover.state not in (CoverState.BOUND, CoverState.ACTIVE):
        raise Refused("cover_not_bound", f"{event.loan_id} was disbursed while {cover.cover_id} is {cover.state}")
    undrawn = cover.held - cover.active
    part = least(partners_part(event.amount, cover.sharing, event.amount), undrawn)
    batch = agreement.binding.timing is BindTiming.FILED
    loan = CoveredLoan(
        loan_id=event.loan_id,
        facility_id=event.facility_id,
        cover_id=cover.cover_id,
        currency=event.amount.currency,
        amount=event.amount,
        outstanding=event.amount,
        guaranteed=part,
        annual_rate=event.annual_rate,
        disbursed_on=on,
        maturity=event.maturity,
        premium=event.amount.zero,
        file_by=on + timedelta(days=agreement.binding.file_days) if batch else None,
        shared=event.amount.zero,
        terms=cover.terms,
        year=on.year,
        pd=pd,
    )
    active = replace(
        cover,
        state=CoverState.ACTIVE,
        active=cover.active + part,
        used=cover.used + part,
        drawdowns=cover.drawdowns + 1,
    )
    activated = CoverActivated(
        facility_id=event.facility_id, cover_id=cover.cover_id, loan_id=event.loan_id, amount=event.amount
    )
    if active.drawdowns >= agreement.binding.drawdowns_max:
        active = replace(active, held=active.active)
    return active, loan, activated


def notify_loss(loan: CoveredLoan, on: date) -> tuple[CoveredLoan, LossNotified]:
    """The bank tells the partner of the arrears; raises Refused when there are none, or for it twice."""
    if loan.overdue_since is None:
        raise Refused("not_in_arrears", f"{loan.loan_id} is not in arrears")
    if loan.notified_on is not None:
        raise Refused("notified_before", f"the partner knows of {loan.loan_id} since {loan.notified_on}")
    event = LossNotified(
        facility_id=loan.facility_id,
        cover_id=loan.cover_id,
        loan_id=loan.loan_id,
        outstanding=loan.outstanding,
        since=loan.overdue_since,
    )
    return replace(loan, notified_on=on), event


def run_down(cover: Cover, loan: CoveredLoan, outstanding: Money) -> tuple[Cover, CoveredLoan]:
    """Principal was repaid: the cover holds no more than the partners' part of what is left."""
    left = least(partners_part(outstanding, cover.sharing, loan.amount), loan.guaranteed)
    freed = loan.guaranteed - left
    lower = replace(cover, held=cover.held - freed, active=cover.active - freed)
    return lower, replace(loan, outstanding=outstanding, guaranteed=left)


def file_drawdown(loan: CoveredLoan, on: date) -> tuple[CoveredLoan, CoverFiled]:
    """The batch drawdown is filed with the partner in time; raises Refused when it is not to be filed or too late."""
    if loan.file_by is None:
        raise Refused("filing_not_needed", f"{loan.loan_id} was agreed before it was disbursed")
    if loan.filed_on is not None:
        raise Refused("filed_before", f"{loan.loan_id} was filed on {loan.filed_on}")
    if on > loan.file_by:
        raise Refused("filing_too_late", f"{loan.loan_id} had to be filed by {loan.file_by}")
    event = CoverFiled(facility_id=loan.facility_id, cover_id=loan.cover_id, loan_id=loan.loan_id, amount=loan.amount)
    return replace(loan, filed_on=on), event


def confirm_drawdown(loan: CoveredLoan, on: date) -> tuple[CoveredLoan, CoverConfirmed]:
    """The partner confirms what was filed with it; raises Refused when it was not filed, or is decided already."""
    _require_undecided(loan)
    event = CoverConfirmed(
        facility_id=loan.facility_id, cover_id=loan.cover_id, loan_id=loan.loan_id, amount=loan.amount
    )
    return replace(loan, confirmed_on=on), event


def remove_filed(
    cover: Cover, loan: CoveredLoan, reason: str, confirm_by: date | None, on: date
) -> tuple[Cover, CoveredLoan, CoverRemoved]:
    """The partner strikes a filed drawdown off; raises Refused once it is confirmed, in arrears, closed, or late."""
    _require_undecided(loan)
    if loan.overdue_since is not None or loan.closed or (confirm_by is not None and on > confirm_by):
        raise Refused("removal_too_late", f"{loan.loan_id} stands: in arrears, closed, or not struck off in time")
    freed, removed, event = _removed(cover, loan, reason)
    return freed, replace(removed, removed=reason), event


def confirm_by(loan: CoveredLoan, agreement: Agreement) -> date | None:
    """The last day for the partner to confirm a filed drawdown; None when it has none."""
    days = agreement.binding.confirm_days
    return loan.filed_on + timedelta(days=days) if days and loan.filed_on is not None else None


def miss_confirmation(loan: CoveredLoan, cover: Cover, due: date) -> DeadlineMissed | None:
    """The partner has said nothing to a filed drawdown in its days; None when it did."""
    if loan.confirmed_on is not None or loan.removed:
        return None
    return DeadlineMissed(
        facility_id=loan.facility_id,
        cover_id=loan.cover_id,
        loan_id=loan.loan_id,
        duty="confirmation",
        side=cover.partner,
        due=due,
    )


def remove_unfiled(cover: Cover, loan: CoveredLoan) -> tuple[Cover, CoveredLoan, CoverRemoved]:
    """The last day to file has passed: the drawdown is not covered, and what was held for it goes back."""
    return _removed(cover, loan, "not_filed")


def _require_undecided(loan: CoveredLoan) -> None:
    if loan.filed_on is None:
        raise Refused("drawdown_not_filed", f"{loan.loan_id} is on no list")
    if loan.confirmed_on is not None or loan.removed:
        raise Refused("drawdown_decided", f"{loan.loan_id} was {loan.removed or 'confirmed'} before")


def _removed(cover: Cover, loan: CoveredLoan, reason: str) -> tuple[Cover, CoveredLoan, CoverRemoved]:
    event = CoverRemoved(
        facility_id=loan.facility_id,
        cover_id=loan.cover_id,
        loan_id=loan.loan_id,
        amount=loan.guaranteed,
        reason=reason,
    )
    freed = replace(cover, held=cover.held - loan.guaranteed, active=cover.active - loan.guaranteed)
    return freed, replace(loan, guaranteed=loan.guaranteed.zero), event


def claimable_on(loan: CoveredLoan, since: date, agreement: Agreement) -> date:
    """The first day on which a claim may be filed, inclusive.

    `claim_wait_days` past due (90 days means on the 90th) or so many days past maturity, whichever is first, but not
    before the lock-in after disbursement ends.
    """
    rules = agreement.claims
    day = since + timedelta(days=agreement.claim_wait_days)
    if rules.maturity_wait_days is not None:
        day = min(day, max(since, loan.maturity) + timedelta(days=rules.maturity_wait_days))
    return max(day, add_months(loan.disbursed_on, rules.lock_in_months))


def last_claim_day(loan: CoveredLoan, claimable: date, agreement: Agreement) -> date | None:
    """The last day on which a claim may be filed, inclusive; None when there is none.

    The earlier of the agreement's window from the first claimable day and the guarantee period after maturity.
    """
    days, months = agreement.claims.file_days_max, agreement.liability.period_months
    ends = [] if days is None else [claimable + timedelta(days=days)]
    if months is not None:
        ends.append(add_months(loan.maturity, months))
    return min(ends, default=None)


def share_recovery(
    loan: CoveredLoan, borne: tuple[PartOf, ...], ratio: tuple[ShareOf, ...], rank: RecoveryRank, amount: Money
) -> tuple[CoveredLoan, RecoveryShared]:
    """Split a net recovery in the ratio in which the loss was `borne`, or the bank first until it is made whole.

    Sharing in the loss ratio is practice; that subrogation may not harm the creditor is Civil Code 700.
    """
    first = amount.zero
    if rank is RecoveryRank.BANK_FIRST:
        own = next((part.amount for part in borne if part.party == BANK), amount.zero)
        first = between(loan.shared + amount, loan.shared, own)
        first = max(amount.zero, first)
        ratio = tuple(share for share in ratio if share.party != BANK) or ratio
    banks = (PartOf(party=BANK, amount=first),) if first else ()
    parts = summed([*banks, *parts_of(amount - first, ratio)], amount.currency)
    event = RecoveryShared(facility_id=loan.facility_id, cover_id=loan.cover_id, amount=amount, parts=parts)
    return replace(loan, shared=loan.shared + amount), event
