"""Write-off and recovery: written off only after responsibility is determined, recovered never beyond what was lost."""

from __future__ import annotations

from dataclasses import replace

from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.application.domain.loan import ClaimState, Loan, LoanStatus


def check_write_off(loan: Loan, amount: Money) -> None:
    """Non-performing, responsibility determined, no claim unanswered, and exactly what is owed; else Refused.

    That write-off follows the determination is finance-ministry text (金融企业呆账核销管理办法).
    """
    if loan.status is not LoanStatus.ACTIVE:
        raise Refused("loan_not_active", f"loan is {loan.status}", stands=str(loan.status))
    if not loan.risk_class.npl:
        raise Refused("not_non_performing", f"loan is {loan.risk_class}")
    if not loan.case_determined:
        raise Refused("case_not_determined", "responsibility comes before the write-off")
    if loan.claim is ClaimState.OPEN:
        raise Refused("claim_unanswered", "the partners have not paid, denied or been released yet")
    if amount != loan.outstanding:
        raise Refused("amount_not_outstanding", f"{loan.outstanding} is outstanding")


def written_off(loan: Loan) -> Loan:
    """The loan after its outstanding principal left the books."""
    return replace(
        loan,
        status=LoanStatus.WRITTEN_OFF,
        written_off=loan.outstanding,
        outstanding=loan.outstanding.zero,
        overdue_since=None,
    )


def net_loss(gross: Money, claim_paid: Money) -> Money:
    """What the bank itself lost: gross less what the partners paid, never below zero."""
    return max(gross - claim_paid, gross.zero)


def proceeds_kept(loan: Loan, net: Money) -> Loan:
    """The loan with the proceeds of one sale, to be booked at or after the write-off."""
    return replace(loan, proceeds=(*loan.proceeds, net))


def booked(loan: Loan) -> tuple[Loan, tuple[Money, ...]]:
    """The loan with all kept proceeds booked, and the recoveries this makes, each capped by what is still lost."""
    gross = loan.written_off
    if gross is None:
        return loan, ()
    recoveries: list[Money] = []
    left = gross - loan.recovered
    for net in loan.proceeds:
        part = min(net, left)
        left = left - part
        recoveries.append(part)
    return replace(loan, proceeds=(), recovered=gross - left), tuple(part for part in recoveries if part)
