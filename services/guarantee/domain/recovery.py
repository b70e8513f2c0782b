"""The shared recovery book (共同追偿台账): each unit recovered, from costs to interest to principal, and whose it is.

A month's book is a sum of ledger entries and never changes once the month is over, so both sides confirm it by its
digest. What is not confirmed by both, or contested by one, stays open for all to see.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from libs.events.guarantee import BalanceConfirmed, BalanceContested
from libs.kernel.errors import NotAllowed, Refused
from libs.kernel.money import Money
from services.guarantee.domain.contribution import Contribution
from services.guarantee.domain.sharing import BANK, between


class Agreed(StrEnum):
    """Where a month's balance stands between the two sides."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    CONTESTED = "contested"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyBook:
    """What one party bore of all losses so far, what it had back before the month and in it, and what is left."""

    party: str
    borne: Money
    back_before: Money
    back: Money
    left: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementBook:
    """One agreement's month: `costs` came off the proceeds first, then `interest` of the loss, then `principal`.

    `interest` and `principal` together are what was shared among the parties.
    """

    agreement: str
    costs: Money
    interest: Money
    principal: Money
    parties: tuple[PartyBook, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What one side said of the balance with this digest, and why it contests it."""

    side: str
    agreed: Agreed
    digest: str
    by: str
    on: date
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A partner's month as the two sides have answered for it."""

    balance_id: str
    partner_id: str
    month: str
    words: tuple[Word, ...] = ()

    @property
    def agreed(self) -> Agreed:
        """Contested as long as one side says so, confirmed once both do."""
        said = {word.side: word.agreed for word in self.words}
        if Agreed.CONTESTED in said.values():
            return Agreed.CONTESTED
        return Agreed.CONFIRMED if set(said) == {BANK, self.partner_id} else Agreed.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryBook:
    """A partner's month with both sides' words on it.

    `contributions` is what the partner may ask of other guarantors for claims it paid in the month, where they agreed.
    """

    partner: str
    month: str
    digest: str
    agreed: Agreed
    words: tuple[Word, ...]
    agreements: tuple[AgreementBook, ...]
    contributions: tuple[Contribution, ...]


def balance_name(partner_id: str, month: str) -> str:
    """How a month's balance is named."""
    return f"{partner_id}/{month}"


def interest_first(interest: Money, before: Money, recovered: Money) -> tuple[Money, Money]:
    """The interest and the principal in what was recovered on a loss of so much `interest`, after `before`."""
    part = between(before + recovered, before, interest)
    return part, recovered - part


def digest_of(
    partner_id: str, month: str, agreements: tuple[AgreementBook, ...], contributions: tuple[Contribution, ...]
) -> str:
    """The SHA-256 of a month's figures."""
    figures = [
        [book.agreement, *map(str, (book.costs, book.interest, book.principal))]
        + [[p.party, *map(str, (p.borne, p.back_before, p.back, p.left))] for p in book.parties]
        for book in agreements
    ]
    asked = [[one.claim_id, one.guarantor, str(one.amount)] for one in contributions]
    whole = [partner_id, month, figures, *([asked] if asked else [])]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def answer(
    balance: Balance, book: RecoveryBook, word: Word, last: date
) -> tuple[Balance, BalanceConfirmed | BalanceContested | None]:
    """One side confirms the month or contests it; the event tells when both have confirmed, and each time one contests.

    Raises NotAllowed for who is no side of it, Refused while the month is not over, and for a digest that is not the
    book's.
    """
    if word.side not in (BANK, balance.partner_id):
        raise NotAllowed("not_a_party", f"{word.side} is no side of this book")
    if word.on <= last:
        raise Refused("month_not_over", f"{balance.month} ends on {last}")
    if word.digest != book.digest:
        raise Refused("other_balance", f"the book of {balance.month} has the digest {book.digest}")
    others = tuple(each for each in balance.words if each.side != word.side)
    answered = replace(balance, words=(*others, word))
    named = {"partner": balance.partner_id, "month": balance.month, "digest": book.digest}
    if word.agreed is Agreed.CONTESTED:
        return answered, BalanceContested(**named, side=word.side, reason=word.reason)
    return answered, BalanceConfirmed(**named) if answered.agreed is Agreed.CONFIRMED else None
