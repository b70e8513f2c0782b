"""Cap runway: the month a cap is used up and what falls on the bank, as expected and at both ends of the band."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from services.guarantee.domain.runway import (
    Bucket,
    Miss,
    RunwayTerms,
    chance_variance,
    forecast,
    spread,
    vintage_factor,
)
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, DAY, Story, admit, cny
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
TERMS = RunwayTerms(
    horizon_months=24,
    band_z=Decimal("1.2816"),
    factor_sd=Decimal("0.2"),
    overdue_pd=Decimal("0.5"),
    credibility_claims=5,
)
ON = date(2026, 1, 1)


def alike(loans: int, amount: int, pd: str, months: int) -> Bucket:
    """So many equal loans."""
    return Bucket(amount=Decimal(loans * amount), squares=Decimal(loans * amount**2), pd=Decimal(pd), months=months)


def test_claims_come_as_the_grades_say_and_use_the_room_up() -> None:
    book = [alike(100, 1000, "0.12", 24)]  # 12 % of 100,000 within a year, claimed three months later
    seen = forecast(book, cny("6000"), Decimal(1), TERMS, wait_months=3, on=ON, months=15)
    assert seen.claims.expected == cny("12000")
    assert seen.on_bank.expected == cny("6000")
    # 1 - 0.88^(t/12) reaches 6 % in the sixth month, so with the wait in the ninth
    assert seen.expected == date(2026, 10, 1)
    assert seen.earliest is not None
    assert seen.earliest < seen.expected
    assert seen.latest is None or seen.latest > seen.expected
    assert seen.claims.low < seen.claims.expected < seen.claims.high


def test_loans_that_end_and_an_empty_book_use_nothing_up() -> None:
    assert forecast([], cny("1"), Decimal(1), TERMS, wait_months=3, on=ON, months=24).earliest is None
    short = forecast([alike(10, 1000, "0.5", 3)], cny("0"), Decimal(1), TERMS, wait_months=3, on=ON, months=24)
    longer = forecast([alike(10, 1000, "0.5", 3)], cny("0"), Decimal(1), TERMS, wait_months=3, on=ON, months=6)
    assert short.claims == longer.claims
    assert short.expected == date(2026, 5, 1)  # no room: the first claim is the bank's, a month and the wait from now


def test_a_vintage_that_did_worse_than_promised_counts_as_far_as_it_can_be_believed() -> None:
    past = [alike(100, 1000, "0.10", 12)]  # ten claims were promised
    assert vintage_factor(past, cny("10000"), TERMS) == 1
    assert vintage_factor(past, cny("20000"), TERMS) == Decimal(25) / Decimal(15)
    assert vintage_factor([], cny("0"), TERMS) == 1
    assert vintage_factor([alike(100, 1000, "0.10", 0)], cny("0"), TERMS) == 1


def test_books_that_default_as_drawn_lie_within_the_band_as_often_as_it_says() -> None:
    drawn, within = random.Random(7), 0
    book = [alike(200, 1000, "0.05", 24)]
    seen = forecast(book, cny("9000"), Decimal(1), TERMS, wait_months=0, on=ON, months=24)
    chance = 1 - 0.95**2
    for _ in range(400):
        off = math.exp(drawn.gauss(0, float(TERMS.factor_sd)))
        claims = 1000 * sum(drawn.random() < chance * off for _ in range(200))
        within += seen.claims.low.amount <= claims <= seen.claims.high.amount
    assert within / 400 == pytest.approx(0.80, abs=0.05)


def test_the_spread_is_learnt_from_books_whose_end_is_known_and_chance_is_taken_off() -> None:
    drawn = random.Random(3)
    book = [alike(200, 1000, "0.05", 24)]
    chance = chance_variance(book, 24)
    misses = [
        Miss(
            Decimal(str(1000 * math.exp(drawn.gauss(0, math.hypot(0.5, float(chance.sqrt())))))), Decimal(1000), chance
        )
        for _ in range(400)
    ]
    assert float(spread(misses)) == pytest.approx(0.5, abs=0.05)
    assert spread([Miss(Decimal(1000), Decimal(1000), chance)]) == 0
    assert spread([Miss(Decimal(0), Decimal(1000), Decimal(0))]) == -Decimal("0.01").ln()
    with pytest.raises(ValueError, match="no book"):
        spread([])


async def test_an_agreement_shows_the_runway_of_each_cap(bench: Benches) -> None:
    one, two = Story(name="one"), Story(name="two", amount="50000")
    async with bench(service) as b:
        await admit(b, {**AGREED, "cap": {"rate": "0.02"}}, {**AGREED, "code": "open"})
        for story in (one, two):
            await story.bind(b)
            await b.react(story.disbursed(), on=DAY)
        (seen,) = (await b.get("/v1/agreements/reg-4321/runway")).json()
        assert (seen["book"], seen["runway"]["room"]["amount"]) == ("reg-4321/2025", "2400.00")  # 2 % of 120,000
        assert seen["runway"]["claims"]["expected"]["amount"] == "1299.46"  # a PD of 1 % for 13 months of 30 days
        assert (seen["runway"]["expected"], seen["runway"]["on_bank"]["expected"]["amount"]) == (None, "0.00")
        # The file is rated anew; the loan stands at the PD that it was drawn at.
        async with b.parts.engine.begin() as conn:
            await conn.exec_driver_sql("UPDATE files SET pd = 0.5")
        assert (await b.get("/v1/agreements/reg-4321/runway")).json() == [seen]
        assert (await b.get("/v1/agreements/open/runway")).json() == []
        assert (await b.get("/v1/agreements/none/runway")).status_code == 404
