"""Our own standard: a partner that offers these routes needs no adapter.

An answer that cannot be read is no answer: it counts as unknown and is asked again. 202 is no answer yet.
"""

from __future__ import annotations

from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from libs.runtime.calls import Answer, Pending
from services.guarantee.partners.port import ClaimWord, CoverWord, PaymentWord, QuoteWord

OK, ACCEPTED, NOT_FOUND = 200, 202, 404
M = TypeVar("M", bound=BaseModel)


class StandardPort:
    """The requests of our standard."""

    async def request_cover(self, http: httpx.AsyncClient, _: str, request: dict[str, Any]) -> Answer:
        """Ask for cover."""
        return _read(await http.post("/covers", json=request["body"]), CoverWord)

    async def inquire_cover(self, http: httpx.AsyncClient, reference: str, _: dict[str, Any]) -> Answer | None:
        """What became of a request."""
        return _known(await http.get(f"/covers/{reference}"), CoverWord)

    async def request_quote(self, http: httpx.AsyncClient, _: str, request: dict[str, Any]) -> Answer:
        """Ask for a quote."""
        return _read(await http.post("/quotes", json=request["body"]), QuoteWord)

    async def inquire_quote(self, http: httpx.AsyncClient, reference: str, _: dict[str, Any]) -> Answer | None:
        """What became of a request for a quote."""
        return _known(await http.get(f"/quotes/{reference}"), QuoteWord)

    async def send_change(self, http: httpx.AsyncClient, _: str, request: dict[str, Any]) -> Answer:
        """Ask for consent to a change of a covered loan."""
        return _read(await http.post("/changes", json=request["body"]), ClaimWord)

    async def inquire_change(self, http: httpx.AsyncClient, reference: str, _: dict[str, Any]) -> Answer | None:
        """What became of a change."""
        return _known(await http.get(f"/changes/{reference}"), ClaimWord)

    async def send_claim(self, http: httpx.AsyncClient, _: str, request: dict[str, Any]) -> Answer:
        """Claim a loss."""
        return _read(await http.post("/claims", json=request["body"]), ClaimWord)

    async def inquire_claim(self, http: httpx.AsyncClient, reference: str, _: dict[str, Any]) -> Answer | None:
        """What became of a claim."""
        return _known(await http.get(f"/claims/{reference}"), ClaimWord)

    async def ask_payment(self, http: httpx.AsyncClient, _: str, request: dict[str, Any]) -> Answer:
        """Whether a claim was paid by a day; asking it twice does no harm."""
        path = f"/claims/{request['claim_id']}/payment"
        return _read(await http.get(path, params={"on": request["on"]}), PaymentWord)


def _read(response: httpx.Response, word: type[M]) -> Answer:
    """A 200 must carry the word asked for; any other status but 202 speaks for itself."""
    if response.status_code == ACCEPTED:
        raise Pending
    if response.status_code != OK:
        return Answer(response.status_code, {})
    try:
        return Answer(OK, word.model_validate_json(response.content).model_dump(mode="json"))
    except ValidationError as error:
        raise httpx.DecodingError(f"unreadable answer: {error.errors()[0]['msg']}") from error


def _known(response: httpx.Response, word: type[M]) -> Answer | None:
    """What the partner has under our reference; None when it has never heard of it."""
    return None if response.status_code == NOT_FOUND else _read(response, word)
