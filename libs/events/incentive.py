"""What incentive publishes: results and pay per manager, deferral, clawback, and accountability with exemption."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial

from libs.events.envelope import event
from libs.kernel.money import Money

_event = partial(event, "incentive")


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffPart:
    """One person's part of an amount, in their role on this loan."""

    staff: str
    role: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Tranche:
    """One deferred instalment: its number (from 1), when it vests, how much."""

    number: int
    vests_on: date
    amount: Money


@_event("result.accrued")
@dataclass(frozen=True, slots=True, kw_only=True)
class ResultAccrued:
    """Performance pay was earned on a disbursed loan, divided over the people who carried it."""

    facility_id: str
    loan_id: str
    parts: tuple[StaffPart, ...]
    total: Money


@_event("pay.deferred")
@dataclass(frozen=True, slots=True, kw_only=True)
class PayDeferred:
    """What is paid now and what is deferred in equal yearly instalments (PAY-01)."""

    facility_id: str
    loan_id: str
    paid_now: Money
    deferred: Money
    tranches: tuple[Tranche, ...]


@_event("pay.vested")
@dataclass(frozen=True, slots=True, kw_only=True)
class PayVested:
    """A deferred instalment vested."""

    facility_id: str
    loan_id: str
    number: int
    parts: tuple[StaffPart, ...]
    total: Money


@_event("pay.clawed_back")
@dataclass(frozen=True, slots=True, kw_only=True)
class PayClawedBack:
    """Unvested pay was stopped and paid pay reclaimed after a determination."""

    facility_id: str
    loan_id: str
    parts: tuple[StaffPart, ...]
    stopped: Money
    reclaimed: Money


@_event("case.opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOpened:
    """An accountability case opened because the loan became non-performing; must end by `due` (EXM-04)."""

    facility_id: str
    loan_id: str
    case_id: str
    staff: tuple[str, ...]
    yardstick: str
    due: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One person's result: `exempt_full`, `reduced` or `not_exempt`, with the grounds or red lines that gave it."""

    staff: str
    role: str
    result: str
    grounds: tuple[str, ...]
    evidence: tuple[str, ...]


@_event("case.determined")
@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDetermined:
    """The case was determined under the rules in force when the business was done."""

    facility_id: str
    loan_id: str
    case_id: str
    results: tuple[Result, ...]


@_event("exemption.granted")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExemptionGranted:
    """These people did their duty: exempted in full or in part."""

    facility_id: str
    case_id: str
    results: tuple[Result, ...]


@_event("exemption.refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExemptionRefused:
    """A red line was crossed: these people are not exempt, whatever ground they plead (EXM-06)."""

    facility_id: str
    case_id: str
    results: tuple[Result, ...]
