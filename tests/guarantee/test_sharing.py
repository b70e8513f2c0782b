"""A loss is split among the bank and its partners so that every cent is borne by somebody, exactly once."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.guarantee import ShareOf
from libs.kernel.money import Money, total
from services.guarantee.domain.sharing import BANK, bank_share, partners_part, parts_of, shares_by_amount

VECTORS = {v["id"]: v for v in json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))}


def cny(amount: Any) -> Money:
    return Money(Decimal(str(amount)), "CNY")


def shares(**weights: Any) -> tuple[ShareOf, ...]:
    return tuple(ShareOf(party=party, weight=Decimal(str(weight))) for party, weight in weights.items())


@pytest.mark.parametrize(
    ("vector", "weights"),
    [
        ("SHR-01", {"guarantor": 4, "reguarantor": 3, "bank": 2, "government": 1}),
        ("SHR-02", {"guarantor": 4, "province": 2, "national_fund": 2, "bank": 2}),
        ("SHR-04", {"insurer": 8, "bank": 2}),
    ],
)
def test_the_parts_are_those_of_the_published_scheme(vector: str, weights: dict[str, int]) -> None:
    loss = sum(VECTORS[vector]["input"].values())
    parts = {part.party: str(part.amount.amount) for part in parts_of(cny(loss), shares(**weights))}
    assert parts == VECTORS[vector]["expected"]


def test_a_guarantee_after_normal_recoveries_covers_its_share_of_what_is_left() -> None:
    case = VECTORS["SHR-13"]
    left = cny(case["input"]["outstanding"]) - cny(case["input"]["recovered"])
    agreed = shares(scheme=7, bank=3)
    assert str(partners_part(left, agreed).amount) == case["expected"]["claim"]
    assert str((left - partners_part(left, agreed)).amount) == case["expected"]["lender_loss"]


def test_a_cent_that_cannot_be_divided_goes_to_the_largest_remainder() -> None:
    parts = parts_of(cny("0.05"), shares(guarantor=4, reguarantor=3, bank=2, government=1))
    assert [str(part.amount.amount) for part in parts] == ["0.02", "0.02", "0.01", "0.00"]


@given(
    cents=st.integers(0, 10**12),
    weights=st.lists(st.integers(1, 1000), min_size=1, max_size=6),
    own=st.integers(0, 1000),
)
def test_parts_always_sum_to_the_loss_and_none_is_a_cent_off_its_share(
    cents: int, weights: list[int], own: int
) -> None:
    loss = cny(Decimal(cents) / 100)
    agreed = shares(**{f"p{index}": weight for index, weight in enumerate(weights)}, bank=own)
    parts = parts_of(loss, agreed)
    assert total((part.amount for part in parts), "CNY") == loss
    base = sum(weights) + own
    for part, share in zip(parts, agreed, strict=True):
        assert abs(part.amount.amount * base - loss.amount * share.weight) < Decimal("0.01") * base


@given(cents=st.integers(0, 10**12), weight=st.integers(1, 99))
def test_what_the_partners_bear_and_what_the_bank_bears_are_the_whole_loss(cents: int, weight: int) -> None:
    loss, agreed = cny(Decimal(cents) / 100), shares(insurer=weight, bank=100 - weight)
    own = next(part.amount for part in parts_of(loss, agreed) if part.party == BANK)
    assert partners_part(loss, agreed) + own == loss


def test_the_banks_share_is_its_weight_of_all_weights() -> None:
    assert bank_share(shares(guarantor=4, reguarantor=3, bank=2, government=1)) == Decimal("0.2")
    assert bank_share(shares(insurer=1)) == 0


def test_a_named_amount_makes_the_rest_the_banks() -> None:
    agreed = shares_by_amount("sba", cny(85), cny(100))
    assert bank_share(agreed) == Decimal("0.15")
    assert partners_part(cny(1000), agreed) == cny(850)
