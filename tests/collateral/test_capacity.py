"""What security can carry: COL-01 over all items, COL-02 for a junior lien."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.collateral.domain.capacity import (
    RATIO_TOLD_MAX,
    PriorityTerms,
    capacity_of,
    check_junior,
    check_rank,
    combine,
    loan_to_value,
)
from services.collateral.domain.item import Item, ItemStatus, Registration, Valuation

VECTORS: dict[str, Any] = {
    row["id"]: row for row in json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))
}
WHOLE = Decimal("1.00")
PRIORITY = PriorityTerms(escalate_from_rank=2)


def cny(amount: object) -> Money:
    return Money(Decimal(str(amount)), "CNY")


def valued(amount: object, rate: object, status: ItemStatus = ItemStatus.VALUED) -> Item:
    valuation = Valuation(
        value=cny(amount),
        valued_on=date(2025, 12, 1),
        advance_rate=Decimal(str(rate)),
        policy="collateral/valuation@2025-07-01",
        now=cny(amount),
        told=cny(amount),
    )
    return Item(
        collateral_id="c1",
        facility_id="f1",
        number=1,
        kind="house",
        currency="CNY",
        declared_value=cny(amount),
        index_series="",
        synthetic=False,
        status=status,
        valuation=valuation,
    )


def test_col_01_combined_ratio() -> None:
    vector = VECTORS["COL-01"]
    items = [valued(value, rate) for value, rate in vector["input"]["items"]]
    found = combine(cny(vector["input"]["claims"]), items, WHOLE)
    assert str(found.capacity.amount) == vector["expected"]["capacity"]
    assert f"{found.ratio:.2%}" == vector["expected"]["ratio"]
    assert str(found.shortfall.amount) == vector["expected"]["shortfall"]
    assert found.sufficient is vector["expected"]["ok"]


def test_col_02_junior_lien() -> None:
    vector = VECTORS["COL-02"]
    given, expected = vector["input"], vector["expected"]
    item = valued(given["value"], given["cap"])
    ltv = loan_to_value(cny(given["ours"]), cny(given["senior"]), cny(given["value"]))
    assert f"{ltv:.2%}" == expected["ltv"]
    assert expected["numeric_ok"]
    check_junior(item, cny(given["ours"]), cny(given["senior"]))
    assert expected["escalate"]
    with pytest.raises(Refused, match="rank_needs_risk_director"):
        check_rank(2, PRIORITY)


@pytest.mark.parametrize(("exposure", "sufficient"), [("699.99", True), ("700.00", True), ("700.01", False)])
def test_exposure_up_to_the_capacity_is_secured(exposure: str, sufficient: bool) -> None:
    found = combine(cny(exposure), [valued(1000, "0.70")], WHOLE)
    assert found.sufficient is sufficient


@pytest.mark.parametrize(("senior", "admitted"), [("449.99", True), ("450.00", True), ("450.01", False)])
def test_a_junior_lien_is_admitted_up_to_the_advance_rate(senior: str, admitted: bool) -> None:
    if admitted:
        check_junior(valued(1000, "0.70"), cny(250), cny(senior))
    else:
        with pytest.raises(Refused, match="junior_lien_above_cap"):
            check_junior(valued(1000, "0.70"), cny(250), cny(senior))


def test_the_first_rank_needs_nobodys_consent() -> None:
    check_rank(1, PRIORITY)


def test_senior_claims_lower_the_capacity_but_never_below_zero() -> None:
    behind = Registration(registry="r", number="1", rank=2, senior_claims=cny(400))
    assert capacity_of(replace(valued(1000, "0.70"), registration=behind)) == cny(300)
    drowned = replace(behind, senior_claims=cny(701))
    assert capacity_of(replace(valued(1000, "0.70"), registration=drowned)) == cny(0)


@pytest.mark.parametrize(
    ("status", "carries"),
    [
        (ItemStatus.VALUED, True),
        (ItemStatus.PERFECTED, True),
        (ItemStatus.DISPOSING, True),
        (ItemStatus.DISPOSED, False),
        (ItemStatus.RELEASED, False),
        (ItemStatus.LAPSED, False),
    ],
)
def test_what_is_sold_or_given_back_carries_nothing(status: ItemStatus, carries: bool) -> None:
    assert bool(capacity_of(valued(1000, "0.70", status))) is carries


def test_an_item_without_a_value_carries_nothing() -> None:
    assert capacity_of(replace(valued(1000, "0.70"), valuation=None)) == cny(0)


def test_a_ratio_without_capacity_is_told_as_the_highest() -> None:
    found = combine(cny(10), [valued(1000, "0.00")], WHOLE)
    assert (found.ratio, found.shortfall, found.sufficient) == (RATIO_TOLD_MAX, cny(10), False)


def test_nothing_owed_is_never_short() -> None:
    found = combine(cny(0), [], WHOLE)
    assert (found.ratio, found.sufficient) == (Decimal(0), True)
