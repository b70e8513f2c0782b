"""What the whole book under cover would cost whom: expected, and with defaults and losses multiplied.

The database adds the loans up by terms and year; here the sums are split as the terms say, exactly: partners bear
their parts up to each cap, what is above it and all that is not covered is the bank's (or the stop-loss's).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from libs.events.guarantee import PartOf, ShareOf
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Agreement, ShareSource
from services.guarantee.domain.cap import CapBook, book_name, room
from services.guarantee.domain.sharing import BANK, bank_share, cut, least, parts_of, summed, without_bank
from services.guarantee.domain.terms import CapPeriod

_BANKS = (ShareOf(party=BANK, weight=Decimal(1)),)


@dataclass(frozen=True, slots=True)
class PortfolioTerms:
    """Policy `guarantee/portfolio`: the fraction of a defaulted loan that is lost, from how many days past due a loan
    counts as defaulted, and the fraction of what is committed that counts as drawn.
    """

    lgd: Decimal
    default_days: int
    drawn_share: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The part of a loss from `low` to `high` of the covered amount, and who bears it."""

    low: Decimal
    high: Decimal
    shares: tuple[ShareOf, ...]


class Sum(NamedTuple):
    """Loans of one year under one version: the principal that is expected to default, the part of it that partners
    guarantee, and what is lost in each slice where the terms have slices, each loan's partners held to its ceiling.
    """

    terms: str
    year: int
    defaulted: Decimal
    guaranteed: Decimal
    sliced: tuple[Decimal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CapLoad:
    """One period of a capped agreement: what partners can still be asked for, and what of the loss lies above it."""

    book: str
    room: Money
    asked: Money
    above: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Burden:
    """A loss on the whole book, who bears which part of it, and what the caps did."""

    loss: Money
    parts: tuple[PartOf, ...]
    caps: tuple[CapLoad, ...]


def slices_of(agreement: Agreement) -> tuple[Slice, ...]:
    """How a loss is borne where it matters how large it is; empty where the partners bear one ratio of any loss."""
    if agreement.share_source is ShareSource.ANSWER or not (agreement.layers or ceiling_of(agreement) is not None):
        return ()
    ends = [*((layer.up_to, layer.shares) for layer in agreement.layers), (Decimal(1), agreement.shares)]
    lows = (Decimal(0), *(high for high, _ in ends))
    return tuple(
        Slice(low=low, high=high, shares=shares) for low, (high, shares) in zip(lows, ends, strict=False) if low < high
    )


def ceiling_of(agreement: Agreement) -> Decimal | None:
    """The most that partners bear of one loan, as a fraction of its amount; None where there is no such bound."""
    ceiling = agreement.coverage.ceiling
    return None if ceiling is None else ceiling * (1 - bank_share(agreement.sharing))


def borne_share(shares: Sequence[ShareOf]) -> Decimal:
    """The fraction that all parties other than the bank bear."""
    whole = sum((share.weight for share in shares), Decimal(0))
    return sum((share.weight for share in shares if share.party != BANK), Decimal(0)) / whole


def burden(
    sums: Iterable[Sum],
    agreements: Mapping[str, Agreement],
    books: Mapping[str, CapBook],
    *,
    lgd: Decimal,
    on: date,
    currency: str,
) -> Burden:
    """Who bears what of the loss on these loans; `agreements` by the name of their version, `books` by theirs."""
    none = Money(Decimal(0), currency)
    loss, parts = none, list[PartOf]()
    capped: dict[str, tuple[Agreement, list[PartOf]]] = {}
    for one in sums:
        agreement = agreements[one.terms]
        lost = Money(one.defaulted * lgd, currency)
        borne = _borne(one, agreement, lost, lgd)
        loss += lost
        if agreement.cap is None:
            parts += borne
            continue
        year = one.year if agreement.cap.period is CapPeriod.COHORT else on.year
        capped.setdefault(book_name(agreement.code, year), (agreement, []))[1].extend(borne)
    loads = []
    for name, (agreement, borne) in sorted(capped.items()):
        load, kept = _cap(name, agreement, borne, books.get(name), on)
        loads.append(load)
        parts += kept
    return Burden(loss=loss, parts=summed(parts, currency), caps=tuple(loads))


def _borne(one: Sum, agreement: Agreement, lost: Money, lgd: Decimal) -> list[PartOf]:
    """Each party's part before any cap; together all that is lost."""
    slices = slices_of(agreement)
    if slices:
        shared = [part for each, of in zip(one.sliced, slices, strict=True) for part in _parts(each, of.shares, lost)]
    else:
        most = Money(one.guaranteed * lgd * agreement.coverage.principal, lost.currency)
        shared = list(parts_of(least(most, lost), _partners(agreement)))
    own = lost - sum((part.amount for part in shared), lost.zero)
    return [*shared, PartOf(party=BANK, amount=own)]


def _parts(each: Decimal, shares: Sequence[ShareOf], lost: Money) -> tuple[PartOf, ...]:
    return parts_of(Money(each, lost.currency), shares)


def _cap(
    name: str, agreement: Agreement, borne: list[PartOf], book: CapBook | None, on: date
) -> tuple[CapLoad, tuple[PartOf, ...]]:
    """What the period's partners bear of it; a period without a book has had no business, so no room."""
    assert agreement.cap is not None, name  # noqa: S101 - called for agreements with a cap only
    before = summed(borne, agreement.currency)
    asked = without_bank(before)
    left = asked.zero if book is None else room(book, agreement.cap, on)
    kept, above = cut(before, left)
    load = CapLoad(book=name, room=left, asked=asked, above=above)
    return load, (*kept, *parts_of(above, agreement.cap.excess or _BANKS))


def _partners(agreement: Agreement) -> tuple[ShareOf, ...]:
    """Among whom the guaranteed part is split: those of the table, or the partner that named the amount."""
    named = tuple(share for share in agreement.shares if share.party != BANK)
    return named or (ShareOf(party=agreement.partner_id, weight=Decimal(1)),)
