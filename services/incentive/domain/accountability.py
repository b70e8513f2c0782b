"""The case that a non-performing loan opens: its yardstick, when it is determined, and by when it must have ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

from libs.kernel.calendar import add_months
from libs.kernel.errors import Refused
from services.incentive.domain.exemption import ExemptionTerms, Finding, Verdict, judge
from services.incentive.domain.people import Duty


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseTerms:
    """How long evidence is gathered before determination (days), and the limit of the whole case (months)."""

    review_days: int
    limit_months: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One accountability case; `determined_on` is None while it is open.

    `yardstick` names the exemption policy in force at disbursement.
    """

    case_id: str
    opened_on: date
    determine_on: date
    due: date
    yardstick: str
    determined_on: date | None = None
    verdicts: tuple[Verdict, ...] = ()

    def is_overdue(self, today: date) -> bool:
        """EXM-04: still open after its due day (the due day itself is in time)."""
        return self.determined_on is None and today > self.due

    def was_open(self, on: date) -> bool:
        """Whether it was opened before `on` and is undecided: a pay run goes out at opening, before that day's news."""
        return self.determined_on is None and self.opened_on < on


def open_case(case_id: str, opened_on: date, yardstick: str, terms: CaseTerms) -> Case:
    """Open a case: due one year after its start (EXM-04), determined earlier, after the review days."""
    return Case(
        case_id=case_id,
        opened_on=opened_on,
        determine_on=opened_on + timedelta(days=terms.review_days),
        due=add_months(opened_on, terms.limit_months),
        yardstick=yardstick,
    )


def determine(
    case: Case, people: tuple[Duty, ...], findings: tuple[Finding, ...], terms: ExemptionTerms, today: date
) -> Case:
    """Judge every person by the findings filed before the day of determination; Refused when already determined.

    That day's own findings are left out, whatever the hour they arrive, so the result never depends on the order in
    which one day's messages come.
    """
    if case.determined_on is not None:
        raise Refused("case_already_determined", case.case_id)
    heard = tuple(finding for finding in findings if finding.found_on < case.determine_on)
    return replace(case, determined_on=today, verdicts=tuple(judge(duty, heard, terms) for duty in people))
