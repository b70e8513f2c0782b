"""What changes pay and accountability; every movement of pay is one balanced posting beside its event.

A loan's file, its postings and its events commit together. One business date's messages may come in any order: a pay
run looks only at what happened before its own day, a determination only at findings filed before its own.
"""

from __future__ import annotations

from dataclasses import replace

from libs.events.application import InspectionCompleted, LoanDisbursed, LoanReclassified
from libs.events.incentive import (
    CaseDetermined,
    CaseOpened,
    ExemptionGranted,
    ExemptionRefused,
    PayClawedBack,
    PayDeferred,
    PayVested,
    Result,
    ResultAccrued,
    StaffPart,
    Tranche,
)
from libs.kernel.errors import Refused
from libs.kernel.money import total
from libs.runtime.tx import Tx
from services.incentive import store
from services.incentive.domain import ledger
from services.incentive.domain.accountability import Case, CaseTerms, determine, open_case
from services.incentive.domain.deferral import DeferralTerms, Deferred, Instalment, Status, defer
from services.incentive.domain.exemption import ExemptionTerms, Finding, Outcome, Verdict
from services.incentive.domain.loan_file import LoanFile
from services.incentive.domain.pay import PayTerms, performance_pay
from services.incentive.domain.people import StaffPay, duties
from services.incentive.domain.vesting import ClawbackTerms, added, claw_back, run_due

VEST = "pay.vest"
DETERMINE = "case.determine"


async def accrue_pay(tx: Tx, loan: LoanDisbursed) -> None:
    """Earn, divide and defer the pay on a disbursed loan; Refused when it was accrued before."""
    if await _find(tx, loan.facility_id, loan.loan_id) is not None:
        raise Refused("pay_already_accrued", loan.loan_id)
    pay = tx.policy(PayTerms, "incentive/pay")
    deferral = tx.policy(DeferralTerms, "incentive/deferral")
    people = duties(lead=loan.lead, assistant=loan.assistant, reviewer=loan.reviewer, approver=loan.approver)
    earned = performance_pay(loan.amount, loan.grade, people, pay.terms)
    deferred = defer(earned, tx.date, deferral.terms)
    file = LoanFile(
        loan_id=loan.loan_id,
        facility_id=loan.facility_id,
        currency=loan.amount.currency,
        amount=loan.amount,
        grade=loan.grade,
        disbursed_on=tx.date,
        people=people,
        pay_policy=pay.ref,
        deferral_policy=deferral.ref,
        earned=total((part.amount for part in earned), loan.amount.currency),
        paid=deferred.paid_now,
        instalments=deferred.instalments,
    )
    tx.put(store.FILES, file)
    _post(tx, file, "accrual", ledger.accrual(earned, deferred.paid_now, file.currency))
    _publish_accrual(tx, file, earned, deferred)
    _set_next_run(tx, file)


def _publish_accrual(tx: Tx, file: LoanFile, earned: tuple[StaffPay, ...], deferred: Deferred) -> None:
    paid_now = total((part.amount for part in deferred.paid_now), file.currency)
    tx.publish(
        ResultAccrued(facility_id=file.facility_id, loan_id=file.loan_id, parts=_parts(earned), total=file.earned),
        policy=file.pay_policy,
    )
    tx.publish(
        PayDeferred(
            facility_id=file.facility_id,
            loan_id=file.loan_id,
            paid_now=paid_now,
            deferred=file.earned - paid_now,
            tranches=tuple(
                Tranche(number=row.number, vests_on=row.vests_on, amount=row.total(file.currency))
                for row in deferred.instalments
            ),
        ),
        policy=file.deferral_policy,
    )


async def run_pay(tx: Tx, facility_id: str, loan_id: str) -> None:
    """The yearly pay run of one loan: what is due vests, or is held by a case that was open before the run."""
    file = await _get(tx, facility_id, loan_id)
    after = replace(file, instalments=run_due(file.instalments, file.case, tx.date))
    after = _vest(tx, file, after)
    tx.put(store.FILES, after)
    _set_next_run(tx, after)


async def record_findings(tx: Tx, inspection: InspectionCompleted) -> None:
    """Keep what an inspection found, for a case that may come; an inspection without findings changes nothing."""
    file = await _get(tx, inspection.facility_id, inspection.loan_id)
    if not inspection.findings:
        return
    found = tuple(
        Finding(code=finding.code, staff=finding.staff, evidence=finding.evidence, found_on=tx.date)
        for finding in inspection.findings
    )
    tx.put(store.FILES, replace(file, findings=file.findings + found))


async def open_case_on(tx: Tx, change: LoanReclassified) -> None:
    """Open the accountability case when the loan first turns non-performing; a loan has one case in its life."""
    if not change.npl:
        return
    file = await _get(tx, change.facility_id, change.loan_id)
    if file.case is not None:
        return
    procedure = tx.policy(CaseTerms, "incentive/case")
    yardstick = tx.policy(ExemptionTerms, "incentive/exemption", on=file.disbursed_on)
    case = open_case(tx.new_id("case"), tx.date, yardstick.ref, procedure.terms)
    tx.put(store.FILES, replace(file, case=case))
    tx.publish(
        CaseOpened(
            facility_id=file.facility_id,
            loan_id=file.loan_id,
            case_id=case.case_id,
            staff=tuple(dict.fromkeys(duty.staff for duty in file.people)),
            yardstick=case.yardstick,
            due=case.due,
        ),
        policy=procedure.ref,
    )
    tx.timer(DETERMINE, ref=file.loan_id, key=file.facility_id, due=case.determine_on)


