"""Two sealed findings become one: equal within tolerance they reconcile to the prudent value, else a third resolves."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from libs.events.application import Difference, Figures
from libs.kernel.errors import NotAllowed, Refused
from libs.kernel.money import Money

RECORDED = Decimal("0.000001")  # deviations are compared exactly and only written down to six places
OWED = "total_liabilities"  # the one figure of which more is worse


class Findings(StrEnum):
    """Where the two investigations stand."""

    OPEN = "open"
    DISPUTED = "disputed"
    RECONCILED = "reconciled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """What one investigator found; sealed until both are in."""

    investigator: str
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Investigation:
    """The two investigations of one facility."""

    facility_id: str
    mode: str
    lead: str
    assistant: str
    status: Findings = Findings.OPEN
    filings: tuple[Filing, ...] = ()
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeBand:
    """Applications up to `amount_max` (inclusive) are investigated in this mode: joint, parallel or blind."""

    amount_max: Decimal
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvestigationTerms:
    """Which mode at which amount, and how far two findings may differ (relative, inclusive)."""

    tolerance: Decimal
    modes: tuple[ModeBand, ...]


def mode_for(amount: Money, terms: InvestigationTerms) -> str:
    """The mode of the lowest band that holds `amount`; raises Refused `no_investigation_mode` above the last."""
    bands = sorted(terms.modes, key=lambda band: band.amount_max)
    band = next((band for band in bands if amount.amount <= band.amount_max), None)
    if band is None:
        raise Refused("no_investigation_mode", f"no mode for {amount}")
    return band.mode


def filed(investigation: Investigation, investigator: str, figures: Figures) -> Investigation:
    """The investigation with one more sealed filing; each of the two named people files once."""
    if investigator not in (investigation.lead, investigation.assistant):
        raise NotAllowed("not_investigator", f"{investigator} is not named for this file")
    if any(filing.investigator == investigator for filing in investigation.filings):
        raise Refused("already_filed", f"{investigator} has filed")
    filing = Filing(investigator=investigator, figures=figures)
    return replace(investigation, filings=(*investigation.filings, filing))


def deviation(one: Money, other: Money) -> Decimal:
    """The gap between two findings relative to the larger of them; zero when both are zero."""
    larger = max(abs(one.amount), abs(other.amount))
    return abs((one - other).amount) / larger if larger else Decimal(0)


def differences(one: Figures, other: Figures, tolerance: Decimal) -> tuple[Difference, ...]:
    """Every field on which two findings differ at all, with how far."""
    found = []
    for name in _names():
        gap = deviation(getattr(one, name), getattr(other, name))
        if gap:
            found.append(Difference(field=name, deviation=_recorded(gap), tolerance=tolerance))
    return tuple(found)


def agree(one: Figures, other: Figures, tolerance: Decimal) -> bool:
    """Whether every field is within tolerance (inclusive)."""
    return all(deviation(getattr(one, name), getattr(other, name)) <= tolerance for name in _names())


def prudent(one: Figures, other: Figures) -> Figures:
    """Field by field the value that flatters the borrower less: the lower, but of what is owed the higher."""
    values = {
        name: (max if name == OWED else min)(getattr(one, name), getattr(other, name), key=lambda money: money.amount)
        for name in _names()
    }
    return Figures(**values)


def _names() -> tuple[str, ...]:
    return tuple(field.name for field in fields(Figures))


def _recorded(gap: Decimal) -> Decimal:
    return gap.quantize(RECORDED, ROUND_HALF_UP)
