"""What we ask of a partner, whoever it is, and the words in which every adapter brings its answers back."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Protocol

import httpx
from pydantic import BaseModel, Field

from libs.runtime.calls import Answer

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


class Port(Protocol):
    """One way of speaking with a partner. Each answer is 200 with one of the words above, or a status that says no.

    A request that the partner has and does not answer yet raises Pending; one that it never heard of is None to an
    inquiry, and only then sent again. Whatever cannot be read raises, and stays unknown.
    """

    async def request_cover(self, http: httpx.AsyncClient, reference: str, request: dict[str, Any], /) -> Answer:
        """Ask for cover."""

    async def inquire_cover(self, http: httpx.AsyncClient, reference: str, request: dict[str, Any], /) -> Answer | None:
        """What became of a request."""

    async def request_quote(self, http: httpx.AsyncClient, reference: str, request: dict[str, Any], /) -> Answer:
        """Ask for a quote."""

    async def inquire_quote(self, http: httpx.AsyncClient, reference: str, request: dict[str, Any], /) -> Answer | None:
        """What became of a request for a quote."""

    async def send_change(self, http: httpx.AsyncClient, reference: str, request: dict[str, Any], /) -> Answer:
        """Ask for consent to a change of a covered loan."""

    async def inquire_change(
        self, http: httpx.AsyncClient, reference: str, request: dict[str, Any], /
    ) -> Answer | None:
        """What became of a change."""

    async def send_claim(self, http: httpx.AsyncClient, reference: str, request: dict[str, Any], /) -> Answer:
        """Claim a loss."""

    async def inquire_claim(self, http: httpx.AsyncClient, reference: str, request: dict[str, Any], /) -> Answer | None:
        """What became of a claim."""

    async def ask_payment(self, http: httpx.AsyncClient, reference: str, request: dict[str, Any], /) -> Answer:
        """Whether a claim was paid by a day; asking it twice does no harm."""
