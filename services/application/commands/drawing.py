"""Contract, drawdown and pay-out: core banking is told to pay once, and only when every condition is met.

What became of the money is core banking's to say: a drawdown may run out of time before the order, an order may not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from libs.events.application import (
    ContractSigned,
    DisbursementFailed,
    DisbursementRequested,
    DisbursementUnknown,
    DrawdownRequested,
    LoanDisbursed,
    ProvisionChanged,
)
from libs.kernel.errors import NotFound, Refused
from libs.kernel.money import Money
from libs.runtime.calls import Answer
from libs.runtime.tx import Tx
from services.application.commands.deadlines import (
    ANSWER,
    CONDITIONS,
    wait_ended,
    wait_for_answer,
    wait_for_conditions,
)
from services.application.domain.arrears import next_look
from services.application.domain.classification import ClassificationTerms
from services.application.domain.deadlines import DeadlineTerms, unready
from services.application.domain.drawdown import DrawdownTerms, check_drawdown, check_validity, unmet_conditions
from services.application.domain.facility import Facility, Status, check_status
from services.application.domain.loan import (
    Instalment,
    Loan,
    LoanStatus,
    check_schedule,
    disbursed,
    requested_loan,
)
from services.application.domain.provision import ProvisionTerms, provision
from services.application.store import FACILITIES, LOANS, ordered_on

PAY_OUT = "core_bank.disburse"
LOOK = "loan.look"
REASON_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The contract's own id."""

    facility_id: str
    contract_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The loan that was born, and what still stands before its money."""

    facility_id: str
    loan_id: str
    status: LoanStatus
    waits_for: tuple[str, ...]


async def sign_contract(tx: Tx, facility_id: str, contract_no: str) -> Signed:
    """Record the signed contract; a drawdown that waited for it may now be paid."""
    facility = await tx.get(FACILITIES, facility_id)
    check_status(facility, Status.APPROVED)
    limit = check_validity(facility, tx.date)
    contract_id = tx.new_id("contract")
    facility = replace(facility, status=Status.CONTRACTED, contract_id=contract_id, contract_no=contract_no)
    tx.put(FACILITIES, facility)
    tx.publish(ContractSigned(facility_id=facility_id, contract_id=contract_id, amount=limit))
    await pay_when_ready(tx, facility)
    return Signed(facility_id=facility_id, contract_id=contract_id)


async def request_drawdown(tx: Tx, facility_id: str, amount: Money, schedule: tuple[Instalment, ...]) -> Drawn:
    """Ask for the money: the loan is born, and is paid out as soon as its conditions are met."""
    facility = await tx.get(FACILITIES, facility_id)
    check_status(facility, Status.APPROVED, Status.CONTRACTED)
    check_schedule(schedule, amount, tx.date)
    terms = tx.policy(DrawdownTerms, "application/drawdown")
    check_drawdown(facility, amount, schedule[-1].due, tx.date, terms.terms)
    loan = requested_loan(facility_id, tx.new_id("loan"), amount, schedule)
    facility = replace(facility, loan_id=loan.loan_id)
    tx.put(LOANS, loan)
    tx.put(FACILITIES, facility)
    tx.publish(
        DrawdownRequested(facility_id=facility_id, loan_id=loan.loan_id, amount=amount, maturity=loan.maturity),
        policy=terms.ref,
    )
    await pay_when_ready(tx, facility)
    loan = await loan_of(tx, facility_id, loan.loan_id)
    if loan.status is LoanStatus.REQUESTED:
        wait_for_conditions(tx, facility_id, loan.loan_id)
    return Drawn(
        facility_id=facility_id, loan_id=loan.loan_id, status=loan.status, waits_for=unmet_conditions(facility)
    )


async def loan_of(tx: Tx, facility_id: str, loan_id: str) -> Loan:
    """The loan under the facility whose lock is held; raises NotFound for any other."""
    for loan in await tx.of(LOANS, facility_id):
        if loan.loan_id == loan_id:
            return loan
    raise NotFound("not_found", f"no Loan {loan_id} under facility {facility_id}")


async def pay_when_ready(tx: Tx, facility: Facility) -> None:
    """Tell core banking to pay the waiting drawdown, if there is one and nothing stands before it."""
    if not facility.loan_id or unmet_conditions(facility):
        return
    loan = await loan_of(tx, facility.facility_id, facility.loan_id)
    if loan.status is not LoanStatus.REQUESTED:
        return
    wait_ended(tx, CONDITIONS, loan.loan_id)
    wait_for_answer(tx, facility.facility_id, loan.loan_id)
    tx.put(LOANS, replace(loan, status=LoanStatus.DISBURSING))
    tx.publish(
        DisbursementRequested(
            facility_id=facility.facility_id, loan_id=loan.loan_id, amount=loan.amount, reference=loan.loan_id
        )
    )
    tx.call(
        PAY_OUT,
        key=facility.facility_id,
        reference=loan.loan_id,
        request={
            "facility_ref": facility.facility_id,
            "amount": str(loan.amount.amount),
            "currency": loan.currency,
            "business_date": tx.date.isoformat(),
        },
    )


async def take_disbursement_answer(tx: Tx, reference: str, request: dict[str, Any], answer: Answer) -> None:
    """Core banking answered for the loan `reference`: paid, or declined for good. A repeated answer changes nothing."""
    loan = await loan_of(tx, request["facility_ref"], reference)
    if loan.status is not LoanStatus.DISBURSING:
        return
    wait_ended(tx, ANSWER, reference)
    facility = await tx.get(FACILITIES, loan.facility_id)
    if answer.status < 300 and answer.body.get("paid", True):  # noqa: PLR2004 - HTTP's own 2xx
        _start_loan(tx, facility, loan)
        return
    reason = str(answer.body.get("reason") or f"status {answer.status}")[:REASON_CHARACTERS_MAX]
    _fail(tx, facility, loan, reason)


async def fail_unready(tx: Tx, loan_id: str, facility_id: str) -> None:
    """The drawdown's conditions were not met in time: it ends unpaid, and what comes later does not pay it."""
    loan = await loan_of(tx, facility_id, loan_id)
    if loan.status is LoanStatus.REQUESTED:
        facility = await tx.get(FACILITIES, facility_id)
        _fail(tx, facility, loan, unready(facility))


