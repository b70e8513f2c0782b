"""One thing offered as security and how far it has come; each step needs the one before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from libs.kernel.errors import Refused
from libs.kernel.money import Money


class ItemStatus(StrEnum):
    """offered → valued → perfected → disposing → disposed; if the debt ends first: released, or lapsed unperfected."""

    OFFERED = "offered"
    VALUED = "valued"
    PERFECTED = "perfected"
    DISPOSING = "disposing"
    DISPOSED = "disposed"
    RELEASED = "released"
    LAPSED = "lapsed"


HELD = (ItemStatus.PERFECTED, ItemStatus.DISPOSING)  # the security interest exists and has not been given up
STANDING = (ItemStatus.VALUED, *HELD)  # what may carry a debt


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """One appraiser's value as of `valued_on`; the appraiser is a staff id."""

    appraiser: str
    value: Money
    valued_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Valuation:
    """The accepted value, the advance rate applied to it, and where the price index has carried it since.

    `now` is the value by the latest index; `told` the value last published. `index_base` is the level in force on
    `valued_on`, None while the series has none.
    """

    value: Money
    valued_on: date
    advance_rate: Decimal
    policy: str
    now: Money
    told: Money
    index_base: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The entry that makes the security interest exist: registry, number, rank from 1, and what ranks before us."""

    registry: str
    number: str
    rank: int
    senior_claims: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserves:
    """What a sale must reach: the appraisal it rests on, the first reserve price, the floor of the second sale."""

    appraisal: Money
    first: Money
    second: Money
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """What the sale fetched: price, costs of disposal, and the net that may go to the debt."""

    price: Money
    costs: Money
    net: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One security item of a facility; `number` counts from 1 in the order of the application."""

    collateral_id: str
    facility_id: str
    number: int
    kind: str
    currency: str
    declared_value: Money
    index_series: str
    synthetic: bool
    status: ItemStatus = ItemStatus.OFFERED
    appraisals: tuple[Appraisal, ...] = ()
    valuation: Valuation | None = None
    registration: Registration | None = None
    reserves: Reserves | None = None
    sale: Sale | None = None


def held(item: Item) -> bool:
    """Whether the bank holds a security interest in the item today."""
    return item.status in HELD


def valuation_of(item: Item) -> Valuation:
    """The accepted valuation; raises Refused `not_valued` while two appraisals have not agreed."""
    if item.valuation is None:
        raise Refused("not_valued", f"item {item.number} has no accepted value yet")
    return item.valuation


def perfect(item: Item, registration: Registration) -> Item:
    """The security interest exists: registered, once, and only on an accepted value."""
    valuation_of(item)
    if item.status is not ItemStatus.VALUED:
        raise Refused("not_open_to_registration", f"item {item.number} is {item.status}")
    return replace(item, status=ItemStatus.PERFECTED, registration=registration)


def give_up(item: Item) -> Item:
    """The debt is gone: a held interest is discharged, an unperfected offer lapses, a sold item stays sold."""
    match item.status:
        case ItemStatus.PERFECTED | ItemStatus.DISPOSING:
            return replace(item, status=ItemStatus.RELEASED)
        case ItemStatus.OFFERED | ItemStatus.VALUED:
            return replace(item, status=ItemStatus.LAPSED)
        case ItemStatus.DISPOSED | ItemStatus.RELEASED | ItemStatus.LAPSED:
            return item
