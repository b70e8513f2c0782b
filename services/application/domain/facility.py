"""One facility's facts in one row: what we did, what the others told us; facts may arrive in any order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from libs.events.application import Figures, Profile, SecurityOffer
from libs.kernel.errors import Invalid, Refused
from libs.kernel.money import Money, total


class Status(StrEnum):
    """How far the facility has come."""

    REFERRED = "referred"
    SUBMITTED = "submitted"
    REVIEWED = "reviewed"
    APPROVED = "approved"
    REFUSED = "refused"
    CONTRACTED = "contracted"
    CLOSED = "closed"


class CoverState(StrEnum):
    """What the partner said: nothing yet (or nothing was asked), bound, or refused."""

    OPEN = "open"
    BOUND = "bound"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What was applied for; `agreement` is the guarantee agreement asked for, empty for none. Rates are per year.

    `renews` is the loan that this one is to pay off, empty where it renews none.
    """

    amount: Money
    tenor_months: int
    annual_rate: Decimal
    product: str
    profile: Profile
    declared: Figures
    security: tuple[SecurityOffer, ...]
    agreement: str
    renews: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that secures the facility, as collateral reports it."""

    collateral_id: str
    capacity: Money | None = None
    perfected: bool = False
    disposed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The reviewer's opinion and our own recommendation beside it, with the policy that gave it."""

    reviewer: str
    opinion: str
    recommendation: str
    reasons: tuple[str, ...]
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facility:
    """The process manager's row: one line of credit from referral to closure.

    A cover is `cover_promised` where its capacity is held and the partner binds after the approval; with
    `notice_awaited` the guarantor's disbursement notice is still to come.
    """

    facility_id: str
    external_ref: str
    borrower_id: str
    channel: str
    branch: str
    status: Status
    referred_on: date
    currency: str = ""
    application: Application | None = None
    lead: str = ""
    assistant: str = ""
    resolver: str = ""
    figures: Figures | None = None
    information: str = ""
    size_class: str = ""
    grade: str = ""
    score: int | None = None
    pd: Decimal | None = None
    items: tuple[Item, ...] = ()
    cover: CoverState = CoverState.OPEN
    cover_promised: bool = False
    notice_awaited: bool = False
    guaranteed: Money | None = None
    review: Review | None = None
    approver: str = ""
    decision_reasons: tuple[str, ...] = ()
    limit: Money | None = None
    valid_until: date | None = None
    contract_id: str = ""
    contract_no: str = ""
    loan_id: str = ""
    closed_on: date | None = None

    @property
    def makers(self) -> tuple[str, ...]:
        """Everyone who made the facts of this file."""
        return tuple(name for name in (self.lead, self.assistant, self.resolver) if name)

    @property
    def applied(self) -> Application:
        """The application; raises Refused `not_submitted` before there is one."""
        if self.application is None:
            raise Refused("not_submitted", f"facility {self.facility_id} has no application yet")
        return self.application

    @property
    def capacity(self) -> Money:
        """What the valued security may carry altogether."""
        return total((item.capacity for item in self.items if item.capacity is not None), self.currency)

    @property
    def all_valued(self) -> bool:
        """Whether every item offered has an accepted value."""
        return sum(item.capacity is not None for item in self.items) >= len(self.applied.security)

    @property
    def all_perfected(self) -> bool:
        """Whether every item offered is perfected."""
        return sum(item.perfected for item in self.items) >= len(self.applied.security)

    @property
    def all_disposed(self) -> bool:
        """Whether nothing that secured the facility is left to sell; true for an unsecured one."""
        return sum(item.disposed for item in self.items) >= len(self.applied.security)

    @property
    def cover_known(self) -> bool:
        """Whether a reviewer sees what cover there will be: none was asked for, it is answered, or promised."""
        return not self.applied.agreement or self.cover is not CoverState.OPEN or self.cover_promised

    @property
    def cover_settled(self) -> bool:
        """Whether the money may go out as far as cover goes; a promise that was not kept settles nothing."""
        refused = self.cover is CoverState.REFUSED and not self.cover_promised
        return not self.applied.agreement or self.cover is CoverState.BOUND or refused


@dataclass(frozen=True, slots=True, kw_only=True)
class LendingTerms:
    """The frame of the product: currency, largest amount (inclusive), longest tenor, how long a limit may be drawn."""

    currency: str
    amount_max: Decimal
    tenor_months_max: int
    validity_months: int


def check_offer(application: Application, terms: LendingTerms) -> None:
    """The application stays inside the product's frame; raises Refused or Invalid with the bound it breaks."""
    amounts = [application.amount, *(offer.declared_value for offer in application.security)]
    if any(money.currency != terms.currency for money in amounts) or not in_currency(
        application.declared, terms.currency
    ):
        raise Invalid("currency_not_lent", f"this branch lends in {terms.currency}")
    if not application.amount > application.amount.zero:
        raise Invalid("amount_not_positive", "an application asks for something")
    if application.amount.amount > terms.amount_max:
        raise Refused("amount_above_maximum", f"at most {terms.amount_max} {terms.currency}")
    if application.tenor_months > terms.tenor_months_max:
        raise Refused("tenor_above_maximum", f"at most {terms.tenor_months_max} months")


def in_currency(figures: Figures, currency: str) -> bool:
    """Whether all six figures are in this currency."""
    return all(
        money.currency == currency
        for money in (
            figures.annual_sales,
            figures.annual_profit,
            figures.total_assets,
            figures.total_liabilities,
            figures.monthly_bank_inflow,
            figures.monthly_tax_sales,
        )
    )


def check_status(facility: Facility, *allowed: Status) -> None:
    """Raises Refused `wrong_status` unless the facility stands at one of `allowed`."""
    if facility.status not in allowed:
        raise Refused(
            "wrong_status", f"facility is {facility.status}, not {' or '.join(allowed)}", stands=str(facility.status)
        )


def with_capacity(facility: Facility, collateral_id: str, capacity: Money) -> Facility:
    """The item's capacity is now known, or known anew."""
    return _with_item(facility, replace(_item(facility, collateral_id), capacity=capacity))


def with_perfected(facility: Facility, collateral_id: str) -> Facility:
    """The security interest in the item exists."""
    return _with_item(facility, replace(_item(facility, collateral_id), perfected=True))


def with_disposed(facility: Facility, collateral_id: str) -> Facility:
    """The item was sold."""
    return _with_item(facility, replace(_item(facility, collateral_id), disposed=True))


def _item(facility: Facility, collateral_id: str) -> Item:
    found = next((item for item in facility.items if item.collateral_id == collateral_id), None)
    return found or Item(collateral_id=collateral_id)


def _with_item(facility: Facility, item: Item) -> Facility:
    others = [known for known in facility.items if known.collateral_id != item.collateral_id]
    return replace(facility, items=tuple(sorted([*others, item], key=lambda known: known.collateral_id)))
