"""The sample keeps the file's proportions, holds still for a seed and never depends on the order of rows."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.sample import quotas, stratified, stratum
from deploy.demo.sba import Record, Rejected
from libs.kernel.errors import Invalid
from libs.kernel.money import Money

AMOUNT = Money(Decimal(1000), "USD")


def record(number: int, year: int, outcome: str) -> Record:
    lost = outcome == "charged_off"
    return Record(
        line=number,
        ref=f"sba-{number:010d}",
        state="oh",
        bank_state="oh",
        naics="44",
        employees=3,
        new_business=False,
        product="sba-7a",
        approved_on=date(year, 1 + number % 12, 1 + number % 28),
        disbursed_on=date(year + 1, 1, 31),
        amount=AMOUNT,
        guaranteed=AMOUNT,
        drawn=AMOUNT,
        charged_off=AMOUNT if lost else None,
        charged_off_on=date(year + 4, 1, 1) if lost else None,
        first_missed=date(year + 2, 12, 20) if lost else None,
        notes=(),
    )


# The charge-offs first, as in the real file: a sample of the head would see nothing else.
FILE: list[Record | Rejected] = [record(n, 1990 + n % 7, "charged_off") for n in range(300)]
FILE += [record(1000 + n, 1988 + n % 11, "repaid") for n in range(900)]
FILE += [
    Rejected(line=9, ref="", code="malformed", reason="cut"),
    Rejected(line=10, ref="", code="duplicate", reason=""),
]

SIZES = st.dictionaries(
    st.tuples(st.sampled_from(["repaid", "charged_off"]), st.integers(1970, 2005)), st.integers(1, 500), min_size=1
)


@given(SIZES, st.integers(1, 4000))
def test_places_sum_to_the_limit_and_stay_within_one_of_the_share_at_each_step(
    sizes: dict[tuple[str, int], int], limit: int
) -> None:
    places, whole = quotas(sizes, limit), sum(sizes.values())
    limit = min(limit, whole)
    assert sum(places.values()) == limit
    for outcome in ("repaid", "charged_off"):
        of_outcome = {key: size for key, size in sizes.items() if key[0] == outcome}
        size, share = sum(of_outcome.values()), sum(places[key] for key in of_outcome)
        assert abs(share * whole - limit * size) < whole
        for key, part in of_outcome.items():
            assert 0 <= places[key] <= part
            assert abs(places[key] * size - share * part) < size


def test_the_sample_holds_outcome_and_year_in_proportion() -> None:
    sample = stratified(FILE, 240, seed=1)
    assert Counter(row.outcome for row in sample.records) == {"charged_off": 60, "repaid": 180}
    wanted = quotas(Counter(stratum(row) for row in FILE if isinstance(row, Record)), 240)
    assert Counter(stratum(row) for row in sample.records) == {key: n for key, n in wanted.items() if n}


def test_the_sample_is_the_same_for_a_seed_whatever_the_order_of_rows() -> None:
    shuffled = random.Random(5).sample(FILE, len(FILE))
    assert stratified(FILE, 100, seed=3).records == stratified(shuffled, 100, seed=3).records


def test_another_seed_draws_other_loans_of_the_same_strata() -> None:
    one, other = stratified(FILE, 100, seed=3).records, stratified(FILE, 100, seed=4).records
    assert set(one) != set(other)
    assert Counter(map(stratum, one)) == Counter(map(stratum, other))


def test_the_sample_is_not_the_head_of_the_file() -> None:
    chosen = stratified(FILE, 100, seed=3).records
    assert {row.ref for row in chosen} != {row.ref for row in FILE[:100]}
    assert any(row.outcome == "repaid" for row in chosen)


def test_records_come_in_approval_order_without_repetition() -> None:
    chosen = stratified(FILE, 500, seed=3).records
    assert [row.approved_on for row in chosen] == sorted(row.approved_on for row in chosen)
    assert len({row.ref for row in chosen}) == 500


def test_a_limit_above_the_file_takes_all_and_counts_what_was_rejected() -> None:
    sample = stratified(iter(FILE), 5000, seed=3)
    assert len(sample.records) == sample.accepted == 1200
    assert sample.rejected == {"duplicate": 1, "malformed": 1}


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_invalid(limit: int) -> None:
    with pytest.raises(Invalid, match="limit_not_positive"):
        stratified(FILE, limit, seed=1)
