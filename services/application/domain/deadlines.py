"""How long lending waits, and what a wait that is over is called: no file waits for ever, and none ends unnamed."""

from __future__ import annotations

from dataclasses import dataclass

from services.application.domain.drawdown import unmet_conditions
from services.application.domain.facility import Facility, Status
from services.application.domain.review import missing_facts

DECIDED_BY = "system:deadline"
UNDECIDED = (Status.SUBMITTED, Status.REVIEWED)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineTerms:
    """Calendar days from the day a wait begins; the wait is over when the last of them opens.

    `decision_days` run from submission, `drawdown_days` from the request to draw, `disbursement_days` from the order
    to core banking. A wait keeps the length it began with.
    """

    decision_days: int
    drawdown_days: int
    disbursement_days: int


def undecided(facility: Facility) -> tuple[str, ...]:
    """Why an undecided file is refused when its time is over: the first step that is missing, fact by fact."""
    if facility.status is Status.REVIEWED:
        missing: tuple[str, ...] = ("decision",)
    else:
        missing = missing_facts(facility) or ("review",)
    return ("deadline_passed", *(f"{what}_missing" for what in missing))


def unready(facility: Facility) -> str:
    """Why a drawdown fails when its time is over: which of its conditions were not met."""
    return f"conditions_not_met_in_time:{','.join(unmet_conditions(facility))}"
