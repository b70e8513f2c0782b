"""The loan's account mirror: instalments are cleared in order, and nothing is ever repaid beyond what is owed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from itertools import pairwise

from libs.kernel.errors import Invalid, Refused
from libs.kernel.money import Money, total
from services.application.domain.classification import RiskClass


class LoanStatus(StrEnum):
    """How far the loan has come."""

    REQUESTED = "requested"
    DISBURSING = "disbursing"
    FAILED = "failed"
    ACTIVE = "active"
    WRITTEN_OFF = "written_off"
    CLOSED = "closed"


class ClaimState(StrEnum):
    """Where the claim on the partners stands; `open` from filing until it is paid, denied or withdrawn."""

    NONE = "none"
    OPEN = "open"
    PAID = "paid"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instalment:
    """Principal due on a day; interest is core banking's and is not mirrored."""

    due: date
    principal: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """One drawdown (借据): principal only. `overdue_since` is the oldest unmet due date, `cured_on` the day of cure."""

    loan_id: str
    facility_id: str
    currency: str
    status: LoanStatus
    amount: Money
    schedule: tuple[Instalment, ...]
    outstanding: Money
    provision: Money
    claim_paid: Money
    recovered: Money
    disbursed_on: date | None = None
    overdue_since: date | None = None
    cured_on: date | None = None
    risk_class: RiskClass = RiskClass.NORMAL
    claim: ClaimState = ClaimState.NONE
    case_determined: bool = False
    payments: tuple[str, ...] = ()
    written_off: Money | None = None
    proceeds: tuple[Money, ...] = ()

    @property
    def maturity(self) -> date:
        """The last day on which anything is due."""
        return self.schedule[-1].due


def requested_loan(facility_id: str, loan_id: str, amount: Money, schedule: tuple[Instalment, ...]) -> Loan:
    """A drawdown that waits for its conditions."""
    return Loan(
        loan_id=loan_id,
        facility_id=facility_id,
        currency=amount.currency,
        status=LoanStatus.REQUESTED,
        amount=amount,
        schedule=schedule,
        outstanding=amount.zero,
        provision=amount.zero,
        claim_paid=amount.zero,
        recovered=amount.zero,
    )


def check_schedule(schedule: tuple[Instalment, ...], amount: Money, today: date) -> None:
    """The plan is a plan: later days in order, positive parts, and together exactly the amount; else Invalid."""
    dues = [row.due for row in schedule]
    if not dues or dues[0] <= today:
        raise Invalid("schedule_not_ahead", f"the first instalment must fall after {today}")
    if any(later <= earlier for earlier, later in pairwise(dues)):
        raise Invalid("schedule_not_ascending", "due dates must ascend")
    if any(row.principal <= amount.zero for row in schedule):
        raise Invalid("instalment_empty", "every instalment repays something")
    planned = total((row.principal for row in schedule), amount.currency)
    if planned != amount:
        raise Invalid("schedule_not_amount", f"instalments sum to {planned}, not {amount}")


def disbursed(loan: Loan, on: date) -> Loan:
    """The loan after core banking paid it out."""
    return replace(loan, status=LoanStatus.ACTIVE, outstanding=loan.amount, disbursed_on=on)


def repaid(loan: Loan, principal: Money, interest: Money, reference: str) -> Loan:
    """The loan after one repayment; `reference` is core banking's own and counts once. Raises Refused or Invalid."""
    if loan.status is not LoanStatus.ACTIVE:
        raise Refused("loan_not_active", f"loan is {loan.status}", stands=str(loan.status))
    if principal < loan.amount.zero or interest < loan.amount.zero or not (principal or interest):
        raise Invalid("repayment_empty", "a repayment brings principal or interest")
    if reference in loan.payments:
        raise Refused("payment_already_booked", f"payment {reference} was booked before")
    if principal > loan.outstanding:
        raise Refused("principal_above_outstanding", f"{loan.outstanding} is outstanding")
    return replace(loan, outstanding=loan.outstanding - principal, payments=(*loan.payments, reference))


def next_unpaid(loan: Loan) -> Instalment | None:
    """The first instalment that the principal received does not fully cover, or None when all is repaid."""
    covered = loan.amount - loan.outstanding
    for row in loan.schedule:
        if covered < row.principal:
            return row
        covered = covered - row.principal
    return None


def arrears_since(loan: Loan, on: date) -> date | None:
    """The oldest due date that passed unmet before `on`, or None; a due date is met until its close."""
    unpaid = next_unpaid(loan)
    return unpaid.due if unpaid and unpaid.due < on else None


def days_past_due(loan: Loan, on: date) -> int:
    """Days since the oldest unmet due date; 0 without arrears."""
    return (on - loan.overdue_since).days if loan.overdue_since else 0
