"""The events that incentive hears, as short words, for the tests that tell a loan's story on a real database."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from libs.events.application import InspectionCompleted, InspectionFinding, LoanDisbursed, LoanReclassified
from libs.kernel.money import Money

DISBURSED_ON = date(2025, 10, 15)
RUNS = (date(2027, 3, 31), date(2028, 3, 31), date(2029, 3, 31))


def money(amount: str, currency: str = "CNY") -> Money:
    return Money(Decimal(amount), currency)


def disbursed(
    facility: str = "f-1", *, amount: str = "1000000", grade: str = "A", currency: str = "CNY"
) -> LoanDisbursed:
    return LoanDisbursed(
        facility_id=facility,
        loan_id=f"{facility}-loan",
        amount=money(amount, currency),
        maturity=date(2026, 10, 15),
        annual_rate=Decimal("0.045"),
        grade=grade,
        lead="s-lead",
        assistant="s-assist",
        reviewer="s-review",
        approver="s-approve",
        channel="tax-platform",
    )


def reclassified(facility: str = "f-1", *, after: str = "substandard", npl: bool = True) -> LoanReclassified:
    return LoanReclassified(
        facility_id=facility,
        loan_id=f"{facility}-loan",
        before="special_mention",
        after=after,
        days_past_due=91,
        outstanding=money("800000"),
        npl=npl,
    )


def inspected(
    code: str = "", *, facility: str = "f-1", staff: str = "s-lead", evidence: str = "photo-17"
) -> InspectionCompleted:
    findings = (InspectionFinding(code=code, staff=staff, evidence=evidence),) if code else ()
    return InspectionCompleted(
        facility_id=facility, loan_id=f"{facility}-loan", inspector="s-inspect", findings=findings
    )
