"""One line per facility for the list: where it stands and how much was told, the same in whatever order topics arrive.

Stages follow application's events only: they are ordered per facility, so the last of them decides. Everything else
is a count, an earliest and a latest day, which no order can change.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from libs.kernel.money import Money
from services.console.domain.story import Told


class Stage(StrEnum):
    """Where a facility or one of its loans stands; declared from the least to the most in need of eyes."""

    UNKNOWN = "unknown"
    REFUSED = "refused"
    REPAID = "repaid"
    WORKED_OUT = "worked_out"
    REFERRED = "referred"
    APPLIED = "applied"
    INVESTIGATED = "investigated"
    REVIEWED = "reviewed"
    GRANTED = "granted"
    CONTRACTED = "contracted"
    DRAWING = "drawing"
    UNPAID = "unpaid"
    PERFORMING = "performing"
    OVERDUE = "overdue"
    NON_PERFORMING = "non_performing"
    WRITTEN_OFF = "written_off"


_BEFORE_LOANS = {
    "referral.received": Stage.REFERRED,
    "application.submitted": Stage.APPLIED,
    "investigation.reconciled": Stage.INVESTIGATED,
    "application.reviewed": Stage.REVIEWED,
    "application.refused": Stage.REFUSED,
    "facility.granted": Stage.GRANTED,
    "contract.signed": Stage.CONTRACTED,
}
_OF_LOANS = {
    "drawdown.requested": Stage.DRAWING,
    "disbursement.failed": Stage.UNPAID,
    "loan.disbursed": Stage.PERFORMING,
    "loan.overdue": Stage.OVERDUE,
    "loan.written_off": Stage.WRITTEN_OFF,
}
_SEVERITY = tuple(Stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facility:
    """The line of one facility; `stage` is that of its most serious loan once it has one."""

    facility_id: str
    external_ref: str = ""
    branch: str = ""
    channel: str = ""
    stage: Stage = Stage.UNKNOWN
    loans: dict[str, Stage] = field(default_factory=dict)
    currency: str = ""
    limit_granted: Money | None = None
    first_on: date
    last_on: date
    events: int = 0


def tell(line: Facility | None, event: Told) -> Facility:
    """The facility's line after one more event about it."""
    on = event.business_date
    line = line or Facility(facility_id=event.key, first_on=on, last_on=on)
    line = replace(line, events=line.events + 1, first_on=min(line.first_on, on), last_on=max(line.last_on, on))
    return _advance(line, event) if event.topic == "application" else line


def _advance(line: Facility, event: Told) -> Facility:
    body = event.body
    if event.name == "referral.received":
        line = replace(line, external_ref=body["external_ref"], branch=body["branch"], channel=body["channel"])
    if event.name == "facility.granted":
        limit = Money(Decimal(body["limit"]["amount"]), body["limit"]["currency"])
        line = replace(line, limit_granted=limit, currency=limit.currency)
    if event.name in _BEFORE_LOANS:
        return replace(line, stage=_BEFORE_LOANS[event.name])
    if "loan_id" not in body:
        return line
    loan_id = body["loan_id"]
    loans = {**line.loans, loan_id: _loan_stage(line.loans.get(loan_id, Stage.UNKNOWN), event.name, body)}
    return replace(line, loans=loans, stage=max(loans.values(), key=_SEVERITY.index))


def _loan_stage(now: Stage, name: str, body: dict[str, Any]) -> Stage:
    """A cure alone does not lift a non-performing loan: only a change of its class does."""
    if name == "loan.closed":
        return Stage.REPAID if body["outcome"] == "repaid" else Stage.WORKED_OUT
    if name == "loan.cured":
        return now if now is Stage.NON_PERFORMING else Stage.PERFORMING
    if name == "loan.reclassified":
        if body["npl"]:
            return Stage.NON_PERFORMING
        if now is Stage.NON_PERFORMING:
            return Stage.OVERDUE if body["days_past_due"] else Stage.PERFORMING
    return _OF_LOANS.get(name, now)
