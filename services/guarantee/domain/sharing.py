"""How a loss is borne: layers, ratios, coverage and caps compose, and the parts always sum to the whole.

The final split says who bears what in the end; in which order cash moves is `cash.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from libs.events.guarantee import LayerOf, PartOf, ShareOf
from libs.kernel.money import Money, split, total
from services.guarantee.domain.terms import Coverage

BANK = "bank"
_TO_BANK = (ShareOf(party=BANK, weight=Decimal(1)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """`layers` bear a loss from the first cent up, each to its bound; `shares` is the ratio for all above them."""

    shares: tuple[ShareOf, ...]
    layers: tuple[LayerOf, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What was lost on one loan, by component."""

    principal: Money
    interest: Money
    penalty: Money
    cost: Money

    @property
    def whole(self) -> Money:
        """All components together."""
        return self.principal + self.interest + self.penalty + self.cost


def parts_of(whole: Money, shares: Sequence[ShareOf]) -> tuple[PartOf, ...]:
    """Each party's part of `whole` by the largest remainder; ties go to the party named earlier."""
    amounts = split(whole, {share.party: share.weight for share in shares})
    return tuple(PartOf(party=party, amount=amount) for party, amount in amounts.items())


def layered_parts(loss: Money, sharing: Sharing, covered: Money) -> tuple[PartOf, ...]:
    """Each party's part of `loss`, of which every layer bears its own slice; `covered` is what bounds count from."""
    parts: list[PartOf] = []
    low = loss.zero
    for layer in sharing.layers:
        high = covered * layer.up_to
        parts += parts_of(between(loss, low, high), layer.shares)
        low = high
    return summed([*parts, *parts_of(loss - least(loss, low), sharing.shares)], loss.currency)


def partners_part(whole: Money, sharing: Sharing, covered: Money) -> Money:
    """What all parties other than the bank bear of `whole`."""
    return without_bank(layered_parts(whole, sharing, covered))


def without_bank(parts: Iterable[PartOf]) -> Money:
    """What the parties other than the bank bear together; raises ValueError for no parts at all."""
    named = tuple(parts)
    return total((part.amount for part in named if part.party != BANK), named[0].amount.currency)


def covered_loss(loss: Loss, coverage: Coverage) -> Money:
    """What of a loss is shared at all: each component at its covered share, to the cent."""
    return (
        loss.principal * coverage.principal
        + loss.interest * coverage.interest
        + loss.penalty * coverage.penalty
        + loss.cost * coverage.cost
    )


def final_split(
    loss: Loss,
    sharing: Sharing,
    coverage: Coverage,
    *,
    covered: Money,
    payable_max: Money | None = None,
    excess: Sequence[ShareOf] = (),
) -> tuple[PartOf, ...]:
    """Who bears what of `loss` in the end; the parts sum to all of it, to the cent.

    What is not covered is the bank's. Of what the partners would bear, what is above `coverage.ceiling` of the
    guaranteed part falls back on the bank, and what is above `payable_max` (the room under a compensation cap) on
    `excess`, which is the bank unless a stop-loss names others.
    """
    shared = covered_loss(loss, coverage)
    parts = layered_parts(shared, sharing, covered)
    own = parts_of(loss.whole - shared, _TO_BANK)
    if coverage.ceiling is not None:
        parts, above = cut(parts, partners_part(covered, sharing, covered) * coverage.ceiling)
        own = (*own, *parts_of(above, _TO_BANK))
    if payable_max is not None:
        parts, above = cut(parts, payable_max)
        own = (*own, *parts_of(above, excess or _TO_BANK))
    return summed([*parts, *own], loss.principal.currency)


def bank_share(sharing: Sharing) -> Decimal:
    """The bank's own part of a total loss as a fraction of it (0 to 1)."""
    kept, low = Decimal(0), Decimal(0)
    for layer in sharing.layers:
        kept += (layer.up_to - low) * _weight_of_bank(layer.shares)
        low = layer.up_to
    return kept + (1 - low) * _weight_of_bank(sharing.shares)


def shares_by_amount(partner: str, guaranteed: Money, amount: Money) -> tuple[ShareOf, ShareOf]:
    """The shares when the partner names an amount: what it guaranteed against the rest, which is the bank's."""
    rest = amount - guaranteed
    return ShareOf(party=partner, weight=guaranteed.amount), ShareOf(party=BANK, weight=rest.amount)


def least(first: Money, second: Money) -> Money:
    """The smaller of two amounts."""
    return min(first, second)


def between(amount: Money, low: Money, high: Money) -> Money:
    """What of `amount` lies above `low` and up to `high`."""
    return least(amount, high) - least(amount, low)


def cut(parts: tuple[PartOf, ...], most: Money) -> tuple[tuple[PartOf, ...], Money]:
    """The parts with the partners' together no more than `most`, each cut in proportion; and what was cut off."""
    borne = without_bank(parts)
    kept = least(borne, most)
    if kept == borne:
        return parts, borne.zero
    amounts = split(kept, {part.party: part.amount.amount for part in parts if part.party != BANK})
    return tuple(PartOf(party=p.party, amount=amounts.get(p.party, p.amount)) for p in parts), borne - kept


def summed(parts: Iterable[PartOf], currency: str) -> tuple[PartOf, ...]:
    """One part per party, in the order in which the parties first appear."""
    sums: dict[str, Money] = {}
    for part in parts:
        sums[part.party] = sums.get(part.party, Money(Decimal(0), currency)) + part.amount
    return tuple(PartOf(party=party, amount=amount) for party, amount in sums.items())


def _weight_of_bank(shares: Sequence[ShareOf]) -> Decimal:
    weights = {share.party: share.weight for share in shares}
    return weights.get(BANK, Decimal(0)) / sum(weights.values(), Decimal(0))
