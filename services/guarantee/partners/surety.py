"""A partner with an interface of its own: its field names, its status words, minor units, codes in the body.

It answers 200 to everything and says in `retCode` what it means. An application is taken in ("01") and decided later:
we ask by our serial number until it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import httpx
from pydantic import BaseModel, Field, ValidationError

from libs.runtime.calls import Answer, Pending
from services.guarantee.partners.standard import OK

MINOR = 100
"""Minor units of the currencies we lend in: yuan and dollar have two decimals."""
DONE, UNHEARD_OF, DOUBLE = "0000", "1404", "1409"
REFUSALS = "2"
"""The first digit of what it will not do, whoever asks again; every other code is trouble of the moment."""
PAID, UNPAID = "04", "05"
REASONS = {"R01": "capacity", "R02": "industry_excluded", "R03": "declined_by_underwriting", "R04": "documents_missing"}

PERCENT = 100
"""Its fee rate is written in percent a year, as text."""


class Reply(BaseModel):
    """What the gateway says to anything."""

    retCode: Annotated[str, Field(pattern=r"^\d{4}$")]  # noqa: N815 - the partner's own words
    status: str = ""
    feeRate: Annotated[str, Field(pattern=r"^\d{1,2}(\.\d{1,4})?$")] | None = None  # noqa: N815 - the same
    guarAmt: Annotated[int, Field(ge=0, lt=10**14, strict=True)] | None = None  # noqa: N815 - the same
    rejectCode: str = ""  # noqa: N815 - the same
    paySerialNo: Annotated[str, Field(max_length=200)] = ""  # noqa: N815 - the same


class SuretyPort:
    """Our requests in its words."""

    async def request_cover(self, http: httpx.AsyncClient, reference: str, request: dict[str, Any]) -> Answer:
        """Apply for a guarantee; a serial number that it has already is asked about instead."""
        return await self._apply(http, "/gateway/apply", _application(reference, request["body"]))

    async def inquire_cover(self, http: httpx.AsyncClient, reference: str, _: dict[str, Any]) -> Answer | None:
        """Where an application stands."""
        return await self._query(http, "/gateway/apply", reference)

    async def request_quote(self, http: httpx.AsyncClient, reference: str, request: dict[str, Any]) -> Answer:
        """Ask for its fee rate and how much of it it would stand for."""
        return await self._apply(http, "/gateway/quote", _application(reference, request["body"]), _quoted)

    async def inquire_quote(self, http: httpx.AsyncClient, reference: str, _: dict[str, Any]) -> Answer | None:
        """Where a request for a quote stands."""
        return await self._query(http, "/gateway/quote", reference, _quoted)

    async def send_change(self, http: httpx.AsyncClient, reference: str, request: dict[str, Any]) -> Answer:
        """Ask for consent; it reads our own words for what changes."""
        return await self._apply(http, "/gateway/change", {"serialNo": reference, "content": request["body"]})

    async def inquire_change(self, http: httpx.AsyncClient, reference: str, _: dict[str, Any]) -> Answer | None:
        """Where a change stands."""
        return await self._query(http, "/gateway/change", reference)

    async def send_claim(self, http: httpx.AsyncClient, reference: str, request: dict[str, Any]) -> Answer:
        """Claim compensation."""
        asked = request["body"]
        body = {
            "serialNo": reference,
            "guarSerialNo": asked["cover_reference"],
            "lossAmt": _minor(asked["loss"]),
            "claimAmt": _minor(asked["claimed"]),
            "ccy": asked["currency"],
            "claimDate": _day(asked["business_date"]),
            **_person(asked),
        }
        return await self._apply(http, "/gateway/claim", body)

    async def inquire_claim(self, http: httpx.AsyncClient, reference: str, _: dict[str, Any]) -> Answer | None:
        """Where a claim stands."""
        return await self._query(http, "/gateway/claim", reference)

    async def ask_payment(self, http: httpx.AsyncClient, _: str, request: dict[str, Any]) -> Answer:
        """Whether it has paid."""
        query = {"serialNo": request["claim_id"], "queryDate": _day(request["on"])}
        reply = _read(await http.get("/gateway/payment", params=query))
        if reply.retCode != DONE or reply.status not in (PAID, UNPAID):
            raise httpx.DecodingError(f"no word about the payment: {reply.retCode} {reply.status}")
        return Answer(OK, {"paid": reply.status == PAID, "receipt": reply.paySerialNo})

    async def _apply(
        self, http: httpx.AsyncClient, path: str, body: dict[str, Any], said: Callable[[Reply], Answer] | None = None
    ) -> Answer:
        reply = _read(await http.post(path, json=body))
        if reply.retCode == DOUBLE:
            raise Pending
        return (said or _decided)(reply)

    async def _query(
        self, http: httpx.AsyncClient, path: str, serial: str, said: Callable[[Reply], Answer] | None = None
    ) -> Answer | None:
        reply = _read(await http.get(path, params={"serialNo": serial}))
        return None if reply.retCode == UNHEARD_OF else (said or _decided)(reply)


def _application(serial: str, asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "serialNo": serial,
        "protocolNo": asked["agreement"],
        "projNo": asked["facility_ref"],
        "applyAmt": _minor(asked["amount"]),
        "ccy": asked["currency"],
        "applyDate": _day(asked["business_date"]),
        **_person(asked),
    }


def _person(asked: dict[str, Any]) -> dict[str, str]:
    """The borrower, where it may be told who that is."""
    borrower = asked.get("borrower")
    return {"custName": borrower.get("name", ""), "certNo": borrower.get("id_number", "")} if borrower else {}


def _read(response: httpx.Response) -> Reply:
    """Its reply; anything but a readable 200 is none: a wrong credential of ours is no refusal of theirs."""
    if response.status_code != OK:
        raise httpx.DecodingError(f"status {response.status_code}")
    try:
        return Reply.model_validate_json(response.content)
    except ValidationError as error:
        raise httpx.DecodingError(f"unreadable reply: {error.errors()[0]['msg']}") from error


def _decided(reply: Reply) -> Answer:
    """Its decision in our words; raises Pending while there is none."""
    reason = _refusal(reply)
    if reason:
        return Answer(OK, {"accepted": False, "reason": reason})
    return Answer(OK, {"accepted": True, "guaranteed": _amount(reply), "reason": ""})


def _quoted(reply: Reply) -> Answer:
    """Its quote in our words; what it leaves out is as in its agreement."""
    reason = _refusal(reply)
    if reason:
        return Answer(OK, {"offered": False, "reason": reason})
    rate = None if reply.feeRate is None else str(Decimal(reply.feeRate) / PERCENT)
    return Answer(OK, {"offered": True, "premium_rate": rate, "guaranteed": _amount(reply), "reason": ""})


def _refusal(reply: Reply) -> str:
    """Why it will not, in our words; empty when it will. Raises Pending while it has not decided."""
    if reply.retCode.startswith(REFUSALS):
        return "request_rejected"
    if reply.retCode != DONE:
        raise httpx.DecodingError(f"trouble of the moment: {reply.retCode}")
    match reply.status:
        case "01":  # taken in
            raise Pending
        case "02":  # agreed
            return ""
        case "03":  # declined
            return REASONS.get(reply.rejectCode, "declined")
    raise httpx.DecodingError(f"unknown status {reply.status}")


def _amount(reply: Reply) -> str | None:
    return None if reply.guarAmt is None else str(Decimal(reply.guarAmt) / MINOR)


def _minor(amount: str) -> int:
    """An amount in minor units; exact, because amounts have two decimals at most."""
    return int(Decimal(amount) * MINOR)


def _day(text: str) -> str:
    return f"{date.fromisoformat(text):%Y%m%d}"
