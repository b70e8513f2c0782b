"""A partner and the standing agreement under which it covers: terms that contradict themselves are never admitted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from libs.events.guarantee import ShareOf
from libs.kernel.errors import Invalid
from libs.kernel.money import Money
from services.guarantee.domain.sharing import BANK, bank_share, partners_part


class ShareSource(StrEnum):
    """Where the shares of a cover come from: the agreement's own table, or the amount the partner's answer names."""

    AGREEMENT = "agreement"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A third party that was admitted to stand for loans: guarantee company, insurer, public fund."""

    partner_id: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The terms of one agreement, unchanged once admitted; new terms are a new agreement.

    Fractions (`share_max`, `bank_share_min`, `premium_rate` a year) are 0 to 1. `share_max` bounds what the partners
    together guarantee of a loan amount. `claim_wait_days` are calendar days from the first day past due; on the last
    of them the claim is filed. `pay_working_days` run from the day the claim was accepted.
    """

    code: str
    partner_id: str
    kind: str
    share_source: ShareSource
    shares: tuple[ShareOf, ...]
    share_max: Decimal
    currency: str
    grades: tuple[str, ...]
    bank_share_min: Decimal
    premium_rate: Decimal
    premium_payer: str
    claim_wait_days: int
    pay_working_days: int
    effective: date
    source: str

    def __post_init__(self) -> None:
        match self.share_source:
            case ShareSource.AGREEMENT:
                _check_shares(self)
            case ShareSource.ANSWER:
                if self.shares:
                    raise Invalid("shares_named_twice", f"{self.code}: the partner's answer names the shares")


def hold_for(agreement: Agreement, amount: Money) -> Money:
    """The most that the partners can come to guarantee of `amount`: what capacity must have room for."""
    match agreement.share_source:
        case ShareSource.AGREEMENT:
            return partners_part(amount, agreement.shares)
        case ShareSource.ANSWER:
            return amount * agreement.share_max


def _check_shares(agreement: Agreement) -> None:
    parties = [share.party for share in agreement.shares]
    if len(set(parties)) != len(parties):
        raise Invalid("party_named_twice", agreement.code)
    if BANK not in parties or len(parties) < 2:  # noqa: PLR2004 - the bank and at least one partner
        raise Invalid("parties_incomplete", f"{agreement.code} needs the bank and at least one partner")
    if any(share.weight <= 0 for share in agreement.shares):
        raise Invalid("weights_not_positive", agreement.code)
    kept = bank_share(agreement.shares)
    if kept < agreement.bank_share_min:
        raise Invalid("bank_share_below_minimum", f"{agreement.code}: the bank keeps {kept} of a loss")
    if 1 - kept > agreement.share_max:
        raise Invalid("shares_above_maximum", f"{agreement.code}: partners bear more than {agreement.share_max}")
