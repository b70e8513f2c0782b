"""A cover from request to release: it binds only within the agreement's terms, and holds what it guarantees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from libs.events.guarantee import (
    CapacityReleased,
    CapacityReserved,
    CoverBound,
    CoverRefused,
    CoverReleased,
    CoverRequested,
    ShareOf,
)
from libs.kernel.errors import Refused
from libs.kernel.money import CENT, Money
from services.guarantee.domain.agreement import Agreement, ShareSource, hold_for
from services.guarantee.domain.sharing import bank_share, partners_part, shares_by_amount


@dataclass(frozen=True, slots=True)
class CoverTerms:
    """Policy `guarantee/cover`: the least fraction of a loss that the bank keeps, whatever an agreement says."""

    bank_share_min: Decimal


class CoverState(StrEnum):
    """Where a cover stands; `refused`, `withdrawn` and `released` are final and hold no capacity."""

    REQUESTED = "requested"
    BOUND = "bound"
    ACTIVE = "active"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverFile:
    """What other services said about one facility, in whatever order it came.

    `agreement` is None until the application is known and empty when no cover is wanted; `grade` is empty until rated.
    """

    facility_id: str
    currency: str = ""
    amount: Money | None = None
    agreement: str | None = None
    grade: str = ""
    application_refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """One cover: `held` is what it takes of the agreement's capacity now, `shares` how a loss will be split."""

    cover_id: str
    facility_id: str
    agreement: str
    partner: str
    state: CoverState
    currency: str
    amount: Money
    held: Money
    guaranteed: Money
    shares: tuple[ShareOf, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverAnswer:
    """The partner's word on a request; `guaranteed` is None when it named no amount."""

    accepted: bool
    guaranteed: Money | None
    reason: str


def cover_wanted(file: CoverFile) -> Money | None:
    """The amount to cover once application and rating are both known; None while they are not, or none is wanted."""
    if not file.agreement or not file.grade or file.application_refused:
        return None
    return file.amount


def why_not_eligible(file: CoverFile, agreement: Agreement | None, on: date, terms: CoverTerms) -> str:
    """The code of the first term that rules the request out; empty when the partner may be asked."""
    if agreement is None:
        return "agreement_unknown"
    if on < agreement.effective:
        return "agreement_not_in_force"
    if file.currency != agreement.currency:
        return "currency_not_covered"
    if file.grade not in agreement.grades:
        return "grade_not_eligible"
    if agreement.share_source is ShareSource.AGREEMENT and bank_share(agreement.shares) < terms.bank_share_min:
        return "bank_share_below_minimum"
    return ""


def request_cover(
    file: CoverFile, agreement: Agreement, amount: Money, cover_id: str
) -> tuple[Cover, tuple[CoverRequested, CapacityReserved]]:
    """Ask the agreement's partner; the capacity for the most it can guarantee has been taken."""
    held = hold_for(agreement, amount)
    cover = Cover(
        cover_id=cover_id,
        facility_id=file.facility_id,
        agreement=agreement.code,
        partner=agreement.partner_id,
        state=CoverState.REQUESTED,
        currency=amount.currency,
        amount=amount,
        held=held,
        guaranteed=amount.zero,
    )
    named = {"facility_id": cover.facility_id, "cover_id": cover_id, "agreement": agreement.code}
    return cover, (
        CoverRequested(**named, partner=agreement.partner_id, amount=amount),
        CapacityReserved(**named, amount=held),
    )


def refuse_cover(file: CoverFile, amount: Money, cover_id: str, reason: str) -> tuple[Cover, CoverRefused]:
    """No partner is asked: the agreement's own terms or its capacity rule the cover out."""
    cover = Cover(
        cover_id=cover_id,
        facility_id=file.facility_id,
        agreement=file.agreement or "",
        partner="",
        state=CoverState.REFUSED,
        currency=amount.currency,
        amount=amount,
        held=amount.zero,
        guaranteed=amount.zero,
        reason=reason,
    )
    return cover, _refused(cover)


def settle_answer(
    cover: Cover, agreement: Agreement, answer: CoverAnswer, terms: CoverTerms
) -> tuple[Cover, tuple[CoverBound | CoverRefused | CapacityReleased, ...]]:
    """Bind what the partner agreed to if it is within terms; from then on no more than that is held.

    Raises Refused for a second answer, and for a yes to a request that was withdrawn: people must cancel it there.
    """
    if cover.state is CoverState.WITHDRAWN and not answer.accepted:
        return cover, ()
    if cover.state is not CoverState.REQUESTED:
        raise Refused("cover_already_answered", f"{cover.cover_id} is {cover.state}")
    shares, guaranteed = _offered(cover, agreement, answer)
    reason = _why_not_bound(cover, agreement, answer, terms, shares, guaranteed)
    if reason:
        refused = replace(cover, state=CoverState.REFUSED, held=cover.held.zero, reason=reason)
        return refused, (_refused(refused), _gave_back(cover, cover.held, reason))
    bound = replace(cover, state=CoverState.BOUND, held=guaranteed, guaranteed=guaranteed, shares=shares)
    event = CoverBound(
        facility_id=cover.facility_id,
        cover_id=cover.cover_id,
        agreement=cover.agreement,
        partner=cover.partner,
        amount=cover.amount,
        guaranteed=guaranteed,
        shares=shares,
    )
    return bound, (event,)


def drop_cover(cover: Cover) -> tuple[Cover, tuple[CapacityReleased | CoverReleased, ...]]:
    """The application was refused: a hold or an unused cover goes back; raises Refused once money is out under it."""
    match cover.state:
        case CoverState.REQUESTED:
            dropped = replace(cover, state=CoverState.WITHDRAWN, held=cover.held.zero, reason="application_refused")
            return dropped, (_gave_back(cover, cover.held, "application_refused"),)
        case CoverState.BOUND:
            return release_cover(cover)
        case CoverState.ACTIVE:
            raise Refused("cover_in_use", f"{cover.cover_id} covers a disbursed loan")
        case CoverState.REFUSED | CoverState.WITHDRAWN | CoverState.RELEASED:
            return cover, ()


def release_cover(cover: Cover) -> tuple[Cover, tuple[CoverReleased]]:
    """The cover ended; everything it held goes back."""
    event = CoverReleased(
        facility_id=cover.facility_id, cover_id=cover.cover_id, agreement=cover.agreement, amount=cover.held
    )
    return replace(cover, state=CoverState.RELEASED, held=cover.held.zero), (event,)


def _offered(cover: Cover, agreement: Agreement, answer: CoverAnswer) -> tuple[tuple[ShareOf, ...], Money]:
    match agreement.share_source:
        case ShareSource.AGREEMENT:
            return agreement.shares, partners_part(cover.amount, agreement.shares)
        case ShareSource.ANSWER:
            named = answer.guaranteed or cover.amount.zero
            return shares_by_amount(cover.partner, named, cover.amount), named


def _why_not_bound(
    cover: Cover,
    agreement: Agreement,
    answer: CoverAnswer,
    terms: CoverTerms,
    shares: tuple[ShareOf, ...],
    guaranteed: Money,
) -> str:
    if not answer.accepted:
        return answer.reason or "declined"
    if guaranteed <= cover.amount.zero:
        return "nothing_guaranteed"
    if guaranteed > cover.held:
        return "guaranteed_above_maximum"
    # The partner may round each party's part its own way, never more than a cent a party.
    if answer.guaranteed is not None and abs((answer.guaranteed - guaranteed).amount) > CENT * len(shares):
        return "answer_contradicts_agreement"
    if bank_share(shares) < max(agreement.bank_share_min, terms.bank_share_min):
        return "bank_share_below_minimum"
    return ""


def _refused(cover: Cover) -> CoverRefused:
    return CoverRefused(
        facility_id=cover.facility_id, cover_id=cover.cover_id, agreement=cover.agreement, reason=cover.reason
    )


def _gave_back(cover: Cover, amount: Money, reason: str) -> CapacityReleased:
    return CapacityReleased(
        facility_id=cover.facility_id,
        cover_id=cover.cover_id,
        agreement=cover.agreement,
        amount=amount,
        reason=reason,
    )
