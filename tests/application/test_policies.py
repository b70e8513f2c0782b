"""Every policy file of lending is complete, typed and in force when the two profiles need it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from pydantic import TypeAdapter

from libs.kernel.policy import in_force
from libs.runtime.policies import read_versions
from services.application.domain.authority import AuthorityTerms
from services.application.domain.classification import ClassificationTerms
from services.application.domain.deadlines import DeadlineTerms
from services.application.domain.drawdown import DrawdownTerms
from services.application.domain.facility import LendingTerms
from services.application.domain.investigation import InvestigationTerms
from services.application.domain.provision import ProvisionTerms
from services.application.domain.review import ReviewTerms

TERMS: dict[str, type] = {
    "lending": LendingTerms,
    "investigation": InvestigationTerms,
    "review": ReviewTerms,
    "authority": AuthorityTerms,
    "drawdown": DrawdownTerms,
    "deadlines": DeadlineTerms,
    "classification": ClassificationTerms,
    "provisions": ProvisionTerms,
}
FIRST_DAY = {"": date(2025, 9, 1), "-us-sba": date(1970, 1, 1)}


@pytest.mark.parametrize("profile", FIRST_DAY)
@pytest.mark.parametrize("name", TERMS)
def test_policy_is_in_force_typed_and_sourced(name: str, profile: str) -> None:
    version = in_force(read_versions(f"application/{name}{profile}"), FIRST_DAY[profile])
    assert version is not None
    assert version.reason
    assert version.approved_by
    assert version.source
    assert version.level in ("head office", "branch")
    TypeAdapter(TERMS[name]).validate_python(version.terms)


@pytest.mark.parametrize("profile", FIRST_DAY)
def test_whatever_may_be_applied_for_has_a_mode_and_an_approver(profile: str) -> None:
    """No amount inside the product's frame falls between the bands of another policy."""
    terms = {name: read_versions(f"application/{name}{profile}")[-1].terms for name in TERMS}
    largest = Decimal(str(terms["lending"]["amount_max"]))
    modes = TypeAdapter(InvestigationTerms).validate_python(terms["investigation"]).modes
    authority = TypeAdapter(AuthorityTerms).validate_python(terms["authority"])
    assert max(band.amount_max for band in modes) >= largest
    worst = authority.grades[-1]
    assert any(row.grade_min == worst and row.amount_max >= largest for row in authority.rows)


@pytest.mark.parametrize("profile", FIRST_DAY)
def test_the_minimum_grades_are_grades(profile: str) -> None:
    review = TypeAdapter(ReviewTerms).validate_python(read_versions(f"application/review{profile}")[-1].terms)
    authority = TypeAdapter(AuthorityTerms).validate_python(read_versions(f"application/authority{profile}")[-1].terms)
    assert review.grades == authority.grades
    assert {review.grade_min, *(row.grade_min for row in authority.rows)} <= set(review.grades)