async def tell_unanswered(tx: Tx, loan_id: str, facility_id: str) -> None:
    """Core banking has not said in time whether it paid: people ask, the loan waits, an answer still counts."""
    loan = await loan_of(tx, facility_id, loan_id)
    if loan.status is not LoanStatus.DISBURSING:
        return
    since = await ordered_on(tx, PAY_OUT, loan_id)
    terms = tx.policy(DeadlineTerms, "application/deadlines", since)
    tx.publish(
        DisbursementUnknown(facility_id=facility_id, loan_id=loan_id, reference=loan_id, since=since), policy=terms.ref
    )


def _fail(tx: Tx, facility: Facility, loan: Loan, reason: str) -> None:
    tx.put(LOANS, replace(loan, status=LoanStatus.FAILED))
    tx.put(FACILITIES, replace(facility, loan_id=""))  # the limit is free again
    tx.publish(DisbursementFailed(facility_id=loan.facility_id, loan_id=loan.loan_id, reason=reason))


def _start_loan(tx: Tx, facility: Facility, requested: Loan) -> None:
    """The account begins: paid out, provided for, and looked at again the day after the first due date."""
    if facility.review is None:
        raise Refused("not_reviewed", "a loan was paid on a file that nobody reviewed")
    classes = tx.policy(ClassificationTerms, "application/classification")
    rates = tx.policy(ProvisionTerms, "application/provisions")
    loan = disbursed(requested, tx.date)
    after = provision(loan.outstanding, loan.risk_class, rates.terms)
    tx.put(LOANS, replace(loan, provision=after))
    tx.publish(
        LoanDisbursed(
            facility_id=facility.facility_id,
            loan_id=loan.loan_id,
            amount=loan.amount,
            maturity=loan.maturity,
            annual_rate=facility.applied.annual_rate,
            grade=facility.grade,
            lead=facility.lead,
            assistant=facility.assistant,
            reviewer=facility.review.reviewer,
            approver=facility.approver,
            channel=facility.channel,
        )
    )
    tx.publish(
        ProvisionChanged(
            facility_id=facility.facility_id,
            loan_id=loan.loan_id,
            before=requested.provision,
            after=after,
            risk_class=loan.risk_class,
        ),
        policy=rates.ref,
    )
    look = next_look(loan, tx.date, classes.terms)
    if look is not None:
        tx.timer(LOOK, ref=loan.loan_id, key=facility.facility_id, due=look)
