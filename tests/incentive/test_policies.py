"""The policy files of both profiles: readable as their types, complete, and honest about what is assumed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from pydantic import TypeAdapter

from libs.kernel.policy import in_force
from libs.runtime.policies import read_versions
from services.incentive.domain.accountability import CaseTerms
from services.incentive.domain.deferral import DeferralTerms
from services.incentive.domain.exemption import ExemptionTerms
from services.incentive.domain.pay import PayTerms
from services.incentive.domain.people import Role
from services.incentive.domain.vesting import ClawbackTerms

TERMS = {
    "pay": PayTerms,
    "deferral": DeferralTerms,
    "exemption": ExemptionTerms,
    "case": CaseTerms,
    "clawback": ClawbackTerms,
}
OFFERED = {"AAA", "AA", "A", "B", "C"}  # the grades that rating can assign


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize(("suffix", "first_day"), [("", date(2025, 9, 1)), ("-us-sba", date(1970, 1, 1))])
def test_every_policy_is_in_force_on_the_first_day_of_its_profile(name: str, suffix: str, first_day: date):
    version = in_force(read_versions(f"incentive/{name}{suffix}"), first_day)
    assert version is not None
    assert TypeAdapter(TERMS[name]).validate_python(version.terms)
    assert all((version.reason, version.approved_by, version.level, version.source))


@pytest.mark.parametrize("name", TERMS)
def test_the_replay_of_us_records_says_that_its_numbers_are_assumed(name: str):
    assert all(version.source.startswith("assumed") for version in read_versions(f"incentive/{name}-us-sba"))


@pytest.mark.parametrize("suffix", ["", "-us-sba"])
def test_every_grade_has_a_price_and_checkers_earn_nothing_from_volume(suffix: str):
    for version in read_versions(f"incentive/pay{suffix}"):
        pay = TypeAdapter(PayTerms).validate_python(version.terms)
        assert {rate.grade for rate in pay.rates} == OFFERED
        assert {row.role for row in pay.roles} == {Role.LEAD, Role.ASSISTANT}


def test_the_branch_defers_at_least_forty_percent_over_at_least_three_years():
    for version in read_versions("incentive/deferral"):
        deferral = TypeAdapter(DeferralTerms).validate_python(version.terms)
        assert deferral.share >= Decimal("0.40")
        assert deferral.years >= 3


@pytest.mark.parametrize("suffix", ["", "-us-sba"])
def test_no_code_is_both_a_red_line_and_slight_negligence(suffix: str):
    for version in read_versions(f"incentive/exemption{suffix}"):
        exemption = TypeAdapter(ExemptionTerms).validate_python(version.terms)
        assert not exemption.red_lines & exemption.reductions
        assert "falsified_file" in exemption.red_lines
