"""The loan's life: repayments, days past due, class and provision, inspections; every change of each is told once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from libs.events.application import (
    InspectionCompleted,
    InspectionFinding,
    LoanClosed,
    LoanCured,
    LoanOverdue,
    LoanReclassified,
    ProvisionChanged,
    RepaymentReceived,
)
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.application.commands.drawing import LOOK, loan_of
from services.application.commands.people import named
from services.application.domain.arrears import assessed, next_look
from services.application.domain.classification import ClassificationTerms, RiskClass
from services.application.domain.facility import Status
from services.application.domain.loan import Loan, LoanStatus, days_past_due, repaid
from services.application.domain.people import check_apart
from services.application.domain.provision import ProvisionTerms, provision
from services.application.store import FACILITIES, LOANS

PAID_OUT = (LoanStatus.ACTIVE, LoanStatus.WRITTEN_OFF, LoanStatus.CLOSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account after a change."""

    loan_id: str
    status: LoanStatus
    outstanding: Money
    risk_class: RiskClass
    provision: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """The inspection that was recorded."""

    loan_id: str
    findings: int


def account(loan: Loan) -> Account:
    """What the door tells about a loan after a change."""
    return Account(
        loan_id=loan.loan_id,
        status=loan.status,
        outstanding=loan.outstanding,
        risk_class=loan.risk_class,
        provision=loan.provision,
    )


async def receive_repayment(
    tx: Tx, facility_id: str, loan_id: str, principal: Money, interest: Money, reference: str
) -> Account:
    """Book what core banking reports: instalments clear in order, arrears may cure, the last cent closes the loan."""
    before = await loan_of(tx, facility_id, loan_id)
    loan = repaid(before, principal, interest, reference)
    tx.publish(
        RepaymentReceived(
            facility_id=facility_id,
            loan_id=loan_id,
            principal=principal,
            interest=interest,
            outstanding=loan.outstanding,
        )
    )
    if loan.outstanding:
        return account(look(tx, before, loan))
    if before.overdue_since is not None:
        tx.publish(LoanCured(facility_id=facility_id, loan_id=loan_id, outstanding=loan.outstanding))
    loan = drop_provision(tx, replace(loan, overdue_since=None))
    tx.cancel_timer(LOOK, ref=loan_id)
    return account(await close_loan(tx, loan, "repaid"))


async def look_at_loan(tx: Tx, loan_id: str, facility_id: str) -> None:
    """Time alone may have changed the loan: a missed due date, a class bound, the end of a clean period."""
    loan = await loan_of(tx, facility_id, loan_id)
    if loan.status is LoanStatus.ACTIVE:
        look(tx, loan, loan)


def look(tx: Tx, before: Loan, now: Loan) -> Loan:
    """Assess `now`, tell what changed since `before`, and set the next look."""
    classes = tx.policy(ClassificationTerms, "application/classification")
    loan = assessed(now, tx.date, classes.terms)
    days = days_past_due(loan, tx.date)
    if before.overdue_since is None and loan.overdue_since is not None:
        tx.publish(
            LoanOverdue(
                facility_id=loan.facility_id,
                loan_id=loan.loan_id,
                since=loan.overdue_since,
                days_past_due=days,
                outstanding=loan.outstanding,
            )
        )
    if before.overdue_since is not None and loan.overdue_since is None:
        tx.publish(LoanCured(facility_id=loan.facility_id, loan_id=loan.loan_id, outstanding=loan.outstanding))
    if loan.risk_class is not before.risk_class:
        tx.publish(
            LoanReclassified(
                facility_id=loan.facility_id,
                loan_id=loan.loan_id,
                before=before.risk_class,
                after=loan.risk_class,
                days_past_due=days,
                outstanding=loan.outstanding,
                npl=loan.risk_class.npl,
            ),
            policy=classes.ref,
        )
        loan = _provide(tx, loan)
    tx.put(LOANS, loan)
    due = next_look(loan, tx.date, classes.terms)
    if due is None:
        tx.cancel_timer(LOOK, ref=loan.loan_id)
    else:
        tx.timer(LOOK, ref=loan.loan_id, key=loan.facility_id, due=due)
    return loan


def _provide(tx: Tx, loan: Loan) -> Loan:
    rates = tx.policy(ProvisionTerms, "application/provisions")
    return _provision_moved(tx, loan, provision(loan.outstanding, loan.risk_class, rates.terms), rates.ref)


def drop_provision(tx: Tx, loan: Loan) -> Loan:
    """Nothing is outstanding, so nothing is provided for."""
    return _provision_moved(tx, loan, loan.provision.zero, "")


def _provision_moved(tx: Tx, loan: Loan, after: Money, policy: str) -> Loan:
    if after == loan.provision:
        return loan
    tx.publish(
        ProvisionChanged(
            facility_id=loan.facility_id,
            loan_id=loan.loan_id,
            before=loan.provision,
            after=after,
            risk_class=loan.risk_class,
        ),
        policy=policy,
    )
    return replace(loan, provision=after)


async def close_loan(tx: Tx, loan: Loan, outcome: str) -> Loan:
    """The account is closed, `repaid` or `written_off`, and with it the facility."""
    loan = replace(loan, status=LoanStatus.CLOSED)
    facility = await tx.get(FACILITIES, loan.facility_id)
    tx.put(LOANS, loan)
    tx.put(FACILITIES, replace(facility, status=Status.CLOSED, closed_on=tx.date))
    tx.publish(LoanClosed(facility_id=loan.facility_id, loan_id=loan.loan_id, outcome=outcome))
    return loan


async def complete_inspection(
    tx: Tx, facility_id: str, loan_id: str, findings: tuple[InspectionFinding, ...]
) -> Inspected:
    """Record a post-loan inspection by somebody outside the file; what it finds concerns people we know."""
    loan = await loan_of(tx, facility_id, loan_id)
    if loan.status not in PAID_OUT:
        raise Refused("not_paid_out", f"loan is {loan.status}", stands=str(loan.status))
    facility = await tx.get(FACILITIES, facility_id)
    reviewer = facility.review.reviewer if facility.review else ""
    check_apart(tx.actor, (*facility.makers, reviewer, facility.approver))
    for finding in findings:
        await named(tx, finding.staff)
    tx.publish(InspectionCompleted(facility_id=facility_id, loan_id=loan_id, inspector=tx.actor, findings=findings))
    return Inspected(loan_id=loan_id, findings=len(findings))
