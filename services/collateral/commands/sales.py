"""Disposal: what secures a debt in default is put up for sale with its floors, and sold at or above them."""

from __future__ import annotations

from libs.events.collateral import CollateralDisposed, DisposalStarted
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.collateral import store, views
from services.collateral.domain import disposal
from services.collateral.domain.disposal import DisposalTerms
from services.collateral.domain.file import in_default
from services.collateral.domain.item import ItemStatus, valuation_of
from services.collateral.store import FILES, ITEMS

DISPOSE = "collateral.dispose"


async def start_disposals(tx: Tx, facility_id: str) -> None:
    """Put every perfected item up for sale, if the debt is still in default."""
    file = await tx.get(FILES, facility_id)
    if not in_default(file):
        return
    terms = tx.policy(DisposalTerms, "collateral/disposal")
    for item in await tx.of(ITEMS, facility_id):
        if item.status is ItemStatus.PERFECTED:
            floors = disposal.reserves(valuation_of(item).now, terms.terms, terms.ref)
            tx.put(ITEMS, disposal.start_disposal(item, floors))
            tx.publish(
                DisposalStarted(
                    facility_id=facility_id,
                    collateral_id=item.collateral_id,
                    appraisal=floors.appraisal,
                    reserve_first=floors.first,
                    reserve_second=floors.second,
                ),
                policy=terms.ref,
            )


async def sell_item(tx: Tx, facility_id: str, number: int, *, price: Money, costs: Money) -> views.ItemView:
    """The disposal agent reports a sale at or above the floor; only the security of a debt in default is sold."""
    file = await tx.get(FILES, facility_id)
    if not in_default(file):
        raise Refused("debt_not_in_default", facility_id)
    item, sale = disposal.sell(await store.item(tx, facility_id, number), price, costs)
    tx.put(ITEMS, item)
    tx.publish(
        CollateralDisposed(
            facility_id=facility_id,
            collateral_id=item.collateral_id,
            price=sale.price,
            costs=sale.costs,
            net=sale.net,
        ),
        policy=item.reserves.policy if item.reserves else "",
    )
    return views.item_view(item)
