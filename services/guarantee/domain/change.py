"""The loan's terms change under a cover: what nobody agreed to is not guaranteed (Civil Code 695).

A covered loan carries the terms that the guarantor stands for. Lighter terms hold at once; heavier ones, another term
to repay and a renewal only once the partner consents. Refused, the guarantor goes on standing for the old terms, or the
lighter of the new ones, and its guarantee period is what it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from libs.events.guarantee_upkeep import ChangeConsented, ChangeRefused, ChangeRequested, CoverEndorsed, CoverExpiring
from libs.kernel.calendar import add_months
from libs.kernel.errors import Invalid, Refused
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.cover import Cover
from services.guarantee.domain.loan import CoveredLoan

RATE = "rate"
"""A higher rate costs what it adds; every other change that needs a consent can cost the whole cover."""


@dataclass(frozen=True, slots=True)
class UpkeepTerms:
    """Policy `guarantee/upkeep`, in calendar days: how long a partner has to consent to a change, and how long before
    the end of a guarantee period the bank is warned."""

    consent_days: int
    expiring_days: int


class ChangeKind(StrEnum):
    """What happened to the loan or its facility."""

    RENEWED = "renewed"
    EXTENDED = "extended"
    RESTRUCTURED = "restructured"
    FACILITY_CHANGED = "facility_changed"


class ChangeState(StrEnum):
    """`asked` waits for the partner; a `lighter` change needed nobody's consent."""

    ASKED = "asked"
    LIGHTER = "lighter"
    CONSENTED = "consented"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """New terms of one loan beside those the guarantor stood for; `heavier` names what needs its consent."""

    change_id: str
    facility_id: str
    cover_id: str
    loan_id: str
    kind: ChangeKind
    state: ChangeState
    heavier: tuple[str, ...]
    rate_before: Decimal
    annual_rate: Decimal
    maturity_before: date
    maturity: date
    document: str
    asked_on: date
    decided_on: date | None = None
    reason: str = ""


Told = ChangeConsented | ChangeRefused | CoverEndorsed


def propose(
    changes: tuple[Change, ...],
    loan: CoveredLoan,
    kind: ChangeKind,
    *,
    change_id: str,
    annual_rate: Decimal,
    maturity: date,
    document: str,
    on: date,
) -> tuple[Change, CoveredLoan, CoverEndorsed | None]:
    """New terms: endorsed at once where they are only lighter or nothing is guaranteed any more, otherwise a consent is
    to be asked for.

    Raises Refused on a closed loan or while another change waits, Invalid where nothing changes.
    """
    if loan.closed:
        raise Refused("loan_closed", f"{loan.loan_id} is closed")
    if waits(changes, loan.loan_id):
        raise Refused("change_waits", f"another change of {loan.loan_id} waits for the partner")
    if (annual_rate, maturity) == (loan.annual_rate, loan.maturity) and kind is not ChangeKind.RENEWED:
        raise Invalid("nothing_changed", f"{loan.loan_id} has these terms")
    needs = {
        RATE: annual_rate > loan.annual_rate,
        "maturity": maturity != loan.maturity,
        "renewal": kind is ChangeKind.RENEWED,
    }
    heavier = tuple(name for name, holds in needs.items() if holds and loan.guaranteed)
    change = Change(
        change_id=change_id,
        facility_id=loan.facility_id,
        cover_id=loan.cover_id,
        loan_id=loan.loan_id,
        kind=kind,
        state=ChangeState.ASKED if heavier else ChangeState.LIGHTER,
        heavier=heavier,
        rate_before=loan.annual_rate,
        annual_rate=annual_rate,
        maturity_before=loan.maturity,
        maturity=maturity,
        document=document,
        asked_on=on,
        decided_on=None if heavier else on,
    )
    if heavier:
        return change, loan, None
    lighter = replace(loan, annual_rate=annual_rate, maturity=maturity)
    return change, lighter, endorsement(change.change_id, lighter)


