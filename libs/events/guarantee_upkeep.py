"""What guarantee publishes on the way to the money and while terms change: quotes, guarantors, notices, consents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial

from libs.events.envelope import event
from libs.kernel.money import Money

_event = partial(event, "guarantee")


@_event("quote.received")
@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteReceived:
    """A partner that was asked for a quote would guarantee so much at so much of it a year, within its agreement."""

    facility_id: str
    quote_id: str
    agreement: str
    partner: str
    premium_rate: Decimal
    guaranteed: Money


@_event("quote.declined")
@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteDeclined:
    """A partner that was asked for a quote has none: its reason, ours about its figures, or that it never answered."""

    facility_id: str
    quote_id: str
    agreement: str
    partner: str
    reason: str


@_event("guarantor.signed")
@dataclass(frozen=True, slots=True, kw_only=True)
class GuarantorSigned:
    """A person or company signed for the borrower, up to `amount`: towards the bank, or the partner (反担保)."""

    facility_id: str
    undertaking_id: str
    kind: str
    guarantor: str
    creditor: str
    liability: str
    amount: Money


@_event("counter_guarantee.perfected")
@dataclass(frozen=True, slots=True, kw_only=True)
class CounterGuaranteePerfected:
    """A registry entered a mortgage or pledge in the partner's favour, behind the bank's own."""

    facility_id: str
    undertaking_id: str
    kind: str
    creditor: str
    registration: str
    amount: Money


@_event("disbursement_notice.issued")
@dataclass(frozen=True, slots=True, kw_only=True)
class DisbursementNoticeIssued:
    """The guarantor's disbursement notice (放款通知书) is here: `amount` may be paid out under its cover."""

    facility_id: str
    cover_id: str
    partner: str
    amount: Money
    notice: str


@_event("change.requested")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequested:
    """The partner is asked whether it stands for other terms of the loan; `heavier` is what needs its consent."""

    facility_id: str
    cover_id: str
    loan_id: str
    change_id: str
    change: str
    heavier: tuple[str, ...]
    annual_rate: Decimal
    maturity: date
    answer_by: date


@_event("change.consented")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeConsented:
    """The partner agreed to stand for changed terms of the loan; `heavier` is what needed its consent."""

    facility_id: str
    cover_id: str
    loan_id: str
    change_id: str
    change: str
    heavier: tuple[str, ...]


@_event("change.refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRefused:
    """The partner stands for the old terms only, or never answered: what is `heavier` is not guaranteed."""

    facility_id: str
    cover_id: str
    loan_id: str
    change_id: str
    change: str
    heavier: tuple[str, ...]
    reason: str


@_event("cover.endorsed")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoverEndorsed:
    """The terms of the loan that the partner stands for from now on."""

    facility_id: str
    cover_id: str
    loan_id: str
    change_id: str
    annual_rate: Decimal
    maturity: date


@_event("cover.expiring")
@dataclass(frozen=True, slots=True, kw_only=True)
class CoverExpiring:
    """The guarantee period ends soon: after `ends` nothing of `amount` can be claimed any longer."""

    facility_id: str
    cover_id: str
    loan_id: str
    partner: str
    amount: Money
    ends: date


@_event("premium.refunded")
@dataclass(frozen=True, slots=True, kw_only=True)
class PremiumRefunded:
    """The loan was repaid early: a part of the premium for the days to come goes back."""

    facility_id: str
    cover_id: str
    loan_id: str
    amount: Money
    payee: str


@_event("payout.deferred")
@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutDeferred:
    """The partner's payouts of the year are at their cap: the claim is asked for on `until`, in the next year."""

    facility_id: str
    cover_id: str
    claim_id: str
    partner: str
    amount: Money
    cap: Money
    used: Money
    until: date
