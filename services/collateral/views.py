"""What collateral shows of a facility: read only, and no personal data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from libs.kernel.money import Money, total
from libs.runtime.tx import Tx
from services.collateral.domain.capacity import capacity_of
from services.collateral.domain.file import FileStatus, SecurityFile, in_default, owed
from services.collateral.domain.item import Appraisal, Item, ItemStatus, Registration, Reserves, Sale, Valuation
from services.collateral.store import FILES, ITEMS


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemView:
    """One item with everything decided about it; `capacity` is what it can carry today."""

    item: int
    collateral_id: str
    kind: str
    status: ItemStatus
    synthetic: bool
    index_series: str
    declared_value: Money
    capacity: Money
    appraisals: tuple[Appraisal, ...]
    valuation: Valuation | None
    registration: Registration | None
    reserves: Reserves | None
    sale: Sale | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityView:
    """A facility's security against its debt; `owed` is None before the first drawdown."""

    facility_id: str
    status: FileStatus
    requested: Money | None
    owed: Money | None
    capacity: Money
    in_default: bool
    shortfall_found: bool
    early_appraisals: int
    items: tuple[ItemView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppraisalReceipt:
    """What became of one appraisal: how recent it is, and the item's accepted value once there is one.

    `status` is the item's, or `awaiting_offer` when the application has not arrived.
    """

    facility_id: str
    item: int
    collateral_id: str
    status: str
    age: str
    appraisals: int
    value: Money | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelReceipt:
    """One stored index level and how many facilities it will be applied to."""

    series: str
    on: date
    value: Decimal
    facilities: int


def item_view(item: Item) -> ItemView:
    """One item as callers see it."""
    return ItemView(
        item=item.number,
        collateral_id=item.collateral_id,
        kind=item.kind,
        status=item.status,
        synthetic=item.synthetic,
        index_series=item.index_series,
        declared_value=item.declared_value,
        capacity=capacity_of(item),
        appraisals=item.appraisals,
        valuation=item.valuation,
        registration=item.registration,
        reserves=item.reserves,
        sale=item.sale,
    )


def facility_view(file: SecurityFile, items: Iterable[Item]) -> FacilityView:
    """A file and its items, in the order of the application."""
    shown = tuple(item_view(item) for item in sorted(items, key=lambda item: item.number))
    return FacilityView(
        facility_id=file.facility_id,
        status=file.status,
        requested=file.requested,
        owed=owed(file),
        capacity=total((item.capacity for item in shown), file.currency),
        in_default=in_default(file),
        shortfall_found=file.shortfall_found,
        early_appraisals=len(file.early),
        items=shown,
    )


async def facility(tx: Tx, facility_id: str) -> FacilityView:
    """The security of one facility; raises NotFound before anything was filed or offered for it."""
    return facility_view(await tx.get(FILES, facility_id), await tx.of(ITEMS, facility_id))
