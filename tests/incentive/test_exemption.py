"""Due-diligence exemption: red line, then reduction, then exempt; evidence for everything held against a person."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.kernel.errors import Invalid, Refused
from libs.kernel.money import Money
from services.incentive.domain.accountability import CaseTerms, determine, open_case
from services.incentive.domain.exemption import (
    ExemptionTerms,
    Finding,
    Outcome,
    ScopeLimit,
    after_appeal,
    in_scope,
    judge,
    weigh,
)
from services.incentive.domain.people import Duty, Role, duties

TERMS = ExemptionTerms(
    red_lines=frozenset({"collusion", "falsified_file"}),
    reductions=frozenset({"inspection_late", "file_incomplete"}),
    default_ground="no_evidence_of_breach",
    scope=(ScopeLimit(borrower="small", credit_max=Decimal(1000)),),
    npl_tolerance_points=Decimal(3),
)
LEAD = Duty(staff="s-lead", role=Role.LEAD)
PROCEDURE = CaseTerms(review_days=60, limit_months=12)
CASE = open_case("case-1", date(2026, 3, 2), "incentive/exemption@2024-08-02", PROCEDURE)


def finding(code: str, *, staff: str = "s-lead", evidence: str = "doc-1", on: date = date(2026, 1, 5)) -> Finding:
    return Finding(code=code, staff=staff, evidence=evidence, found_on=on)


def test_without_conclusive_evidence_of_breach_a_person_is_exempt():
    verdict = judge(LEAD, (), TERMS)
    assert (verdict.outcome, verdict.grounds, verdict.evidence) == (
        Outcome.EXEMPT_FULL,
        ("no_evidence_of_breach",),
        (),
    )


def test_a_red_line_with_evidence_is_never_exempt():
    verdict = judge(LEAD, (finding("falsified_file"),), TERMS)
    assert (verdict.outcome, verdict.grounds, verdict.evidence) == (
        Outcome.NOT_EXEMPT,
        ("falsified_file",),
        ("doc-1",),
    )


def test_a_red_line_without_evidence_proves_nothing():
    assert judge(LEAD, (finding("falsified_file", evidence=""),), TERMS).outcome is Outcome.EXEMPT_FULL


def test_slight_negligence_reduces():
    verdict = judge(LEAD, (finding("inspection_late", evidence="doc-2"),), TERMS)
    assert (verdict.outcome, verdict.grounds, verdict.evidence) == (Outcome.REDUCED, ("inspection_late",), ("doc-2",))


def test_a_red_line_beats_slight_negligence_in_any_order_and_only_what_decided_is_named():
    found = (finding("inspection_late", evidence="doc-2"), finding("collusion"), finding("in_order"))
    verdicts = {judge(LEAD, order, TERMS) for order in permutations(found)}
    assert len(verdicts) == 1
    (verdict,) = verdicts
    assert (verdict.outcome, verdict.grounds, verdict.evidence) == (Outcome.NOT_EXEMPT, ("collusion",), ("doc-1",))


def test_another_persons_finding_does_not_count():
    assert judge(LEAD, (finding("collusion", staff="s-assist"),), TERMS).outcome is Outcome.EXEMPT_FULL


def test_a_code_of_no_tier_is_not_adverse():
    assert judge(LEAD, (finding("in_order"),), TERMS).outcome is Outcome.EXEMPT_FULL


@given(st.sets(st.sampled_from(["tolerance_ok", "no_evidence_of_breach", "inspection_late", "dissent_recorded"])))
def test_no_plea_lightens_a_red_line(codes: set[str]):
    assert weigh(frozenset(codes | {"collusion"}), TERMS) is Outcome.NOT_EXEMPT


def test_a_case_judges_everybody_who_stood_for_the_loan():
    people = duties(lead="s-lead", assistant="s-assist", reviewer="s-review", approver="s-approve")
    judged = determine(CASE, people, (finding("collusion"),), TERMS, date(2026, 5, 1))
    assert judged.determined_on == date(2026, 5, 1)
    assert [(v.role, v.outcome) for v in judged.verdicts] == [
        (Role.LEAD, Outcome.NOT_EXEMPT),
        (Role.ASSISTANT, Outcome.EXEMPT_FULL),
        (Role.REVIEWER, Outcome.EXEMPT_FULL),
        (Role.APPROVER, Outcome.EXEMPT_FULL),
    ]


@pytest.mark.parametrize(
    ("found_on", "outcome"),
    [
        (date(2025, 12, 1), Outcome.NOT_EXEMPT),
        (date(2026, 4, 30), Outcome.NOT_EXEMPT),
        (date(2026, 5, 1), Outcome.EXEMPT_FULL),
        (date(2026, 5, 2), Outcome.EXEMPT_FULL),
    ],
)
def test_findings_count_when_filed_before_the_day_of_determination(found_on: date, outcome: Outcome):
    assert CASE.determine_on == date(2026, 5, 1)
    judged = determine(CASE, (LEAD,), (finding("collusion", on=found_on),), TERMS, date(2026, 5, 4))
    assert judged.verdicts[0].outcome is outcome


def test_a_case_is_determined_once():
    judged = determine(CASE, (LEAD,), (), TERMS, date(2026, 5, 1))
    with pytest.raises(Refused, match="case_already_determined"):
        determine(judged, (LEAD,), (), TERMS, date(2026, 5, 2))


def test_a_determined_case_is_never_overdue():
    judged = determine(CASE, (LEAD,), (), TERMS, date(2026, 5, 1))
    assert CASE.is_overdue(date(2027, 3, 3))
    assert not judged.is_overdue(date(2027, 3, 3))


@pytest.mark.parametrize(("day", "holds"), [(1, False), (2, False), (3, True)])
def test_a_case_is_open_for_a_pay_run_from_the_day_after_it_was_opened(day: int, holds: bool):
    assert CASE.was_open(date(2026, 3, day)) is holds


def test_a_kind_of_borrower_the_notice_does_not_know_is_invalid():
    with pytest.raises(Invalid, match="borrower_kind_unknown"):
        in_scope("conglomerate", Money(Decimal(1), "CNY"), TERMS)


@given(st.integers(0, 20), st.integers(0, 20))
def test_an_appeal_is_never_heavier_than_the_determination_or_than_its_own_sum(original: int, recomputed: int):
    assert after_appeal(original, recomputed) <= original
    assert after_appeal(original, recomputed) in (original, recomputed)
