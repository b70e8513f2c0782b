"""The way to a partner at the moment of a call: its connection in force, its adapter, and whom it may be told about."""

from __future__ import annotations

from collections.abc import Callable
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
    found = await _find(parts, request)
    if found is None:
        return None
    connection, consent = found
    port = _port(connection)
    send = _with_identity(parts, connection, consent, port.request_cover) if connection.purpose else port.request_cover
    return _line(parts, connection, send=send, inquire=port.inquire_cover)


async def quote_line(parts: Parts, request: dict[str, Any]) -> Line | None:
    """The way to ask for a quote."""
    return await _plain(parts, request, lambda port: (port.request_quote, port.inquire_quote))


async def claim_line(parts: Parts, request: dict[str, Any]) -> Line | None:
    """The way for a claim."""
    return await _plain(parts, request, lambda port: (port.send_claim, port.inquire_claim))


async def change_line(parts: Parts, request: dict[str, Any]) -> Line | None:
    """The way to ask for consent to a change."""
    return await _plain(parts, request, lambda port: (port.send_change, port.inquire_change))


async def payment_line(parts: Parts, request: dict[str, Any]) -> Line | None:
    """The way to ask whether a claim was paid."""
    return await _plain(parts, request, lambda port: (port.ask_payment, port.ask_payment))


async def _plain(parts: Parts, request: dict[str, Any], pair: Callable[[Port], tuple[Send, Inquire]]) -> Line | None:
    """The way for a request that says nothing of the borrower."""
    found = await _find(parts, request)
    if found is None:
        return None
    send, inquire = pair(_port(found[0]))
    return _line(parts, found[0], send=send, inquire=inquire)


async def _find(parts: Parts, request: dict[str, Any]) -> tuple[Connection, Consent | None] | None:
    """The partner's connection today and the consent it would be told under, read in a transaction of its own."""
    partner = request.get("partner", "")
    async with parts.transaction() as unit:
        opened = await unit.sql("SELECT open FROM clock WHERE id = 1")
        tx = Tx(unit, Cause(actor=f"{parts.name}:calls"), opened[0]["open"])
        connection = connection_on(await tx.of(CONNECTIONS, partner), tx.date)
        if connection is None:
            return None
        consents = await tx.of(CONSENTS, request["facility_id"]) if connection.purpose else ()
        consent = consent_for(consents, purpose=connection.purpose, partner=partner, on=tx.date)
    return connection, consent


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


def _with_identity(parts: Parts, connection: Connection, consent: Consent | None, send: Send) -> Send:
    """Send with the borrower's identity, asked for at that moment and kept nowhere; without a consent it is a no."""

    async def with_identity(http: httpx.AsyncClient, reference: str, request: dict[str, Any]) -> Answer:
        if consent is None:
            return WITHHELD
        try:
            borrower = await disclosed(parts, consent, purpose=connection.purpose, partner=connection.partner_id)
        except Withheld:
            return WITHHELD
        return await send(http, reference, {**request, "body": {**request["body"], "borrower": borrower}})

    return with_identity
