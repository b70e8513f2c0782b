"""A loss is split among the bank and its partners so that every cent is borne by somebody, exactly once."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.guarantee import LayerOf, PartOf, ShareOf
from libs.kernel.money import Money, total
from services.guarantee.domain.sharing import (
    Loss,
    Sharing,
    bank_share,
    final_split,
    layered_parts,
    partners_part,
    parts_of,
    shares_by_amount,
    without_bank,
)
from services.guarantee.domain.terms import Coverage
from tests.guarantee.stories import loss_of

VECTORS = {v["id"]: v for v in json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))}


def cny(amount: Any) -> Money:
    return Money(Decimal(str(amount)), "CNY")


def shares(**weights: Any) -> tuple[ShareOf, ...]:
    return tuple(ShareOf(party=party, weight=Decimal(str(weight))) for party, weight in weights.items())


def amounts(parts: tuple[PartOf, ...]) -> dict[str, str]:
    return {part.party: str(part.amount.amount) for part in parts}


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
    agreed = Sharing(shares=shares(scheme=7, bank=3))
    assert str(partners_part(left, agreed, left).amount) == case["expected"]["claim"]
    assert str((left - partners_part(left, agreed, left)).amount) == case["expected"]["lender_loss"]


def test_a_cent_that_cannot_be_divided_goes_to_the_largest_remainder() -> None:
    parts = parts_of(cny("0.05"), shares(guarantor=4, reguarantor=3, bank=2, government=1))
    assert [str(part.amount.amount) for part in parts] == ["0.02", "0.02", "0.01", "0.00"]


@settings(deadline=None)
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


def test_the_banks_share_is_its_weight_of_all_weights() -> None:
    assert bank_share(Sharing(shares=shares(guarantor=4, reguarantor=3, bank=2, government=1))) == Decimal("0.2")
    assert bank_share(Sharing(shares=shares(insurer=1))) == 0


def test_a_named_amount_makes_the_rest_the_banks() -> None:
    agreed = Sharing(shares=shares_by_amount("sba", cny(85), cny(100)))
    assert bank_share(agreed) == Decimal("0.15")
    assert partners_part(cny(1000), agreed, cny(1000)) == cny(850)


@pytest.mark.parametrize("case", range(2))
def test_the_guaranteed_share_steps_down_above_the_cliff(case: int) -> None:
    vector = VECTORS["SHR-11"]
    amount = cny(vector["input"]["amount"][case])
    share = Decimal(85) if amount <= cny(150_000) else Decimal(75)
    agreed = Sharing(shares=shares(sba=share, bank=100 - share))
    assert str(partners_part(amount, agreed, amount).amount) == vector["expected"]["guaranteed"][case]


LAYERED = Sharing(
    layers=(
        LayerOf(up_to=Decimal("0.10"), shares=shares(guarantor=1)),  # first loss
        LayerOf(up_to=Decimal("0.50"), shares=shares(insurer=8, bank=2)),
    ),
    shares=shares(bank=1),  # the excess
)


@pytest.mark.parametrize(
    ("loss", "parts"),
    [
        ("50", {"guarantor": "50.00", "insurer": "0.00", "bank": "0.00"}),
        ("100", {"guarantor": "100.00", "insurer": "0.00", "bank": "0.00"}),
        ("200", {"guarantor": "100.00", "insurer": "80.00", "bank": "20.00"}),
        ("500", {"guarantor": "100.00", "insurer": "320.00", "bank": "80.00"}),
        ("1000", {"guarantor": "100.00", "insurer": "320.00", "bank": "580.00"}),
    ],
)
def test_each_layer_bears_its_own_slice_and_the_ratio_what_lies_above(loss: str, parts: dict[str, str]) -> None:
    assert amounts(layered_parts(cny(loss), LAYERED, cny(1000))) == parts


def test_the_banks_share_of_layers_is_what_it_bears_of_a_total_loss() -> None:
    assert bank_share(LAYERED) == Decimal("0.58")


def test_what_is_not_covered_is_the_banks() -> None:
    insured = Sharing(shares=shares(insurer=8, bank=2))
    loss = Loss(principal=cny(1000), interest=cny(100), penalty=cny(50), cost=cny(20))
    covering = Coverage(interest=Decimal("0.5"))
    assert amounts(final_split(loss, insured, covering, covered=cny(1000))) == {"insurer": "840.00", "bank": "330.00"}


def test_at_most_the_guaranteed_amount_is_paid_where_that_is_the_ceiling() -> None:
    case = VECTORS["F8"]
    given, expected = case["input"], case["expected"]
    share = Decimal(given["share"])
    agreed = Sharing(shares=shares(scheme=share, bank=1 - share))
    loss = Loss(
        principal=cny(given["principal"]),
        interest=cny(given["interest"]),
        penalty=cny(given["penalty"]),
        cost=cny(0),
    )
    covering = Coverage(interest=Decimal(1), penalty=Decimal(1))
    open_ended = final_split(loss, agreed, covering, covered=cny(given["loan"]))
    capped = final_split(loss, agreed, replace(covering, ceiling=Decimal(1)), covered=cny(given["loan"]))
    assert amounts(open_ended)["scheme"] == expected["uncapped"]
    assert amounts(capped) == {"scheme": expected["payable"], "bank": expected["bank"]}


def test_a_stop_loss_takes_over_above_the_cap() -> None:
    agreed = Sharing(shares=shares(insurer=7, bank=3))
    parts = final_split(
        loss_of(cny(1000)),
        agreed,
        Coverage(),
        covered=cny(1000),
        payable_max=cny(200),
        excess=shares(government=8, insurer=2),
    )
    assert amounts(parts) == {"insurer": "300.00", "bank": "300.00", "government": "400.00"}


WEIGHTS = st.dictionaries(st.sampled_from(["bank", "a", "b", "c"]), st.integers(1, 999), min_size=1)
FRACTIONS = st.integers(0, 1000).map(lambda thousandth: Decimal(thousandth) / 1000)
CENTS = st.integers(0, 10**11).map(lambda cents: cny(Decimal(cents) / 100))


@st.composite
def agreements(draw: st.DrawFn) -> tuple[Sharing, Coverage, tuple[ShareOf, ...]]:
    bounds = sorted(draw(st.sets(st.integers(1, 999), max_size=3)))
    layers = tuple(LayerOf(up_to=Decimal(b) / 1000, shares=shares(**draw(WEIGHTS))) for b in bounds)
    coverage = Coverage(
        principal=draw(FRACTIONS),
        interest=draw(FRACTIONS),
        penalty=draw(FRACTIONS),
        cost=draw(FRACTIONS),
        ceiling=draw(st.none() | FRACTIONS),
    )
    excess = draw(st.none() | WEIGHTS)
    return Sharing(shares=shares(**draw(WEIGHTS)), layers=layers), coverage, shares(**(excess or {}))


@settings(deadline=None)
@given(
    terms=agreements(),
    components=st.tuples(CENTS, CENTS, CENTS, CENTS),
    covered=CENTS,
    room=st.none() | CENTS,
)
def test_the_final_split_sums_to_the_whole_loss_for_any_agreement(
    terms: tuple[Sharing, Coverage, tuple[ShareOf, ...]],
    components: tuple[Money, Money, Money, Money],
    covered: Money,
    room: Money | None,
) -> None:
    sharing, coverage, excess = terms
    principal, interest, penalty, cost = components
    loss = Loss(principal=principal, interest=interest, penalty=penalty, cost=cost)
    parts = final_split(loss, sharing, coverage, covered=covered, payable_max=room, excess=excess)
    assert total((part.amount for part in parts), "CNY") == loss.whole
    assert all(part.amount >= loss.whole.zero for part in parts)
    assert len({part.party for part in parts}) == len(parts)
    if room is not None and not excess:
        assert without_bank(parts) <= room


@settings(deadline=None)
@given(terms=agreements(), first=CENTS, more=CENTS, covered=CENTS)
def test_a_larger_loss_never_costs_the_partners_together_less(
    terms: tuple[Sharing, Coverage, tuple[ShareOf, ...]], first: Money, more: Money, covered: Money
) -> None:
    sharing = terms[0]
    less, greater = partners_part(first, sharing, covered), partners_part(first + more, sharing, covered)
    assert greater - less >= cny("-0.06")  # each ratio of up to four parties may round a cent the other way
