"""Due-diligence exemption: red line, then reduction, then exempt by default; every adverse finding needs evidence.

The yardstick is the policy in force when the business was done (2024 No.11), never a later one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from libs.kernel.errors import Invalid
from libs.kernel.money import Money
from services.incentive.domain.people import Duty, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeLimit:
    """Up to which single-borrower credit (inclusive, in the profile's currency) a kind of borrower is in scope."""

    borrower: str
    credit_max: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ExemptionTerms:
    """The codes of each tier, the ground of the default, and the notice's limits of scope and tolerance."""

    red_lines: frozenset[str]
    reductions: frozenset[str]
    default_ground: str
    scope: tuple[ScopeLimit, ...]
    npl_tolerance_points: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an inspection found about a person, the evidence that proves it, and the business date it was filed."""

    code: str
    staff: str
    evidence: str
    found_on: date


class Outcome(StrEnum):
    """The three tiers of the 2024 notice."""

    EXEMPT_FULL = "exempt_full"
    REDUCED = "reduced"
    NOT_EXEMPT = "not_exempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One person's result, the grounds or codes that gave it, and the evidence it rests on."""

    staff: str
    role: Role
    outcome: Outcome
    grounds: tuple[str, ...]
    evidence: tuple[str, ...]


def weigh(codes: frozenset[str], terms: ExemptionTerms) -> Outcome:
    """EXM-06: one red line beats every ground and the branch's safe harbour; slight negligence reduces; else exempt.

    `codes` are proven findings and pleaded grounds together: a ground can never lighten what a code has decided.
    """
    if codes & terms.red_lines:
        return Outcome.NOT_EXEMPT
    if codes & terms.reductions:
        return Outcome.REDUCED
    return Outcome.EXEMPT_FULL


def judge(duty: Duty, findings: tuple[Finding, ...], terms: ExemptionTerms) -> Verdict:
    """The result of one person in one role; a finding without evidence proves nothing ("no conclusive evidence")."""
    proven = [finding for finding in findings if finding.staff == duty.staff and finding.evidence]
    outcome = weigh(frozenset(finding.code for finding in proven), terms)
    match outcome:
        case Outcome.NOT_EXEMPT:
            decisive = terms.red_lines
        case Outcome.REDUCED:
            decisive = terms.reductions
        case Outcome.EXEMPT_FULL:
            decisive = frozenset()
    telling = [finding for finding in proven if finding.code in decisive]
    return Verdict(
        staff=duty.staff,
        role=duty.role,
        outcome=outcome,
        grounds=tuple(sorted({finding.code for finding in telling})) or (terms.default_ground,),
        evidence=tuple(sorted({finding.evidence for finding in telling})),
    )


def in_scope(borrower: str, credit: Money, terms: ExemptionTerms) -> bool:
    """EXM-01: single-borrower credit at most the limit of its kind (inclusive); Invalid for an unknown kind."""
    limit = next((row for row in terms.scope if row.borrower == borrower), None)
    if limit is None:
        raise Invalid("borrower_kind_unknown", f"the exemption policy has no scope for {borrower}")
    return credit.amount <= limit.credit_max


def within_tolerance(sme_npl_percent: Decimal, all_npl_percent: Decimal, terms: ExemptionTerms) -> bool:
    """EXM-02: the SME NPL ratio exceeds the all-loan ratio by at most the tolerance (percentage points, inclusive)."""
    return sme_npl_percent - all_npl_percent <= terms.npl_tolerance_points


def after_appeal(original_points: int, recomputed_points: int) -> int:
    """EXM-03: an appeal may lighten a determination, never make it heavier."""
    return min(original_points, recomputed_points)
