"""A cover from request to release: it binds only within the agreement's terms, and holds what it guarantees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from libs.events.application import ApplicationSubmitted
from libs.events.guarantee import (
    CapacityReleased,
    CapacityReserved,
    CoverBound,
    CoverRefused,
    CoverReleased,
    CoverRequested,
    LayerOf,
    ShareOf,
)
from libs.kernel.errors import Refused
from libs.kernel.money import CENT, Money
from services.guarantee.domain.agreement import Adoption, Agreement, ShareSource, agreed_split, hold_for
from services.guarantee.domain.capacity import Applicant, Holding, Line
from services.guarantee.domain.sharing import Sharing, bank_share, shares_by_amount
from services.guarantee.domain.terms import Adopting


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
    `branch` is the organisation that took the application in, `pd` the probability of default that came with the grade,
    `renews` the loan that this one is to pay off.
    """

    facility_id: str
    currency: str = ""
    amount: Money | None = None
    agreement: str | None = None
    grade: str = ""
    application_refused: bool = False
    borrower: str = ""
    branch: str = ""
    size_class: str = ""
    industry: str = ""
    product: str = ""
    tenor_months: int = 0
    annual_rate: Decimal = Decimal(0)
    pd: Decimal = Decimal(0)
    renews: str = ""

    @property
    def applicant(self) -> Applicant:
        """For whom cover is wanted."""
        return Applicant(borrower=self.borrower, branch=self.branch, size_class=self.size_class)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """One cover under the version `terms` of its agreement; `shares` and `layers` say how a loss will be split.

    `held` is what it takes of capacity now, `active` the part of that for what was disbursed and is not repaid, `used`
    all that was ever drawn under it in `drawdowns`. `lines` are the pools in which it counts. `premium_rate` is the
    yearly rate that was quoted, None where the agreement's own holds. It is not `asked` while capacity is only held for
    a bind after the approval; the partner was asked on `asked_on` and made its yes subject to `conditions`. `notice` is
    the guarantor's disbursement notice, by its number.
    """

    cover_id: str
    facility_id: str
    agreement: str
    terms: str
    partner: str
    state: CoverState
    currency: str
    amount: Money
    held: Money
    guaranteed: Money
    active: Money
    used: Money
    drawdowns: int = 0
    shares: tuple[ShareOf, ...] = ()
    layers: tuple[LayerOf, ...] = ()
    lines: tuple[Line, ...] = ()
    reason: str = ""
    premium_rate: Decimal | None = None
    asked_on: date | None = None
    conditions: tuple[str, ...] = ()
    asked: bool = True
    notice: str = ""

    @property
    def sharing(self) -> Sharing:
        """How a loss is shared under this cover."""
        return Sharing(shares=self.shares, layers=self.layers)

    @property
    def holding(self) -> Holding:
        """What the cover holds of every pool."""
        bound = self.held if self.state in (CoverState.BOUND, CoverState.ACTIVE) else self.held.zero
        return Holding(held=self.held, bound=bound, active=self.active, used=self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverAnswer:
    """The partner's word on a request; `guaranteed` is None when it named no amount."""

    accepted: bool
    guaranteed: Money | None
    reason: str
    conditions: tuple[str, ...] = ()


def present(covers: tuple[Cover, ...]) -> Cover | None:
    """The facility's cover among all it ever asked for; those that partners declined are over, the last one counts."""
    over = (CoverState.REFUSED, CoverState.WITHDRAWN)
    return max(covers, key=lambda one: (one.state not in over, one.asked_on or date.min, one.cover_id), default=None)


def cover_wanted(file: CoverFile) -> Money | None:
    """The amount to cover once application and rating are both known; None while they are not, or none is wanted."""
    if not file.agreement or not file.grade or file.application_refused:
        return None
    return file.amount


def with_application(file: CoverFile, event: ApplicationSubmitted, branch: str) -> CoverFile:
    """The file with what the application asks for."""
    return replace(
        file,
        agreement=event.agreement,
        amount=event.amount,
        currency=event.amount.currency,
        borrower=event.borrower_id,
        branch=branch,
        industry=event.profile.industry,
        product=event.product,
        tenor_months=event.tenor_months,
        annual_rate=event.annual_rate,
        renews=event.renews,
    )


def why_not_eligible(
    file: CoverFile, amount: Money, agreement: Agreement, adoption: Adoption | None, terms: CoverTerms
) -> str:
    """The code of the first term that rules the request out; empty when the partner may be asked."""
    if file.currency != agreement.currency:
        return "currency_not_covered"
    asked = agreement.eligibility
    admitted = {
        "grade_not_eligible": file.grade in agreement.grades,
        "bank_share_below_minimum": agreement.share_source is ShareSource.ANSWER
        or bank_share(agreement.sharing) >= terms.bank_share_min,
        "amount_not_eligible": asked.amount_max is None or amount.amount <= asked.amount_max,
        "tenor_not_eligible": asked.tenor_months_max is None or file.tenor_months <= asked.tenor_months_max,
        "rate_above_ceiling": asked.rate_max is None or file.annual_rate <= asked.rate_max,
        "industry_not_eligible": not asked.industries or file.industry in asked.industries,
        "size_not_eligible": not asked.size_classes or file.size_class in asked.size_classes,
        "product_not_eligible": not asked.products or file.product in asked.products,
        "territory_not_covered": not asked.territory or file.branch in asked.territory,
        "agreement_not_adopted": agreement.adopting is Adopting.EVERY_BRANCH or adoption is not None,
        "adoption_too_narrow": adoption is None or _within(file, amount, adoption),
    }
    return next((code for code, kept in admitted.items() if not kept), "")


def hold_cover(
    file: CoverFile,
    agreement: Agreement,
    amount: Money,
    cover_id: str,
    lines: tuple[Line, ...],
    premium_rate: Decimal | None = None,
    *,
    granted: bool = False,
) -> tuple[Cover, CapacityReserved]:
    """The capacity for the most that the partners can come to guarantee is taken; `granted` it is asked for now."""
    held = hold_for(agreement, amount)
    cover = Cover(
        cover_id=cover_id,
        facility_id=file.facility_id,
        agreement=agreement.code,
        terms=agreement.ref,
        partner=agreement.partner_id,
        state=CoverState.REQUESTED,
        currency=amount.currency,
        amount=amount,
        held=held,
        guaranteed=amount.zero,
        active=amount.zero,
        used=amount.zero,
        lines=lines,
        premium_rate=premium_rate,
        asked=granted or not agreement.binding.before_disbursement,
    )
    named = {"facility_id": cover.facility_id, "cover_id": cover_id, "agreement": agreement.code}
    return cover, CapacityReserved(**named, amount=held, bind_after_approval=not cover.asked)


def ask_partner(cover: Cover) -> CoverRequested:
    """The agreement's partner is asked for the cover that capacity is held for."""
    return CoverRequested(
        facility_id=cover.facility_id,
        cover_id=cover.cover_id,
        agreement=cover.agreement,
        partner=cover.partner,
        amount=cover.amount,
    )


def refuse_cover(
    file: CoverFile, amount: Money, cover_id: str, reason: str, pack: str = "", packs: tuple[str, ...] = ()
) -> tuple[Cover, CoverRefused]:
    """No partner is asked: the agreement's terms, its capacity, or the partner's `pack` of rules rule the cover out.

    After a search, `packs` are the rules of all partners that did.
    """
    cover = Cover(
        cover_id=cover_id,
        facility_id=file.facility_id,
        agreement=file.agreement or "",
        terms="",
        partner="",
        state=CoverState.REFUSED,
        currency=amount.currency,
        amount=amount,
        held=amount.zero,
        guaranteed=amount.zero,
        active=amount.zero,
        used=amount.zero,
        reason=reason,
    )
    return cover, replace(_refused(cover), pack=pack, packs=packs)


def settle_answer(
    cover: Cover, agreement: Agreement, answer: CoverAnswer, terms: CoverTerms, quoted: Money | None = None
) -> tuple[Cover, tuple[CoverBound | CoverRefused | CapacityReleased, ...]]:
    """Bind what the partner agreed to if it is within terms; from then on no more than that is held.

    `quoted` is what it was chosen for, if it was by a quote: another amount is another offer, and was not chosen.

    Raises Refused for a second answer, and for a yes to a request that was withdrawn or expired: people must cancel it
    there.
    """
    if cover.state in (CoverState.WITHDRAWN, CoverState.REFUSED) and not answer.accepted:
        return cover, ()
    if cover.state is not CoverState.REQUESTED:
        raise Refused("cover_already_answered", f"{cover.cover_id} is {cover.state}")
    if not cover.asked:
        raise Refused("cover_not_asked", f"{cover.cover_id} waits for the approval")
    sharing, guaranteed = _offered(cover, agreement, answer)
    reason = _why_not_bound(cover, agreement, answer, terms, sharing, guaranteed)
    if not reason and quoted is not None and abs((quoted - guaranteed).amount) > CENT * len(sharing.shares):
        reason = "answer_contradicts_quote"
    if reason:
        return turn_down(cover, reason)
    bound = replace(
        cover,
        state=CoverState.BOUND,
        held=guaranteed,
        guaranteed=guaranteed,
        shares=sharing.shares,
        layers=sharing.layers,
        conditions=answer.conditions,
    )
    event = CoverBound(
        facility_id=cover.facility_id,
        cover_id=cover.cover_id,
        agreement=cover.agreement,
        partner=cover.partner,
        amount=cover.amount,
        guaranteed=guaranteed,
        shares=sharing.shares,
        layers=sharing.layers,
        terms=cover.terms,
        conditions=answer.conditions,
        notice_needed=agreement.binding.notice,
    )
    return bound, (event,)


def turn_down(cover: Cover, reason: str) -> tuple[Cover, tuple[CoverRefused, CapacityReleased]]:
    """What was asked for will not be bound; all that was held for it goes back."""
    refused = replace(cover, state=CoverState.REFUSED, held=cover.held.zero, reason=reason)
    return refused, (_refused(refused), gave_back(cover, cover.held, reason))


def expire_hold(cover: Cover) -> tuple[Cover, tuple[CoverRefused | CapacityReleased, ...]]:
    """The partner has not answered in the days the agreement gives it: nobody waits any longer."""
    if cover.state is not CoverState.REQUESTED:
        return cover, ()
    return turn_down(cover, "hold_expired")


def drop_cover(cover: Cover) -> tuple[Cover, tuple[CapacityReleased | CoverReleased, ...]]:
    """The application was refused: a hold or an unused cover goes back; raises Refused once money is out under it."""
    match cover.state:
        case CoverState.REQUESTED:
            dropped = replace(cover, state=CoverState.WITHDRAWN, held=cover.held.zero, reason="application_refused")
            return dropped, (gave_back(cover, cover.held, "application_refused"),)
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
    return replace(cover, state=CoverState.RELEASED, held=cover.held.zero, active=cover.held.zero), (event,)


def gave_back(cover: Cover, amount: Money, reason: str) -> CapacityReleased:
    """A part of what the cover held went back."""
    return CapacityReleased(
        facility_id=cover.facility_id,
        cover_id=cover.cover_id,
        agreement=cover.agreement,
        amount=amount,
        reason=reason,
    )


def _within(file: CoverFile, amount: Money, adoption: Adoption) -> bool:
    small = adoption.amount_max is None or amount <= adoption.amount_max
    return small and file.grade in adoption.grades


def _offered(cover: Cover, agreement: Agreement, answer: CoverAnswer) -> tuple[Sharing, Money]:
    match agreement.share_source:
        case ShareSource.AGREEMENT:
            return agreed_split(agreement, cover.amount)
        case ShareSource.ANSWER:
            named = answer.guaranteed or cover.amount.zero
            return Sharing(shares=shares_by_amount(cover.partner, named, cover.amount)), named


def _why_not_bound(
    cover: Cover,
    agreement: Agreement,
    answer: CoverAnswer,
    terms: CoverTerms,
    sharing: Sharing,
    guaranteed: Money,
) -> str:
    if not answer.accepted:
        return answer.reason or "declined"
    if guaranteed <= cover.amount.zero:
        return "nothing_guaranteed"
    if guaranteed > cover.held:
        return "guaranteed_above_maximum"
    # The partner may round each party's part its own way, never more than a cent a party.
    if answer.guaranteed is not None and abs((answer.guaranteed - guaranteed).amount) > CENT * len(sharing.shares):
        return "answer_contradicts_agreement"
    if bank_share(sharing) < max(agreement.bank_share_min, terms.bank_share_min):
        return "bank_share_below_minimum"
    return ""


def _refused(cover: Cover) -> CoverRefused:
    return CoverRefused(
        facility_id=cover.facility_id, cover_id=cover.cover_id, agreement=cover.agreement, reason=cover.reason
    )
