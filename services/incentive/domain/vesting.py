"""What becomes of deferred pay: it vests at its run, is held by an open case, and is stopped or reclaimed by one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from services.incentive.domain.accountability import Case
from services.incentive.domain.deferral import Instalment, Status
from services.incentive.domain.exemption import Outcome, Verdict
from services.incentive.domain.people import StaffPay


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What one tier costs: the share of unvested pay stopped and of paid pay reclaimed (0 to 1)."""

    stop: Decimal
    reclaim: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ClawbackTerms:
    """The measures of the two tiers that cost something; an exempt person loses nothing."""

    not_exempt: Measure
    reduced: Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Clawback:
    """What a determination took: unvested pay stopped, paid pay reclaimed, per person and role."""

    stopped: tuple[StaffPay, ...] = ()
    reclaimed: tuple[StaffPay, ...] = ()


def run_due(instalments: tuple[Instalment, ...], case: Case | None, today: date) -> tuple[Instalment, ...]:
    """The instalments after the pay run of `today`: those due have vested, or are held if a case was open before."""
    return tuple(
        replace(row, status=_at_run(row, case)) if row.status is Status.DEFERRED and row.vests_on <= today else row
        for row in instalments
    )


def _at_run(row: Instalment, case: Case | None) -> Status:
    return Status.HELD if case is not None and case.was_open(row.vests_on) else Status.VESTED


def claw_back(
    paid: tuple[StaffPay, ...], instalments: tuple[Instalment, ...], verdicts: tuple[Verdict, ...], terms: ClawbackTerms
) -> tuple[tuple[Instalment, ...], Clawback]:
    """Apply the measures of `verdicts`: the instalments that are left and what was taken, exact to the cent.

    Whatever is left of a held instalment vests; an instalment with nothing left is stopped.
    """
    measures = {(verdict.staff, verdict.role): _measure(verdict.outcome, terms) for verdict in verdicts}
    stopped: list[StaffPay] = []
    left: list[Instalment] = []
    for row in instalments:
        if row.status in (Status.VESTED, Status.STOPPED):
            left.append(row)
            continue
        cuts = [_share(part, measures[part.staff, part.role].stop) for part in row.parts]
        stopped += cuts
        left.append(_without(row, cuts))
    reclaimed = [_share(part, measures[part.staff, part.role].reclaim) for part in paid]
    return tuple(left), Clawback(stopped=_added(stopped), reclaimed=_added(reclaimed))


def _measure(outcome: Outcome, terms: ClawbackTerms) -> Measure:
    match outcome:
        case Outcome.NOT_EXEMPT:
            return terms.not_exempt
        case Outcome.REDUCED:
            return terms.reduced
        case Outcome.EXEMPT_FULL:
            return Measure(stop=Decimal(0), reclaim=Decimal(0))


def _share(part: StaffPay, share: Decimal) -> StaffPay:
    return replace(part, amount=part.amount * share)


def _without(row: Instalment, cuts: list[StaffPay]) -> Instalment:
    parts = tuple(replace(p, amount=p.amount - cut.amount) for p, cut in zip(row.parts, cuts, strict=True))
    if not any(part.amount for part in parts):
        return replace(row, parts=parts, status=Status.STOPPED)
    return replace(row, parts=parts, status=Status.VESTED if row.status is Status.HELD else row.status)


def _added(parts: list[StaffPay]) -> tuple[StaffPay, ...]:
    """One row per person and role with something to it."""
    sums: dict[tuple[str, str], StaffPay] = {}
    for part in parts:
        known = sums.get((part.staff, part.role))
        sums[part.staff, part.role] = part if known is None else replace(part, amount=known.amount + part.amount)
    return tuple(part for part in sums.values() if part.amount)


def added(parts: tuple[StaffPay, ...], more: tuple[StaffPay, ...]) -> tuple[StaffPay, ...]:
    """Two lists of pay as one, summed per person and role; nothing is listed that is zero."""
    return _added([*parts, *more])
