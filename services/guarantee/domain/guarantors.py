"""How much personal and company guarantors must stand for, and what of it a repayment frees (F5).

The borrower's own side are owner and spouse; other companies are the others. Counter-guarantees stand towards the
partner and count for nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from libs.kernel.errors import Refused
from libs.kernel.money import Money, total
from services.guarantee.domain.terms import Guarantors
from services.guarantee.domain.undertaking import Undertaking, UndertakingKind, UndertakingState

OWN = (UndertakingKind.OWNER, UndertakingKind.SPOUSE)
OTHERS = (UndertakingKind.COMPANY,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backing:
    """What one guarantor signed for, what repayments have freed of it, and what is left."""

    undertaking_id: str
    kind: UndertakingKind
    guarantor: str
    signed: Money
    freed: Money
    left: Money


def check_backed(terms: Guarantors | None, undertakings: tuple[Undertaking, ...], loan: Money) -> None:
    """Refused unless guarantors stand for as much of the loan as agreed: the own side, others, and all together."""
    if terms is None:
        return
    own, others = (_signed(undertakings, kinds, loan) for kinds in (OWN, OTHERS))
    least = loan * terms.own_min
    if own < least:
        raise Refused("own_guarantees_short", f"owner and spouse stand for {own}", needed=str(least))
    least = loan * terms.others_min
    if others < least:
        raise Refused("others_guarantees_short", f"others stand for {others}", needed=str(least))
    least = loan * terms.total_min
    if own + others < least:
        raise Refused("guarantees_short", f"guarantors stand for {own + others}", needed=str(least))


def freed(terms: Guarantors, signed: Mapping[str, Decimal], own: frozenset[str], repaid: Decimal) -> dict[str, Decimal]:
    """What of the amounts `signed` is freed once so much principal is `repaid`, exact: others pro rata, then `own`.

    Counted from the first repayment on, so it does not hang on how many there were.
    """
    rest, result = repaid * terms.total_min, {}
    for group in ([name for name in signed if name not in own], [name for name in signed if name in own]):
        whole = sum((signed[name] for name in group), Decimal(0))
        part = min(rest, whole)
        for name in group:
            result[name] = part * signed[name] / whole
        rest -= part
    return result


def backings(terms: Guarantors | None, undertakings: tuple[Undertaking, ...], repaid: Money) -> tuple[Backing, ...]:
    """What each guarantor of the bank still stands for, to the cent; none where no amounts were agreed."""
    if terms is None:
        return ()
    ours = [one for one in undertakings if one.kind in (*OWN, *OTHERS)]
    signed = {one.undertaking_id: one.amount.amount for one in ours if one.state is not UndertakingState.RELEASED}
    own = frozenset(one.undertaking_id for one in ours if one.kind in OWN)
    free = freed(terms, signed, own, repaid.amount)
    found = []
    for one in ours:
        gone = Money(free.get(one.undertaking_id, one.amount.amount), one.currency)
        found.append(
            Backing(
                undertaking_id=one.undertaking_id,
                kind=one.kind,
                guarantor=one.guarantor,
                signed=one.amount,
                freed=gone,
                left=one.amount - gone,
            )
        )
    return tuple(found)


def _signed(undertakings: tuple[Undertaking, ...], kinds: tuple[UndertakingKind, ...], loan: Money) -> Money:
    standing = (one for one in undertakings if one.kind in kinds and one.state is not UndertakingState.RELEASED)
    return total((one.amount for one in standing), loan.currency)
