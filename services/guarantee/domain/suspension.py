"""An agreement is suspended and reinstated: while it is suspended nothing is bound under it, existing covers stay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from libs.events.guarantee import PartnerReinstated, PartnerSuspended
from libs.kernel.errors import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """The last suspension of an agreement; it is over once it has been `lifted_on` a day."""

    code: str
    partner: str
    since: date
    reason: str
    suspended_by: str
    lifted_on: date | None = None
    lifted_by: str = ""


def suspended(last: Suspension | None) -> bool:
    """Whether nothing may be bound now."""
    return last is not None and last.lifted_on is None


def suspend(
    last: Suspension | None, *, code: str, partner: str, reason: str, by: str, on: date
) -> tuple[Suspension, PartnerSuspended]:
    """Bind nothing more under the agreement; raises Refused while it is suspended already."""
    if suspended(last):
        raise Refused("already_suspended", code)
    row = Suspension(code=code, partner=partner, since=on, reason=reason, suspended_by=by)
    return row, PartnerSuspended(partner=partner, agreement=code, reason=reason, since=on)


def reinstate(
    last: Suspension | None, *, code: str, reason: str, by: str, on: date
) -> tuple[Suspension, PartnerReinstated]:
    """Bind again; raises Refused when it is not suspended."""
    if last is None or not suspended(last):
        raise Refused("not_suspended", code)
    over = replace(last, lifted_on=on, lifted_by=by)
    return over, PartnerReinstated(partner=last.partner, agreement=code, reason=reason)
