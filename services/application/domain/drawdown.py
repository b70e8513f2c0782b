"""Drawing under a facility: within limit, validity and tenor; paid out only when every condition is met."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from libs.kernel.calendar import add_months
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.application.domain.facility import Facility, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawdownTerms:
    """How many months the last instalment may lie beyond the approved tenor (inclusive)."""

    maturity_over_tenor_months_max: int


def check_drawdown(facility: Facility, amount: Money, maturity: date, today: date, terms: DrawdownTerms) -> None:
    """The facility admits this drawdown today; raises Refused with the bound it breaks."""
    limit = check_validity(facility, today)
    if facility.loan_id:
        raise Refused("already_drawn", f"loan {facility.loan_id} was drawn under this facility")
    if amount > limit:
        raise Refused("above_limit", f"the limit is {limit}")
    months = facility.applied.tenor_months + terms.maturity_over_tenor_months_max
    if maturity > add_months(today, months):
        raise Refused("maturity_beyond_tenor", f"{maturity} is more than {months} months away")


def check_validity(facility: Facility, today: date) -> Money:
    """The limit, while it may be used; raises Refused `no_limit` or, after its last day, `limit_expired`."""
    if facility.limit is None or facility.valid_until is None:
        raise Refused("no_limit", "the facility was not granted")
    if today > facility.valid_until:
        raise Refused("limit_expired", f"the limit was valid until {facility.valid_until}")
    return facility.limit


def unmet_conditions(facility: Facility) -> tuple[str, ...]:
    """What still stands between the drawdown and the money."""
    conditions = {
        "contract": facility.status is Status.CONTRACTED,
        "security": facility.all_perfected,
        "cover": facility.cover_settled,
        "disbursement_notice": not facility.notice_awaited,
    }
    return tuple(name for name, met in conditions.items() if not met)
