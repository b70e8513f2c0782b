"""When two appraisals give a value: different appraisers, both recent, close to each other; the lower one counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import combinations

from libs.kernel.calendar import add_months
from libs.kernel.errors import Invalid, Refused
from libs.kernel.money import Money
from services.collateral.domain.item import Appraisal, Item, ItemStatus, Valuation

PAIR = 2  # a value is what two appraisers agree on; the event carries exactly two


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceRate:
    """The highest share of the value that may be lent against one kind of security."""

    kind: str
    rate: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuationTerms:
    """The numbers of COL-11 and COL-01: closeness, age and count of appraisals, and the advance rates.

    `deviation_max` is inclusive and measured against the lower appraisal. A kind that is not listed carries
    `unlisted_rate`. `combined_ratio_max` is inclusive.
    """

    deviation_max: Decimal
    valid_months: int
    warn_months: int
    appraisals_max: int
    combined_ratio_max: Decimal
    unlisted_rate: Decimal
    rates: tuple[AdvanceRate, ...]


class Age(StrEnum):
    """How recent an appraisal is: usable, usable but soon too old, or void."""

    OK = "ok"
    WARN = "warn"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The two appraisals a value rests on and the value itself: the lower of them."""

    pair: tuple[Appraisal, Appraisal]
    value: Money
    valued_on: date


def age_of(valued_on: date, on: date, terms: ValuationTerms) -> Age:
    """COL-11: more than `valid_months` old is invalid (strictly), from `warn_months` on a warning (inclusive)."""
    if on > add_months(valued_on, terms.valid_months):
        return Age.INVALID
    return Age.WARN if on >= add_months(valued_on, terms.warn_months) else Age.OK


def deviation(one: Money, other: Money) -> Decimal:
    """How far two values are apart, as a fraction of the lower one: the stricter way to read the rule."""
    low, high = sorted((one, other), key=lambda value: value.amount)
    return (high - low).ratio(low)


def usable(appraisals: tuple[Appraisal, ...], on: date, terms: ValuationTerms) -> tuple[Appraisal, ...]:
    """The appraisals that are still recent enough on `on`."""
    return tuple(a for a in appraisals if age_of(a.valued_on, on, terms) is not Age.INVALID)


def agree(appraisals: tuple[Appraisal, ...], terms: ValuationTerms) -> Agreement | None:
    """The value that the appraisals give, or None while another one is needed.

    The closest pair counts if it lies within `deviation_max`, and its lower value is accepted; of equally close
    pairs the lower one. When `appraisals_max` of them still disagree, the two lowest are taken, because the security
    may not gain from a quarrel among appraisers.
    """
    if len(appraisals) < PAIR:
        return None
    ordered = sorted(appraisals, key=lambda appraisal: (appraisal.value.amount, appraisal.appraiser))
    low, high = min(combinations(ordered, PAIR), key=lambda pair: deviation(pair[0].value, pair[1].value))
    if deviation(low.value, high.value) > terms.deviation_max:
        if len(appraisals) < terms.appraisals_max:
            return None
        low, high = ordered[0], ordered[1]
    return Agreement(pair=(low, high), value=low.value, valued_on=low.valued_on)


def rate_of(kind: str, terms: ValuationTerms) -> Decimal:
    """The advance rate of a kind of security, `unlisted_rate` for one that the policy does not name."""
    return next((row.rate for row in terms.rates if row.kind == kind), terms.unlisted_rate)


def check_appraisal(appraisal: Appraisal, currency: str, on: date, terms: ValuationTerms) -> None:
    """Raises Invalid for a value that is not positive, in another currency or from the future, Refused if too old."""
    if appraisal.value.currency != currency:
        raise Invalid("currency_mismatch", f"{appraisal.value.currency} for a file in {currency}")
    if appraisal.value <= appraisal.value.zero:
        raise Invalid("appraisal_not_positive", str(appraisal.value))
    if appraisal.valued_on > on:
        raise Invalid("appraisal_from_the_future", f"{appraisal.valued_on} is after {on}")
    if age_of(appraisal.valued_on, on, terms) is Age.INVALID:
        raise Refused(
            "appraisal_too_old", f"{appraisal.valued_on} is more than {terms.valid_months} months before {on}"
        )


def appraise(item: Item, appraisal: Appraisal, on: date, terms: ValuationTerms) -> Item:
    """The item with one more appraisal; those that grew too old meanwhile no longer count.

    Raises Refused `not_open_to_appraisal` once a value was accepted, `same_appraiser` for a second one by one person.
    """
    if item.status is not ItemStatus.OFFERED:
        raise Refused("not_open_to_appraisal", f"item {item.number} is {item.status}")
    check_appraisal(appraisal, item.currency, on, terms)
    recent = usable(item.appraisals, on, terms)
    if any(earlier.appraiser == appraisal.appraiser for earlier in recent):
        raise Refused("same_appraiser", f"{appraisal.appraiser} already appraised item {item.number}")
    return replace(item, appraisals=(*recent, appraisal))


def accept(item: Item, agreement: Agreement, index_base: Decimal | None, terms: ValuationTerms, policy: str) -> Item:
    """The item at its accepted value."""
    valuation = Valuation(
        value=agreement.value,
        valued_on=agreement.valued_on,
        advance_rate=rate_of(item.kind, terms),
        policy=policy,
        now=agreement.value,
        told=agreement.value,
        index_base=index_base,
    )
    return replace(item, status=ItemStatus.VALUED, valuation=valuation)
