"""A sale: the court's floors (COL-04), and what is left after its costs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.kernel.errors import Invalid, Refused
from libs.kernel.money import Money
from services.collateral.domain.disposal import DisposalTerms, reserves, sell, start_disposal
from services.collateral.domain.item import Item, ItemStatus, Valuation

VECTORS: dict[str, Any] = {
    row["id"]: row for row in json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))
}
COURT = DisposalTerms(start_after_days=60, first_reserve_min=Decimal("0.70"), second_discount_max=Decimal("0.20"))
NO_FLOOR = DisposalTerms(start_after_days=30, first_reserve_min=Decimal("0.00"), second_discount_max=Decimal("0.00"))
POLICY = "collateral/disposal@2025-07-01"


def cny(amount: object) -> Money:
    return Money(Decimal(str(amount)), "CNY")


def perfected() -> Item:
    valuation = Valuation(
        value=cny(1200),
        valued_on=date(2025, 12, 1),
        advance_rate=Decimal("0.70"),
        policy="collateral/valuation@2025-07-01",
        now=cny(1000),
        told=cny(1000),
    )
    return Item(
        collateral_id="c1",
        facility_id="f1",
        number=1,
        kind="house",
        currency="CNY",
        declared_value=cny(1500),
        index_series="",
        synthetic=False,
        status=ItemStatus.PERFECTED,
        valuation=valuation,
    )


def on_sale(terms: DisposalTerms = COURT) -> Item:
    return start_disposal(perfected(), reserves(cny(1000), terms, POLICY))


def test_col_04_court_auction_floors() -> None:
    vector = VECTORS["COL-04"]
    found = reserves(cny(vector["input"]["appraisal"]), COURT, POLICY)
    assert str(found.first.amount) == vector["expected"]["first"]
    assert str(found.second.amount) == vector["expected"]["second"]


@pytest.mark.parametrize("price", ["560.00", "560.01", "1400.00"])
def test_a_price_at_or_above_the_second_floor_is_a_sale(price: str) -> None:
    item, sale = sell(on_sale(), cny(price), cny(60))
    assert item.status is ItemStatus.DISPOSED
    assert sale.net == cny(price) - cny(60)


def test_a_price_a_cent_below_the_second_floor_is_refused() -> None:
    with pytest.raises(Refused, match="price_below_reserve") as refusal:
        sell(on_sale(), cny("559.99"), cny(0))
    assert refusal.value.facts == {"reserve": "560.00"}


def test_without_a_floor_any_price_is_a_sale() -> None:
    _, sale = sell(on_sale(NO_FLOOR), cny(0), cny(0))
    assert sale.net == cny(0)


@pytest.mark.parametrize(("costs", "net"), [("599.99", "0.01"), ("600.00", "0.00"), ("600.01", "0.00")])
def test_costs_above_the_price_leave_nothing_and_owe_nothing(costs: str, net: str) -> None:
    _, sale = sell(on_sale(), cny(600), cny(costs))
    assert sale.net == cny(net)


def test_what_was_not_put_up_for_sale_is_not_sold() -> None:
    with pytest.raises(Refused, match="disposal_not_started"):
        sell(perfected(), cny(1000), cny(0))


def test_what_was_sold_is_not_sold_again() -> None:
    sold, _ = sell(on_sale(), cny(1000), cny(0))
    with pytest.raises(Refused, match="disposal_not_started"):
        sell(sold, cny(1000), cny(0))


def test_only_a_perfected_interest_is_put_up_for_sale() -> None:
    unperfected = replace(perfected(), status=ItemStatus.VALUED)
    with pytest.raises(Refused, match="not_perfected"):
        start_disposal(unperfected, reserves(cny(1000), COURT, POLICY))


def test_costs_are_never_negative_and_currencies_never_mixed() -> None:
    with pytest.raises(Invalid, match="negative_amount"):
        sell(on_sale(), cny(1000), cny(-1))
    with pytest.raises(Invalid, match="currency_mismatch"):
        sell(on_sale(), Money(Decimal(1000), "USD"), cny(1))
