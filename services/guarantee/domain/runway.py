"""Cap runway: when a compensation cap will be used up, and what of later claims falls on the bank, with bands.

A run-off view: today's loans default as their grades say, scaled by how the book's own vintages have done so far; new
business, which raises a cap on disbursed amounts, is not counted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from libs.kernel.calendar import add_months
from libs.kernel.money import Money

ONE, YEAR_MONTHS = Decimal(1), Decimal(12)
FLOOR = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class RunwayTerms:
    """Policy `guarantee/runway`: how far and how wide a forecast looks, and how much a vintage's own history counts.

    `band_z` are standard deviations to either side; `factor_sd` is how far a whole book may be off together: the
    standard deviation of the logarithm of what came to what was expected. A loan in arrears defaults within a year with
    `overdue_pd`. A book whose vintages should have brought `credibility_claims` average claims by now is believed by
    half.
    """

    horizon_months: int
    band_z: Decimal
    factor_sd: Decimal
    overdue_pd: Decimal
    credibility_claims: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Loans alike: their guaranteed amounts summed, the sum of the squares, yearly PD, and months to go or gone."""

    amount: Decimal
    squares: Decimal
    pd: Decimal
    months: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """An expected amount, and the ends of its band."""

    low: Money
    expected: Money
    high: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Runway:
    """When the room is used up: expected, and at either end of the band; None: not within the horizon.

    `claims` are all that come to its end, `on_bank` what of them is above the room. `factor` is what the vintages made
    of the grades' PDs.
    """

    room: Money
    factor: Decimal
    until: date
    earliest: date | None
    expected: date | None
    latest: date | None
    claims: Band
    on_bank: Band


class Miss(NamedTuple):
    """A whole book of which it is known what came, what was expected of it, and the variance that chance alone gave the
    logarithm of their ratio.
    """

    came: Decimal
    expected: Decimal
    chance: Decimal


def spread(misses: Sequence[Miss]) -> Decimal:
    """How far whole books were off together: the `factor_sd` that these misses show; raises ValueError for none.

    The mean square of the logarithm of what came to what was expected, less what the chance of single loans explains. A
    book that brought less than a hundredth is counted as one that brought a hundredth.
    """
    if not misses:
        raise ValueError("no book's outcome is known")
    squares = (max(one.came / one.expected, FLOOR).ln() ** 2 - one.chance for one in misses)
    return max(Decimal(0), sum(squares, Decimal(0)) / len(misses)).sqrt()


def chance_variance(buckets: Sequence[Bucket], months: int) -> Decimal:
    """The variance that the chance of single loans alone gives the logarithm of what is claimed in so many months."""
    mean, own = _moments(buckets, months)
    return (ONE + own / mean**2).ln() if mean else Decimal(0)


def vintage_factor(past: Sequence[Bucket], claimed: Money, terms: RunwayTerms) -> Decimal:
    """How many times the claims that PDs promised came so far, drawn to 1 as far as little can have been seen yet.

    `past` has each loan's amount as disbursed and the months it has run.
    """
    promised = sum((bucket.amount * _defaulted(bucket, bucket.months) for bucket in past), Decimal(0))
    whole, squares = sum((b.amount for b in past), Decimal(0)), sum((b.squares for b in past), Decimal(0))
    if not whole:
        return ONE
    prior = terms.credibility_claims * squares / whole  # an average claim, by amount
    return (claimed.amount + prior) / (promised + prior)


def forecast(
    buckets: Sequence[Bucket],
    room: Money,
    factor: Decimal,
    terms: RunwayTerms,
    *,
    wait_months: int,
    on: date,
    months: int,
) -> Runway:
    """Add up expected claims month by month; a default is claimed `wait_months` later."""
    ends: dict[str, date | None] = dict.fromkeys(("low", "expected", "high"))
    claims = {"low": Decimal(0), "expected": Decimal(0), "high": Decimal(0)}
    for month in range(1, months + 1):
        claims = _claims(buckets, factor, terms, month - wait_months)
        for end, amount in claims.items():
            if ends[end] is None and amount > 0 and amount >= room.amount:
                ends[end] = add_months(on, month)
    band = {end: Money(amount, room.currency) for end, amount in claims.items()}
    return Runway(
        room=room,
        factor=round(factor, 4),
        until=add_months(on, months),
        earliest=ends["high"],
        expected=ends["expected"],
        latest=ends["low"],
        claims=Band(**band),
        on_bank=Band(**{end: max(room.zero, amount - room) for end, amount in band.items()}),
    )


def _claims(buckets: Sequence[Bucket], factor: Decimal, terms: RunwayTerms, months: int) -> dict[str, Decimal]:
    """All that is claimed of defaults in so many months: each loan by itself, and the book as a whole, may be off.

    Books are off by a factor, half as often as twice, so the band is lognormal.
    """
    mean, _ = _moments(buckets, months)
    if not mean:
        return {"low": mean, "expected": mean, "high": mean}
    apart = (chance_variance(buckets, months) + terms.factor_sd**2).sqrt()
    times, mean = (terms.band_z * apart).exp(), mean * factor
    return {"low": mean / times, "expected": mean, "high": mean * times}


def _moments(buckets: Sequence[Bucket], months: int) -> tuple[Decimal, Decimal]:
    """Mean and variance of what is claimed in so many months, each loan by itself."""
    mean = own = Decimal(0)
    for bucket in buckets:
        chance = _defaulted(bucket, months)
        mean += bucket.amount * chance
        own += bucket.squares * chance * (1 - chance)
    return mean, own


def _defaulted(bucket: Bucket, months: int) -> Decimal:
    """The chance that a loan of the bucket has defaulted after so many months, none of them after its maturity."""
    run = max(0, min(months, bucket.months))
    return ONE - (ONE - min(bucket.pd, Decimal("0.9999"))) ** (run / YEAR_MONTHS)
