"""The day's look at a loan: overdue or cured, which class, and the next day on which that can change by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from libs.kernel.calendar import add_months
from services.application.domain.classification import (
    ClassificationTerms,
    RiskClass,
    class_by_days,
    next_bound,
    worse,
)
from services.application.domain.loan import Loan, arrears_since, days_past_due, next_unpaid


def assessed(loan: Loan, on: date, terms: ClassificationTerms) -> Loan:
    """The loan with its arrears and class as they stand on `on`.

    The class never improves while arrears stand. Cured, special mention returns to normal at once; a non-performing
    loan returns only after its clean period (2023 No. 1, upgrade rule).
    """
    since = arrears_since(loan, on)
    if since is not None:
        floor = class_by_days((on - since).days, terms)
        return replace(loan, overdue_since=since, cured_on=None, risk_class=worse(loan.risk_class, floor))
    if loan.overdue_since is not None:
        loan = replace(loan, overdue_since=None, cured_on=on)
    return replace(loan, risk_class=_without_arrears(loan, on, terms))


def next_look(loan: Loan, on: date, terms: ClassificationTerms) -> date | None:
    """The next day on which time alone changes this loan, or None when only a payment can."""
    if loan.overdue_since is not None:
        bound = next_bound(days_past_due(loan, on), terms)
        return None if bound is None else loan.overdue_since + timedelta(days=bound + 1)
    unpaid = next_unpaid(loan)
    if unpaid is None:
        return None
    missed = unpaid.due + timedelta(days=1)
    if loan.risk_class.npl and loan.cured_on is not None:
        return min(missed, clean_from(loan, loan.cured_on, terms))
    return missed


def clean_from(loan: Loan, cured_on: date, terms: ClassificationTerms) -> date:
    """The first day on which a cured non-performing loan has served both its months and its instalments."""
    later = [row.due for row in loan.schedule if row.due > cured_on][: terms.upgrade_periods]
    served = later[-1] + timedelta(days=1) if later else cured_on
    return max(add_months(cured_on, terms.upgrade_months), served)


def _without_arrears(loan: Loan, on: date, terms: ClassificationTerms) -> RiskClass:
    if not loan.risk_class.npl:
        return RiskClass.NORMAL
    if loan.cured_on is not None and on >= clean_from(loan, loan.cured_on, terms):
        return RiskClass.NORMAL
    return loan.risk_class
