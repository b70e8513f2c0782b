"""The published test vectors of pay and exemption, run against the policies in force at the Chinese branch."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from libs.kernel.money import Money
from libs.runtime.policies import read_versions
from services.incentive.domain.accountability import CaseTerms, open_case
from services.incentive.domain.deferral import DeferralTerms, equal_instalments, paid_at_once
from services.incentive.domain.exemption import ExemptionTerms, after_appeal, in_scope, weigh, within_tolerance

VECTORS = {row["id"]: row for row in json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))}
TEN_THOUSAND = 10_000


def terms(kind: type, name: str) -> Any:
    return TypeAdapter(kind).validate_python(read_versions(f"incentive/{name}")[-1].terms)


def case(code: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return VECTORS[code]["input"], VECTORS[code]["expected"]


def test_exm_01_a_credit_at_the_limit_is_in_scope_and_a_cent_above_is_not():
    given, expected = case("EXM-01")
    policy = terms(ExemptionTerms, "exemption")
    found = [in_scope(kind, Money(Decimal(credit) * TEN_THOUSAND, "CNY"), policy) for kind, credit in given["cases"]]
    assert found == expected["in_scope"]


def test_exm_02_three_percentage_points_of_npl_are_tolerated_and_no_more():
    given, expected = case("EXM-02")
    policy = terms(ExemptionTerms, "exemption")
    whole = Decimal(str(given["all"]))
    assert [within_tolerance(Decimal(str(sme)), whole, policy) for sme in given["sme"]] == expected["within"]


def test_exm_03_an_appeal_never_makes_it_heavier():
    given, expected = case("EXM-03")
    assert [after_appeal(given["original_points"], points) for points in given["recomputed"]] == expected["final"]


def test_exm_04_a_case_ends_within_one_year_and_is_overdue_the_day_after():
    given, expected = case("EXM-04")
    opened = open_case("c-1", date.fromisoformat(given["start"]), "", terms(CaseTerms, "case"))
    assert opened.due == date.fromisoformat(expected["due"])
    late = date.fromisoformat(expected["overdue_on"])
    assert opened.is_overdue(late)
    assert not opened.is_overdue(late - timedelta(days=1))


def test_exm_06_a_red_line_beats_every_ground():
    given, expected = case("EXM-06")
    codes = frozenset(given["grounds"]) | frozenset(given["red_lines"])
    assert weigh(codes, terms(ExemptionTerms, "exemption")) == expected["result"]


def test_pay_01_forty_percent_waits_in_three_equal_instalments_with_the_cent_in_the_last():
    given, expected = case("PAY-01")
    policy = terms(DeferralTerms, "deferral")
    assert (policy.share, policy.years) == (Decimal(str(given["defer"])), given["years"])
    pay = Money(Decimal(given["perf_pay"]), "CNY")
    now = paid_at_once(pay, policy.share)
    assert str(now.amount) == expected["now"]
    assert [str(part.amount) for part in equal_instalments(pay - now, policy.years)] == expected["tranches"]
