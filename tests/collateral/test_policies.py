"""Every policy file of collateral reads as the type that the rules take, and names where its numbers come from."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from pydantic import TypeAdapter

from libs.kernel.policy import in_force
from libs.runtime.policies import read_versions
from services.collateral.domain.capacity import PriorityTerms
from services.collateral.domain.disposal import DisposalTerms
from services.collateral.domain.revaluation import RevaluationTerms
from services.collateral.domain.valuation import ValuationTerms, rate_of

TERMS: dict[str, type] = {
    "valuation": ValuationTerms,
    "revaluation": RevaluationTerms,
    "disposal": DisposalTerms,
    "priority": PriorityTerms,
}
DAYS = {"": (date(2025, 9, 1), date(2029, 12, 31)), "-us-sba": (date(1970, 1, 1), date(2014, 12, 31))}


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("profile", DAYS)
def test_a_policy_is_in_force_on_every_day_of_its_profile(name: str, profile: str) -> None:
    versions = read_versions(f"collateral/{name}{profile}")
    for day in DAYS[profile]:
        version = in_force(versions, day)
        assert version is not None
        assert TypeAdapter(TERMS[name]).validate_python(version.terms)
        assert version.reason
        assert version.approved_by
        assert version.source
        assert version.level in ("head office", "branch")


def test_american_numbers_are_marked_assumed() -> None:
    for name in TERMS:
        for version in read_versions(f"collateral/{name}-us-sba"):
            assert version.source.startswith("assumed")


@pytest.mark.parametrize(
    ("kind", "rate"),
    [("house", "0.70"), ("factory", "0.60"), ("equipment", "0.50"), ("deposit", "0.90"), ("patent", "0.30")],
)
def test_the_chinese_ceilings_stand_in_the_policy(kind: str, rate: str) -> None:
    version = in_force(read_versions("collateral/valuation"), date(2025, 9, 1))
    assert version is not None
    terms = TypeAdapter(ValuationTerms).validate_python(version.terms)
    assert rate_of(kind, terms) == Decimal(rate)
