"""The way to a partner at the moment of a call: its connection in force, its adapter, and whom it may be told about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_never

import httpx

from libs.runtime.calls import Answer, Inquire, Line, Send
from libs.runtime.tx import Cause, Tx
from libs.runtime.wiring import Parts
from services.guarantee.commands.connections import credential_of
from services.guarantee.domain.connection import Adapter, Connection, Consent, connection_on, consent_for
from services.guarantee.partners.identity import Withheld, disclosed
from services.guarantee.partners.port import Port
from services.guarantee.partners.standard import OK, StandardPort
from services.guarantee.partners.surety import SuretyPort
from services.guarantee.store import CONNECTIONS, CONSENTS

WITHHELD = Answer(OK, {"accepted": False, "reason": "identity_withheld"})


async def cover_line(parts: Parts, request: dict[str, Any]) -> Line | None:
    """The way for a request for cover, with the borrower's identity where the partner must have it."""
    way = await _find(parts, request, lambda connection: connection.purpose)
    if way is None:
        return None
    port = _port(way.connection)
    send = _with_identity(parts, way, port.request_cover, _withheld) if way.purpose else port.request_cover
    return _line(parts, way.connection, send=send, inquire=port.inquire_cover)


async def quote_line(parts: Parts, request: dict[str, Any]) -> Line | None:
    """The way to ask for a quote."""
    return await _plain(parts, request, lambda port: (port.request_quote, port.inquire_quote))


async def claim_line(parts: Parts, request: dict[str, Any]) -> Line | None:
    """The way for a claim, with the borrower's identity where the partner needs it and may have it."""
    way = await _find(parts, request, lambda connection: connection.claim_purpose)
    if way is None:
        return None
    port = _port(way.connection)
    send = _with_identity(parts, way, port.send_claim, port.send_claim) if way.purpose else port.send_claim
    return _line(parts, way.connection, send=send, inquire=port.inquire_claim)


async def change_line(parts: Parts, request: dict[str, Any]) -> Line | None:
    """The way to ask for consent to a change."""
    return await _plain(parts, request, lambda port: (port.send_change, port.inquire_change))


async def payment_line(parts: Parts, request: dict[str, Any]) -> Line | None:
    """The way to ask whether a claim was paid."""
    return await _plain(parts, request, lambda port: (port.ask_payment, port.ask_payment))


async def _plain(parts: Parts, request: dict[str, Any], pair: Callable[[Port], tuple[Send, Inquire]]) -> Line | None:
    """The way for a request that says nothing of the borrower."""
    found = await _find(parts, request, lambda _: "")
    if found is None:
        return None
    send, inquire = pair(_port(found.connection))
    return _line(parts, found.connection, send=send, inquire=inquire)


@dataclass(frozen=True, slots=True)
class _Way:
    """A connection, what the borrower's identity would be told for on it, and the consent it would be told under."""

    connection: Connection
    purpose: str
    consent: Consent | None


async def _find(parts: Parts, request: dict[str, Any], purpose_on: Callable[[Connection], str]) -> _Way | None:
    """The partner's connection today and the consent for its purpose, read in a transaction of its own."""
    partner = request.get("partner", "")
    async with parts.transaction() as unit:
        opened = await unit.sql("SELECT open FROM clock WHERE id = 1")
        tx = Tx(unit, Cause(actor=f"{parts.name}:calls"), opened[0]["open"])
        connection = connection_on(await tx.of(CONNECTIONS, partner), tx.date)
        if connection is None:
            return None
        purpose = purpose_on(connection)
        consents = await tx.of(CONSENTS, request["facility_id"]) if purpose else ()
        consent = consent_for(consents, purpose=purpose, partner=partner, on=tx.date)
    return _Way(connection, purpose, consent)


def _port(connection: Connection) -> Port:
    match connection.adapter:
        case Adapter.STANDARD:
            return StandardPort()
        case Adapter.SURETY:
            return SuretyPort()
        case _:
            assert_never(connection.adapter)


def _line(parts: Parts, connection: Connection, *, send: Send, inquire: Inquire) -> Line:
    assert parts.keyring is not None, parts.name  # noqa: S101 - the service names it in what it needs
    return Line(
        ref=connection.ref,
        party=connection.partner_id,
        base_url=connection.base_url,
        headers={connection.header: credential_of(parts.keyring, connection)},
        send=send,
        inquire=inquire,
    )


def _with_identity(parts: Parts, way: _Way, send: Send, without: Send) -> Send:
    """Send with the borrower's identity, asked for just then and kept nowhere; `without` where none may be told."""

    async def with_identity(http: httpx.AsyncClient, reference: str, request: dict[str, Any]) -> Answer:
        if way.consent is None:
            return await without(http, reference, request)
        try:
            borrower = await disclosed(parts, way.consent, purpose=way.purpose, partner=way.connection.partner_id)
        except Withheld:
            return await without(http, reference, request)
        return await send(http, reference, {**request, "body": {**request["body"], "borrower": borrower}})

    return with_identity


async def _withheld(_http: httpx.AsyncClient, _reference: str, _request: dict[str, Any]) -> Answer:
    """Nothing is sent: a partner that must know the borrower cannot decide without."""
    return WITHHELD
