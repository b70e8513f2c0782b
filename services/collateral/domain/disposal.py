"""How security is sold: the reserve prices of a court sale (COL-04) and what is left after its costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from libs.kernel.errors import Invalid, Refused
from libs.kernel.money import Money
from services.collateral.domain.item import Item, ItemStatus, Reserves, Sale


@dataclass(frozen=True, slots=True, kw_only=True)
class DisposalTerms:
    """When disposal starts after the loan became non-performing (calendar days), and the floors of the sale.

    `first_reserve_min` is a share of the appraisal, `second_discount_max` a share of the first reserve price.
    """

    start_after_days: int
    first_reserve_min: Decimal
    second_discount_max: Decimal


def reserves(appraisal: Money, terms: DisposalTerms, policy: str) -> Reserves:
    """COL-04: the first reserve price, and the second at most `second_discount_max` below it."""
    first = appraisal * terms.first_reserve_min
    return Reserves(appraisal=appraisal, first=first, second=first * (1 - terms.second_discount_max), policy=policy)


def start_disposal(item: Item, floors: Reserves) -> Item:
    """The item put up for sale; raises Refused `not_perfected`: only an interest that exists can be enforced."""
    if item.status is not ItemStatus.PERFECTED:
        raise Refused("not_perfected", f"item {item.number} is {item.status}")
    return replace(item, status=ItemStatus.DISPOSING, reserves=floors)


def sell(item: Item, price: Money, costs: Money) -> tuple[Item, Sale]:
    """The item sold and the sale: net = price − costs, never below zero.

    Raises Refused `disposal_not_started`, or `price_below_reserve` under the floor of the second sale (the floor
    itself is enough); Invalid for a negative price or costs.
    """
    if item.status is not ItemStatus.DISPOSING or item.reserves is None:
        raise Refused("disposal_not_started", f"item {item.number} is {item.status}")
    if price < price.zero or costs < costs.zero:
        raise Invalid("negative_amount", "price and costs are zero or more")
    floor = item.reserves.second
    if price < floor:
        raise Refused("price_below_reserve", f"{price} is below {floor}", reserve=str(floor.amount))
    sale = Sale(price=price, costs=costs, net=max(price - costs, price.zero))
    return replace(item, status=ItemStatus.DISPOSED, sale=sale), sale
