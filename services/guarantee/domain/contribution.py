"""What a guarantor that paid may ask of the others (interpretation of the Civil Code's security part, article 13).

Only where they agreed on it. Its own part stays with it, and nobody is asked for more than it signed for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from libs.kernel.errors import Invalid
from libs.kernel.money import Money, split
from services.guarantee.domain.sharing import least

EQUALLY, BY_AMOUNT = "equally", "by_amount"
WORDS = ("", EQUALLY, BY_AMOUNT)
"""How guarantors agreed to bear what one of them paid; empty: they did not, and none has a claim on another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What the partner may ask of another guarantor for a claim it paid."""

    facility_id: str
    claim_id: str
    guarantor: str
    amount: Money


def check_word(agreed: str) -> None:
    """Raise Invalid for a way of contribution that nobody can work out."""
    if agreed not in WORDS:
        raise Invalid("contribution_unknown", f"guarantors contribute {EQUALLY} or {BY_AMOUNT}, or not at all")


def contributions(agreed: str, paid: Money, guaranteed: Money, others: Mapping[str, Money]) -> dict[str, Money]:
    """What each of the `others` (by what they signed for) owes to the partner that `paid` and had `guaranteed`."""
    if agreed not in (EQUALLY, BY_AMOUNT) or not others:
        return {}
    one = Decimal(1)
    weights = {name: one if agreed == EQUALLY else signed.amount for name, signed in others.items()}
    own = one if agreed == EQUALLY else guaranteed.amount
    parts = split(paid, {"": own, **weights})
    return {name: least(parts[name], signed) for name, signed in others.items()}
