"""How a loss is borne: shares name every party, the bank included, and the parts always sum to the whole."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from libs.events.guarantee import PartOf, ShareOf
from libs.kernel.money import Money, split, total

BANK = "bank"


def parts_of(whole: Money, shares: Sequence[ShareOf]) -> tuple[PartOf, ...]:
    """Each party's part of `whole` by the largest remainder; ties go to the party named earlier."""
    amounts = split(whole, {share.party: share.weight for share in shares})
    return tuple(PartOf(party=party, amount=amount) for party, amount in amounts.items())


def partners_part(whole: Money, shares: Sequence[ShareOf]) -> Money:
    """What all parties other than the bank bear of `whole`."""
    borne = (part.amount for part in parts_of(whole, shares) if part.party != BANK)
    return total(borne, whole.currency)


def bank_share(shares: Sequence[ShareOf]) -> Decimal:
    """The bank's own part of a loss as a fraction of it (0 to 1)."""
    weights = {share.party: share.weight for share in shares}
    return weights.get(BANK, Decimal(0)) / sum(weights.values(), Decimal(0))


def shares_by_amount(partner: str, guaranteed: Money, amount: Money) -> tuple[ShareOf, ShareOf]:
    """The shares when the partner names an amount: what it guaranteed against the rest, which is the bank's."""
    rest = amount - guaranteed
    return ShareOf(party=partner, weight=guaranteed.amount), ShareOf(party=BANK, weight=rest.amount)
