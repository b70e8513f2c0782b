"""The partner's HTTP door: cover, claim and payment, each asked by our reference before it is ever sent twice.

An answer that cannot be read is no answer: it counts as unknown and is asked again.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from libs.kernel.money import Money
from libs.runtime.calls import Answer, Outbound
from libs.runtime.tx import Tx
from services.guarantee.commands import changes, claims, covers, routing
from services.guarantee.domain.cover import CoverAnswer
from services.guarantee.domain.routing import Quote

OK, NOT_FOUND = 200, 404
M = TypeVar("M", bound=BaseModel)
Reason = Annotated[str, Field(max_length=200)]


class CoverWord(BaseModel):
    """The partner's answer to a cover request."""

    accepted: bool
    guaranteed: Annotated[Decimal, Field(ge=0, lt=Decimal("1e12"), decimal_places=2, allow_inf_nan=False)] | None = None
    reason: Reason = ""


class QuoteWord(BaseModel):
    """The partner's answer to a request for a quote; what it leaves out is as in its agreement."""

    offered: bool
    premium_rate: Annotated[Decimal, Field(ge=0, le=1, decimal_places=6, allow_inf_nan=False)] | None = None
    guaranteed: Annotated[Decimal, Field(ge=0, lt=Decimal("1e12"), decimal_places=2, allow_inf_nan=False)] | None = None
    reason: Reason = ""


class ClaimWord(BaseModel):
    """The partner's answer to a claim or to a change of a loan."""

    accepted: bool
    reason: Reason = ""


class PaymentWord(BaseModel):
    """Whether the partner has paid a claim, and its receipt."""

    paid: bool
    receipt: Annotated[str, Field(max_length=200)] = ""


async def request_cover(http: httpx.AsyncClient, _: str, request: dict[str, Any]) -> Answer:
    return _read(await http.post("/covers", json=request["body"]), CoverWord)


async def inquire_cover(http: httpx.AsyncClient, reference: str, _: dict[str, Any]) -> Answer | None:
    return _known(await http.get(f"/covers/{reference}"), CoverWord)


async def cover_answered(tx: Tx, _: str, request: dict[str, Any], answer: Answer) -> None:
    word = _word(answer, CoverWord)
    if word is None:
        taken = CoverAnswer(accepted=False, guaranteed=None, reason="request_rejected")
    else:
        guaranteed = None if word.guaranteed is None else Money(word.guaranteed, request["body"]["currency"])
        taken = CoverAnswer(accepted=word.accepted, guaranteed=guaranteed, reason=word.reason)
    await covers.take_cover_answer(tx, request["facility_id"], taken)


async def request_quote(http: httpx.AsyncClient, _: str, request: dict[str, Any]) -> Answer:
    return _read(await http.post("/quotes", json=request["body"]), QuoteWord)


async def inquire_quote(http: httpx.AsyncClient, reference: str, _: dict[str, Any]) -> Answer | None:
    return _known(await http.get(f"/quotes/{reference}"), QuoteWord)


async def quote_answered(tx: Tx, reference: str, request: dict[str, Any], answer: Answer) -> None:
    word = _word(answer, QuoteWord) or QuoteWord(offered=False, reason="request_rejected")
    guaranteed = None if word.guaranteed is None else Money(word.guaranteed, request["body"]["currency"])
    quote = Quote(offered=word.offered, premium_rate=word.premium_rate, guaranteed=guaranteed, reason=word.reason)
    await routing.take_quote(tx, request["facility_id"], reference, quote)


async def send_claim(http: httpx.AsyncClient, _: str, request: dict[str, Any]) -> Answer:
    return _read(await http.post("/claims", json=request["body"]), ClaimWord)


async def inquire_claim(http: httpx.AsyncClient, reference: str, _: dict[str, Any]) -> Answer | None:
    return _known(await http.get(f"/claims/{reference}"), ClaimWord)


async def claim_answered(tx: Tx, reference: str, request: dict[str, Any], answer: Answer) -> None:
    word, facility_id = _word(answer, ClaimWord), request["facility_id"]
    if word is not None and word.accepted:
        await claims.accept_claim(tx, facility_id, reference)
    else:
        reason = "claim_rejected" if word is None else word.reason or "denied"
        await claims.deny_claim(tx, facility_id, reference, reason)


async def send_change(http: httpx.AsyncClient, _: str, request: dict[str, Any]) -> Answer:
    return _read(await http.post("/changes", json=request["body"]), ClaimWord)


async def inquire_change(http: httpx.AsyncClient, reference: str, _: dict[str, Any]) -> Answer | None:
    return _known(await http.get(f"/changes/{reference}"), ClaimWord)


async def change_answered(tx: Tx, reference: str, request: dict[str, Any], answer: Answer) -> None:
    word = _word(answer, ClaimWord) or ClaimWord(accepted=False, reason="request_rejected")
    await changes.take_answer(tx, request["facility_id"], reference, consented=word.accepted, reason=word.reason)


async def ask_payment(http: httpx.AsyncClient, _: str, request: dict[str, Any]) -> Answer:
    path = f"/claims/{request['claim_id']}/payment"
    return _read(await http.get(path, params={"on": request["on"]}), PaymentWord)


async def payment_answered(tx: Tx, _: str, request: dict[str, Any], answer: Answer) -> None:
    word = _word(answer, PaymentWord)
    if word is not None and word.paid:
        await claims.take_payment(tx, request["facility_id"], request["claim_id"], word.receipt)
    else:
        asked_on = date.fromisoformat(request["on"])
        await claims.miss_payment(tx, request["facility_id"], request["claim_id"], asked_on)


PARTNERS: dict[str, Outbound] = {
    "partner.cover": Outbound(target="partner", send=request_cover, inquire=inquire_cover, answered=cover_answered),
    "partner.quote": Outbound(target="partner", send=request_quote, inquire=inquire_quote, answered=quote_answered),
    "partner.claim": Outbound(target="partner", send=send_claim, inquire=inquire_claim, answered=claim_answered),
    "partner.change": Outbound(target="partner", send=send_change, inquire=inquire_change, answered=change_answered),
    "partner.claim_payment": Outbound(
        target="partner", send=ask_payment, inquire=ask_payment, answered=payment_answered
    ),
}


def _read(response: httpx.Response, word: type[M]) -> Answer:
    """A 200 must carry the word asked for; any other status speaks for itself."""
    if response.status_code != OK:
        return Answer(response.status_code, {})
    try:
        return Answer(OK, word.model_validate_json(response.content).model_dump(mode="json"))
    except ValidationError as error:
        raise httpx.DecodingError(f"unreadable answer: {error.errors()[0]['msg']}") from error


def _known(response: httpx.Response, word: type[M]) -> Answer | None:
    """What the partner has under our reference; None when it has never heard of it."""
    return None if response.status_code == NOT_FOUND else _read(response, word)


def _word(answer: Answer, word: type[M]) -> M | None:
    """The partner's word; None when it turned the request itself away."""
    return word.model_validate(answer.body) if answer.status == OK else None
