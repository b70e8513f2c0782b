"""Graded authority: amount × grade × level, inclusive; makers never check; lapsed training decides nothing."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from libs.kernel.errors import Invalid, NotAllowed
from libs.kernel.money import Money
from services.application.domain.authority import (
    AuthorityRow,
    AuthorityTerms,
    check_authority,
    check_reasoned,
    may_approve,
)
from services.application.domain.people import Staff, check_apart, check_pair, check_role, check_trained

TERMS = AuthorityTerms(
    grades=("AAA", "AA", "A", "B", "C"),
    rows=(
        AuthorityRow(level="branch", grade_min="B", amount_max=Decimal(5_000_000)),
        AuthorityRow(level="branch", grade_min="A", amount_max=Decimal(8_000_000)),
        AuthorityRow(level="head office", grade_min="C", amount_max=Decimal(10_000_000)),
    ),
)
TODAY = date(2025, 9, 1)
WANG = Staff(staff_id="wang", branch="b1", role="approver", level="branch", trained_until=TODAY)


@pytest.mark.parametrize(
    ("level", "grade", "amount", "may"),
    [
        ("branch", "B", "5000000", True),
        ("branch", "B", "5000000.01", False),
        ("branch", "A", "5000000.01", True),
        ("branch", "AAA", "8000000", True),
        ("branch", "A", "8000000.01", False),
        ("branch", "C", "1", False),
        ("head office", "C", "10000000", True),
        ("head office", "unrated", "1", False),
        ("sub-branch", "AAA", "1", False),
    ],
)
def test_authority_is_amount_by_grade_by_level(level: str, grade: str, amount: str, *, may: bool) -> None:
    assert may_approve(level, grade, Money(Decimal(amount), "CNY"), TERMS) is may


def test_beyond_the_matrix_is_not_allowed() -> None:
    with pytest.raises(NotAllowed, match="authority_exceeded"):
        check_authority("branch", "C", Money(Decimal(1), "CNY"), TERMS)


def test_training_holds_through_its_last_day() -> None:
    check_trained(WANG, TODAY)
    with pytest.raises(NotAllowed, match="training_lapsed"):
        check_trained(WANG, TODAY + timedelta(days=1))


def test_the_register_decides_the_role_not_the_token() -> None:
    check_role(WANG, "reviewer", "approver")
    with pytest.raises(NotAllowed, match="role_not_held"):
        check_role(WANG, "reviewer")


def test_a_maker_never_checks() -> None:
    check_apart("zhao", ("li", "wang"))
    with pytest.raises(NotAllowed, match="maker_is_checker"):
        check_apart("li", ("li", "wang"))


def test_one_person_cannot_be_the_pair() -> None:
    with pytest.raises(Invalid, match="same_investigator"):
        check_pair("li", "li")


@pytest.mark.parametrize(
    ("decision", "recommendation", "needs_reason"),
    [
        ("approve", "approve", False),
        ("approve", "refuse", True),
        ("refuse", "approve", True),
        ("refuse", "refuse", True),
    ],
)
def test_a_refusal_or_a_decision_against_the_recommendation_needs_a_reason(
    decision: str, recommendation: str, *, needs_reason: bool
) -> None:
    check_reasoned(decision, recommendation, ("seen the orders",))
    if needs_reason:
        with pytest.raises(Invalid, match="reason_required"):
            check_reasoned(decision, recommendation, ())
    else:
        check_reasoned(decision, recommendation, ())
