"""Admit the ways to a partner, its credential sealed; keep which consents name partners."""

from __future__ import annotations

from dataclasses import replace

from libs.events.application import ConsentGranted, ConsentRevoked
from libs.kernel.errors import Invalid
from libs.runtime.keyring import DataKey, Keyring
from libs.runtime.outward import why_unfit
from libs.runtime.tx import Tx
from services.guarantee.domain import connection as rules
from services.guarantee.domain.connection import Connection, Consent
from services.guarantee.store import CONNECTIONS, CONSENTS, PARTNERS


async def admit_connection(
    tx: Tx, keyring: Keyring, connection: Connection, credential: str, *, private: bool
) -> Connection:
    """A new version of the way to an admitted partner, effective from its day."""
    await tx.get(PARTNERS, connection.partner_id)
    if unfit := why_unfit(connection.base_url, private=private):
        raise Invalid("target_unfit", f"{connection.base_url}: {unfit}")
    rules.follow(await tx.of(CONNECTIONS, connection.partner_id), connection)
    sealed, key = keyring.seal(connection.ref, credential.encode())
    admitted = replace(connection, sealed=sealed, wrapped=key.wrapped, master=key.master)
    tx.put(CONNECTIONS, admitted)
    return admitted


def credential_of(keyring: Keyring, connection: Connection) -> str:
    """The credential in clear, for the moment of a call."""
    key = DataKey(wrapped=connection.wrapped, master=connection.master)
    return keyring.open(connection.ref, connection.sealed, key).decode()


async def note_consent(tx: Tx, event: ConsentGranted) -> None:
    """Keep a consent that names partners: a request for cover may have to be sent under it."""
    if event.partners:
        consent = Consent(
            consent_id=event.consent_id,
            facility_id=event.facility_id,
            purposes=event.purposes,
            partners=event.partners,
            valid_until=event.valid_until,
            revoked=False,
        )
        tx.put(CONSENTS, consent)


async def note_revocation(tx: Tx, event: ConsentRevoked) -> None:
    """Nothing is asked under it any more; the door is closed in application already."""
    for consent in await tx.of(CONSENTS, event.facility_id):
        if consent.consent_id == event.consent_id:
            tx.put(CONSENTS, replace(consent, revoked=True))
