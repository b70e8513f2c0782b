"""What guarantee publishes: capacity, covers, premiums, partners; what is about losses stands in guarantee_losses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial

from libs.events.envelope import event
from libs.events.guarantee_losses import (
    CapReached,
    ClaimAccepted,
    ClaimAnswered,
    ClaimAppealed,
    ClaimDenied,
    ClaimFiled,
    ClaimInterimPaid,
    ClaimPaid,
    ClaimQueried,
    ClaimRefused,
    ClaimWithdrawn,
    DeadlineMissed,
    LossNotified,
    PartOf,
    RecoveryShared,
    ReguaranteeOverdue,
    ReguaranteeReimbursed,
)
from libs.kernel.money import Money

__all__ = [  # what is told of losses, in a file of its own
    "CapReached",
    "ClaimAccepted",
    "ClaimAnswered",
    "ClaimAppealed",
    "ClaimDenied",
    "ClaimFiled",
    "ClaimInterimPaid",
    "ClaimPaid",
    "ClaimQueried",
    "ClaimRefused",
    "ClaimWithdrawn",
    "DeadlineMissed",
    "LossNotified",
    "PartOf",
    "RecoveryShared",
    "ReguaranteeOverdue",
    "ReguaranteeReimbursed",
]
_event = partial(event, "guarantee")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareOf:
    """One party's weight in the sharing of a loss; `bank` is the bank itself."""

    party: str
    weight: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOf:
    """A slice of the loss, from the end of the layer before it to `up_to` of the covered amount, and who bears it."""

    up_to: Decimal
    shares: tuple[ShareOf, ...]


@_event("cover.requested")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoverRequested:
    """Cover was asked from the admitted partner under an agreement."""

    facility_id: str
    cover_id: str
    agreement: str
    partner: str
    amount: Money


@_event("capacity.reserved")
@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityReserved:
    """The partner's capacity under the agreement was held for this cover."""

    facility_id: str
    cover_id: str
    agreement: str
    amount: Money
    bind_after_approval: bool = False


@_event("capacity.released")
@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityReleased:
    """A hold that did not become a cover went back; of one that did, `cover.bound` names what is still held."""

    facility_id: str
    cover_id: str
    agreement: str
    amount: Money
    reason: str


@_event("cover.bound")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoverBound:
    """The partner agreed: the guaranteed amount and the shares in which a loss will be split.

    Where layers bear the first part of a loss, `shares` is for what lies above them. `terms` is the version agreed;
    `conditions` are what the partner made its yes subject to, by code.
    """

    facility_id: str
    cover_id: str
    agreement: str
    partner: str
    amount: Money
    guaranteed: Money
    shares: tuple[ShareOf, ...]
    layers: tuple[LayerOf, ...] = ()
    terms: str = ""
    conditions: tuple[str, ...] = ()
    notice_needed: bool = False


@_event("cover.refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoverRefused:
    """No cover: the partner's or the agreement's reason (capacity, suspension, terms), or that of a `pack` of rules.

    Where a partner was searched for, `packs` are those that refused.
    """

    facility_id: str
    cover_id: str
    agreement: str
    reason: str
    pack: str = ""
    packs: tuple[str, ...] = ()


@_event("cover.activated")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoverActivated:
    """The cover is in force for what was disbursed."""

    facility_id: str
    cover_id: str
    loan_id: str
    amount: Money


@_event("cover.filed")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoverFiled:
    """A batch drawdown was filed with the partner within the days that the agreement gives the bank."""

    facility_id: str
    cover_id: str
    loan_id: str
    amount: Money


@_event("cover.confirmed")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoverConfirmed:
    """The partner confirmed a batch drawdown that was filed with it."""

    facility_id: str
    cover_id: str
    loan_id: str
    amount: Money


@_event("cover.removed")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoverRemoved:
    """A drawdown is not covered after all, with the reason; `amount` went back to capacity."""

    facility_id: str
    cover_id: str
    loan_id: str
    amount: Money
    reason: str


@_event("premium.due")
@dataclass(frozen=True, slots=True, kw_only=True)
class PremiumDue:
    """The premium or guarantee fee fell due, and who pays it."""

    facility_id: str
    cover_id: str
    amount: Money
    payer: str
    due: date


@_event("premium.paid")
@dataclass(frozen=True, slots=True, kw_only=True)
class PremiumPaid:
    """The premium was paid."""

    facility_id: str
    cover_id: str
    amount: Money


@_event("cover.released")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoverReleased:
    """The cover ended and its capacity went back."""

    facility_id: str
    cover_id: str
    agreement: str
    amount: Money


@_event("partner.warned")
@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerWarned:
    """A measure of the partner under this agreement reached its warning level; `value` and `level` are fractions."""

    partner: str
    agreement: str
    measure: str
    value: Decimal
    level: Decimal


@_event("partner.suspended")
@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerSuspended:
    """Under this agreement nothing is bound with the partner until it is reinstated; existing covers stay."""

    partner: str
    agreement: str
    reason: str
    since: date


@_event("partner.reinstated")
@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerReinstated:
    """Covers are bound with the partner under this agreement again."""

    partner: str
    agreement: str
    reason: str


@_event("balance.confirmed")
@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceConfirmed:
    """Bank and partner both confirmed a month of the shared recovery book; `digest` is that of its figures."""

    partner: str
    month: str
    digest: str


@_event("balance.contested")
@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceContested:
    """One side (`bank`, or the partner) does not agree with a month of the shared recovery book, with its reason."""

    partner: str
    month: str
    digest: str
    side: str
    reason: str


@_event("cover.endangered")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoverEndangered:
    """If the loan were claimed today, more than was told before would be denied: by which defences, and whose duties.

    `mend_by` are the last days of those that can still be mended, the earliest first.
    """

    facility_id: str
    cover_id: str
    loan_id: str
    before: Money
    after: Money
    reasons: tuple[str, ...]
    holders: tuple[str, ...]
    mend_by: tuple[date, ...]


@_event("cover.mended")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoverMended:
    """Less of the loan than was told before would be denied if it were claimed today."""

    facility_id: str
    cover_id: str
    loan_id: str
    before: Money
    after: Money


@_event("partner.unreachable")
@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerUnreachable:
    """A webhook endpoint of the partner was disabled: it is gone, or nothing sent there arrived for too long."""

    partner: str
    endpoint_id: str
    reason: str
    since: date
