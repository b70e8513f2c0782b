"""What collateral publishes: what is offered, what it is worth, whether it is perfected, and what it fetched."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from libs.events.envelope import event
from libs.kernel.money import Money

_event = partial(event, "collateral")


@_event("collateral.offered")
@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralOffered:
    """Security was offered for a facility and awaits two appraisals."""

    facility_id: str
    collateral_id: str
    kind: str
    declared_value: Money
    index_series: str
    synthetic: bool


@_event("collateral.valued")
@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralValued:
    """Two appraisals gave an accepted value; `capacity` = value × advance rate; `ltv` = exposure / value."""

    facility_id: str
    collateral_id: str
    appraisals: tuple[Money, Money]
    value: Money
    advance_rate: Decimal
    capacity: Money
    ltv: Decimal
    sufficient: bool


@_event("collateral.perfected")
@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralPerfected:
    """The security interest exists: registered in the named registry at this rank."""

    facility_id: str
    collateral_id: str
    registration_no: str
    rank: int


@_event("collateral.revalued")
@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralRevalued:
    """A price index moved the value across a trigger (watch, warn, red) since the value before."""

    facility_id: str
    collateral_id: str
    before: Money
    after: Money
    change: Decimal
    trigger: str


@_event("shortfall.found")
@dataclass(frozen=True, slots=True, kw_only=True)
class ShortfallFound:
    """Exposure exceeds what the security may carry: combined ratio above 100 % (COL-01)."""

    facility_id: str
    exposure: Money
    capacity: Money
    shortfall: Money
    ratio: Decimal


@_event("collateral.released")
@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralReleased:
    """The debt is gone; the security interest was discharged."""

    facility_id: str
    collateral_id: str


@_event("disposal.started")
@dataclass(frozen=True, slots=True, kw_only=True)
class DisposalStarted:
    """Disposal began: the first reserve price and the floor of the second sale (COL-04)."""

    facility_id: str
    collateral_id: str
    appraisal: Money
    reserve_first: Money
    reserve_second: Money


@_event("collateral.disposed")
@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralDisposed:
    """The security was sold: price, costs of disposal, and the net that may go to the debt."""

    facility_id: str
    collateral_id: str
    price: Money
    costs: Money
    net: Money
