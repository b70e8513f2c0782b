"""The door to partners: which way leads to each, and what becomes of its answers, whatever way they came.

A partner without a connection of its own is reached by our standard at `PARTNER_URL`.
"""

from __future__ import annotations

from datetime import date
from typing import Any, TypeVar

from pydantic import BaseModel

from libs.kernel.money import Money
from libs.runtime.calls import Answer, Outbound
from libs.runtime.tx import Tx
from services.guarantee.commands import binding, changes, claims, routing
from services.guarantee.domain.cover import CoverAnswer
from services.guarantee.domain.routing import Quote
from services.guarantee.partners.lines import change_line, claim_line, cover_line, payment_line, quote_line
from services.guarantee.partners.port import ClaimWord, CoverWord, PaymentWord, QuoteWord
from services.guarantee.partners.standard import OK, StandardPort

M = TypeVar("M", bound=BaseModel)


async def cover_answered(tx: Tx, reference: str, request: dict[str, Any], answer: Answer) -> None:
    word = _word(answer, CoverWord)
    if word is None:
        taken = CoverAnswer(accepted=False, guaranteed=None, reason="request_rejected")
    else:
        guaranteed = None if word.guaranteed is None else Money(word.guaranteed, request["body"]["currency"])
        taken = CoverAnswer(accepted=word.accepted, guaranteed=guaranteed, reason=word.reason)
    await binding.take_cover_answer(tx, request["facility_id"], reference, taken)


async def quote_answered(tx: Tx, reference: str, request: dict[str, Any], answer: Answer) -> None:
    word = _word(answer, QuoteWord) or QuoteWord(offered=False, reason="request_rejected")
    guaranteed = None if word.guaranteed is None else Money(word.guaranteed, request["body"]["currency"])
    quote = Quote(offered=word.offered, premium_rate=word.premium_rate, guaranteed=guaranteed, reason=word.reason)
    await routing.take_quote(tx, request["facility_id"], reference, quote)


async def change_answered(tx: Tx, reference: str, request: dict[str, Any], answer: Answer) -> None:
    word = _word(answer, ClaimWord) or ClaimWord(accepted=False, reason="request_rejected")
    await changes.take_answer(tx, request["facility_id"], reference, consented=word.accepted, reason=word.reason)


async def claim_answered(tx: Tx, reference: str, request: dict[str, Any], answer: Answer) -> None:
    word, facility_id = _word(answer, ClaimWord), request["facility_id"]
    if word is not None and word.accepted:
        await claims.accept_claim(tx, facility_id, reference)
    else:
        reason = "claim_rejected" if word is None else word.reason or "denied"
        await claims.deny_claim(tx, facility_id, reference, reason)


async def payment_answered(tx: Tx, _: str, request: dict[str, Any], answer: Answer) -> None:
    word = _word(answer, PaymentWord)
    if word is not None and word.paid:
        await claims.take_payment(tx, request["facility_id"], request["claim_id"], word.receipt)
    else:
        asked_on = date.fromisoformat(request["on"])
        await claims.miss_payment(tx, request["facility_id"], request["claim_id"], asked_on)


def _word(answer: Answer, word: type[M]) -> M | None:
    """The partner's word; None when it turned the request itself away."""
    return word.model_validate(answer.body) if answer.status == OK else None


_STANDARD = StandardPort()
PARTNERS: dict[str, Outbound] = {
    "partner.cover": Outbound(
        target="partner",
        line=cover_line,
        send=_STANDARD.request_cover,
        inquire=_STANDARD.inquire_cover,
        answered=cover_answered,
    ),
    "partner.quote": Outbound(
        target="partner",
        line=quote_line,
        send=_STANDARD.request_quote,
        inquire=_STANDARD.inquire_quote,
        answered=quote_answered,
    ),
    "partner.change": Outbound(
        target="partner",
        line=change_line,
        send=_STANDARD.send_change,
        inquire=_STANDARD.inquire_change,
        answered=change_answered,
    ),
    "partner.claim": Outbound(
        target="partner",
        line=claim_line,
        send=_STANDARD.send_claim,
        inquire=_STANDARD.inquire_claim,
        answered=claim_answered,
    ),
    "partner.claim_payment": Outbound(
        target="partner",
        line=payment_line,
        send=_STANDARD.ask_payment,
        inquire=_STANDARD.ask_payment,
        answered=payment_answered,
    ),
}