async def determine_case(tx: Tx, facility_id: str, loan_id: str) -> None:
    """Judge everybody by the rules in force at disbursement, take back pay where due, release what was held."""
    file = await _get(tx, facility_id, loan_id)
    if file.case is None:
        raise Refused("no_case_open", loan_id)
    exemption = tx.policy(ExemptionTerms, "incentive/exemption", on=file.disbursed_on)
    measures = tx.policy(ClawbackTerms, "incentive/clawback", on=file.disbursed_on)
    case = determine(file.case, file.people, file.findings, exemption.terms, tx.date)
    instalments, taken = claw_back(file.paid, file.instalments, case.verdicts, measures.terms)
    _publish_case(tx, file, case)
    after = replace(file, case=case, instalments=instalments)
    if taken.stopped or taken.reclaimed:
        after = replace(after, clawback=taken)
        _post(tx, file, "clawback", ledger.clawing_back(taken.stopped, taken.reclaimed))
        tx.publish(
            PayClawedBack(
                facility_id=file.facility_id,
                loan_id=file.loan_id,
                parts=_parts(added(taken.stopped, taken.reclaimed)),
                stopped=total((part.amount for part in taken.stopped), file.currency),
                reclaimed=total((part.amount for part in taken.reclaimed), file.currency),
            ),
            policy=measures.ref,
        )
    after = _vest(tx, file, after)
    tx.put(store.FILES, after)
    _set_next_run(tx, after)


def _publish_case(tx: Tx, file: LoanFile, case: Case) -> None:
    results = tuple(_result(verdict) for verdict in case.verdicts)
    refused = tuple(result for result in results if result.result == Outcome.NOT_EXEMPT)
    granted = tuple(result for result in results if result.result != Outcome.NOT_EXEMPT)
    tx.publish(
        CaseDetermined(facility_id=file.facility_id, loan_id=file.loan_id, case_id=case.case_id, results=results),
        policy=case.yardstick,
    )
    if granted:
        tx.publish(
            ExemptionGranted(facility_id=file.facility_id, case_id=case.case_id, results=granted),
            policy=case.yardstick,
        )
    if refused:
        tx.publish(
            ExemptionRefused(facility_id=file.facility_id, case_id=case.case_id, results=refused),
            policy=case.yardstick,
        )


def _vest(tx: Tx, before: LoanFile, after: LoanFile) -> LoanFile:
    """Pay, post and publish each instalment that vested between two states of a file."""
    vested_before = {row.number for row in before.instalments if row.status is Status.VESTED}
    for row in after.instalments:
        if row.status is Status.VESTED and row.number not in vested_before:
            after = replace(after, paid=added(after.paid, row.parts))
            _post(tx, after, f"vested-{row.number}", ledger.vesting(row.parts))
            _publish_vested(tx, after, row)
    return after


def _publish_vested(tx: Tx, file: LoanFile, row: Instalment) -> None:
    amount = row.total(file.currency)
    if amount:
        tx.publish(
            PayVested(
                facility_id=file.facility_id,
                loan_id=file.loan_id,
                number=row.number,
                parts=_parts(tuple(part for part in row.parts if part.amount)),
                total=amount,
            ),
            policy=file.deferral_policy,
        )


def _set_next_run(tx: Tx, file: LoanFile) -> None:
    due = file.next_run()
    if due is None:
        tx.cancel_timer(VEST, ref=file.loan_id)
    else:
        tx.timer(VEST, ref=file.loan_id, key=file.facility_id, due=due)


def _post(tx: Tx, file: LoanFile, name: str, legs: tuple[ledger.Leg, ...]) -> None:
    entries = ledger.post(
        f"{file.loan_id}/{name}",
        legs,
        facility_id=file.facility_id,
        loan_id=file.loan_id,
        currency=file.currency,
        on=tx.date,
    )
    for entry in entries:
        tx.put(store.LEDGER, entry)


async def _find(tx: Tx, facility_id: str, loan_id: str) -> LoanFile | None:
    files = await tx.of(store.FILES, facility_id)
    return next((file for file in files if file.loan_id == loan_id), None)


async def _get(tx: Tx, facility_id: str, loan_id: str) -> LoanFile:
    file = await _find(tx, facility_id, loan_id)
    if file is None:
        raise Refused("loan_unknown", f"no loan {loan_id} was disbursed under {facility_id}")
    return file


def _parts(pay: tuple[StaffPay, ...]) -> tuple[StaffPart, ...]:
    return tuple(StaffPart(staff=part.staff, role=part.role.value, amount=part.amount) for part in pay)


def _result(verdict: Verdict) -> Result:
    return Result(
        staff=verdict.staff,
        role=verdict.role.value,
        result=verdict.outcome.value,
        grounds=verdict.grounds,
        evidence=verdict.evidence,
    )