def waits(changes: tuple[Change, ...], loan_id: str) -> bool:
    """Whether a change of this loan waits for the partner."""
    return any(other.loan_id == loan_id and other.state is ChangeState.ASKED for other in changes)


def requested(change: Change, answer_by: date) -> ChangeRequested:
    """What the partner is asked, and until when."""
    return ChangeRequested(
        facility_id=change.facility_id,
        cover_id=change.cover_id,
        loan_id=change.loan_id,
        change_id=change.change_id,
        change=change.kind.value,
        heavier=change.heavier,
        annual_rate=change.annual_rate,
        maturity=change.maturity,
        answer_by=answer_by,
    )


def turned_away(change_id: str, loan: CoveredLoan, kind: ChangeKind) -> ChangeRefused:
    """The partner is not asked, because it thinks over another change of the same loan."""
    return ChangeRefused(
        facility_id=loan.facility_id,
        cover_id=loan.cover_id,
        loan_id=loan.loan_id,
        change_id=change_id,
        change=kind.value,
        heavier=("maturity",),
        reason="change_waits",
    )


def consent(change: Change, loan: CoveredLoan, on: date) -> tuple[Change, CoveredLoan, tuple[Told, ...]]:
    """The partner stands for the new terms; raises Refused when the change was decided before."""
    _require_asked(change)
    consented = replace(change, state=ChangeState.CONSENTED, decided_on=on)
    endorsed = replace(loan, annual_rate=change.annual_rate, maturity=change.maturity)
    event = ChangeConsented(
        facility_id=change.facility_id,
        cover_id=change.cover_id,
        loan_id=change.loan_id,
        change_id=change.change_id,
        change=change.kind.value,
        heavier=change.heavier,
    )
    return consented, endorsed, (event, endorsement(consented.change_id, endorsed))


def refuse(change: Change, loan: CoveredLoan, reason: str, on: date) -> tuple[Change, CoveredLoan, tuple[Told, ...]]:
    """The partner does not: it stands for the old terms, or the lighter of the new ones."""
    _require_asked(change)
    refused = replace(change, state=ChangeState.REFUSED, decided_on=on, reason=reason)
    event = ChangeRefused(
        facility_id=change.facility_id,
        cover_id=change.cover_id,
        loan_id=change.loan_id,
        change_id=change.change_id,
        change=change.kind.value,
        heavier=change.heavier,
        reason=reason,
    )
    kept = replace(loan, annual_rate=min(loan.annual_rate, change.annual_rate))
    return refused, kept, (event,) if kept == loan else (event, endorsement(refused.change_id, kept))


def period_ends(loan: CoveredLoan, agreement: Agreement) -> date | None:
    """The last day of the guarantee period, inclusive; None where there is none."""
    months = agreement.liability.period_months
    return None if months is None else add_months(loan.maturity, months)


def warn_on(ends: date, terms: UpkeepTerms) -> date:
    """The day on which the bank is warned of the end."""
    return ends - timedelta(days=terms.expiring_days)


def expiring(loan: CoveredLoan, cover: Cover, ends: date) -> CoverExpiring | None:
    """The warning, unless nothing is left that could be claimed."""
    if loan.closed or not loan.guaranteed:
        return None
    return CoverExpiring(
        facility_id=loan.facility_id,
        cover_id=loan.cover_id,
        loan_id=loan.loan_id,
        partner=cover.partner,
        amount=loan.guaranteed,
        ends=ends,
    )


def endorsement(change_id: str, loan: CoveredLoan) -> CoverEndorsed:
    """The terms that the partner stands for, by the name of the change that asked for them."""
    return CoverEndorsed(
        facility_id=loan.facility_id,
        cover_id=loan.cover_id,
        loan_id=loan.loan_id,
        change_id=change_id,
        annual_rate=loan.annual_rate,
        maturity=loan.maturity,
    )


def _require_asked(change: Change) -> None:
    if change.state is not ChangeState.ASKED:
        raise Refused("change_decided", f"{change.change_id} is {change.state}")
