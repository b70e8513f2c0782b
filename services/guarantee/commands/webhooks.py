"""A partner's webhook endpoints and their signing keys: registered, rotated, disabled, enabled, replayed, closed.

A secret leaves once, in the answer to who made it; it is kept sealed, and nothing that is stored of a request holds it.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime

from libs.events.catalogue import kinds
from libs.kernel.errors import Invalid, NotFound
from libs.runtime.keyring import DataKey, Keyring
from libs.runtime.outward import why_unfit
from libs.runtime.tx import Tx
from services.guarantee.domain import webhook as rules
from services.guarantee.domain.telling import TOLD
from services.guarantee.domain.webhook import Endpoint
from services.guarantee.store import ENDPOINTS, PARTNERS

TOLD_TYPES = frozenset(kind.type for kind in kinds() if kind.topic == "guarantee" and kind.name in TOLD)
SECRET_BYTES = 32
REPLAY_EVENTS_MAX = 10_000

_KEYS_SQL = """
SELECT key_id, sealed, wrapped, master, retires FROM endpoint_keys
WHERE endpoint_id = $1 AND (retires IS NULL OR retires > now()) ORDER BY created, key_id
"""
_RETIRE_SQL = """
UPDATE endpoint_keys SET retires = now() + make_interval(hours => $2) WHERE endpoint_id = $1 AND retires IS NULL
"""
_ADD_KEY_SQL = "INSERT INTO endpoint_keys (key_id, endpoint_id, sealed, wrapped, master) VALUES ($1, $2, $3, $4, $5)"
_BEGIN_SQL = """
INSERT INTO endpoint_feeds (endpoint_id, reached)
SELECT $1, COALESCE((SELECT last FROM partner_feeds WHERE party = $2), 0)
"""
_FREE_SQL = """
UPDATE deliveries SET attempts = 0, first_at = NULL, lease_until = NULL, next_at = now()
WHERE endpoint_id = $1 AND state = 'waiting'
"""
_DROP_SQL = "UPDATE deliveries SET state = 'dropped', lease_until = NULL WHERE endpoint_id = $1 AND state = 'waiting'"
_REPLAY_SQL = """
INSERT INTO deliveries (endpoint_id, number, subject)
SELECT $1, e.number, e.subject FROM partner_events e
WHERE e.party = $2 AND e.told_at >= $3 AND e.told_at < $4 AND (cardinality($5::text[]) = 0 OR e.type = ANY($5))
ORDER BY e.number LIMIT $6 RETURNING id
"""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Registered:
    """A new endpoint and the secret that its deliveries are signed with, told this once."""

    endpoint: Endpoint
    key_id: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NewKey:
    """A new secret, told this once; the older keys sign beside it for a while, so that nothing is refused meanwhile."""

    key_id: str
    secret: str
    signing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """How many events were put on their way once more, under their own ids."""

    events: int


async def register_endpoint(tx: Tx, keyring: Keyring, endpoint: Endpoint, *, private: bool) -> Registered:
    """A new endpoint with its first key; who registers it again under the same id is told the same."""
    known = await tx.find(ENDPOINTS, endpoint.endpoint_id)
    if known is not None:
        for row in await tx.sql(_KEYS_SQL, known.endpoint_id):
            return Registered(endpoint=known, key_id=row["key_id"], secret=_open(keyring, row))
    await tx.get(PARTNERS, endpoint.partner_id)
    if unfit := why_unfit(endpoint.url, private=private):
        raise Invalid("target_unfit", f"{endpoint.url}: {unfit}")
    added = rules.register(endpoint, await tx.of(ENDPOINTS, endpoint.partner_id), TOLD_TYPES)
    tx.put(ENDPOINTS, added)
    await tx.sql(_BEGIN_SQL, added.endpoint_id, added.partner_id)
    secret = await _add_key(tx, keyring, added, endpoint.endpoint_id)
    return Registered(endpoint=added, key_id=endpoint.endpoint_id, secret=secret)


async def add_key(tx: Tx, keyring: Keyring, partner: str, endpoint_id: str, *, key_id: str, hours: int) -> NewKey:
    """A new signing key; those before it retire in `hours`. Asked again for the same id, it is told again."""
    endpoint = await known_endpoint(tx, partner, endpoint_id)
    live = await tx.sql(_KEYS_SQL, endpoint_id)
    for row in live:
        if row["key_id"] == key_id:
            return NewKey(key_id=key_id, secret=_open(keyring, row), signing=len(live))
    rules.check_key(endpoint, len(live))
    await tx.sql(_RETIRE_SQL, endpoint_id, hours)
    secret = await _add_key(tx, keyring, endpoint, key_id)
    return NewKey(key_id=key_id, secret=secret, signing=len(live) + 1)


async def enable_endpoint(tx: Tx, partner: str, endpoint_id: str) -> Endpoint:
    """What waits is sent now, however long it was tried before."""
    endpoint = await known_endpoint(tx, partner, endpoint_id)
    enabled = rules.enable(endpoint, tx.date)
    if enabled != endpoint:
        tx.put(ENDPOINTS, enabled)
        await tx.sql(_FREE_SQL, endpoint_id)
        tx.ring("journal")
    return enabled


async def disable_endpoint(tx: Tx, partner: str, endpoint_id: str) -> Endpoint:
    """Nothing is sent there for now, as its partner wishes; what happens meanwhile waits."""
    disabled, _ = rules.disable(await known_endpoint(tx, partner, endpoint_id), "asked_for", tx.date)
    tx.put(ENDPOINTS, disabled)
    return disabled


async def give_endpoint_up(tx: Tx, partner: str, endpoint_id: str, reason: str) -> None:
    """Nothing arrives there: it is disabled, with notice. The key `partner` is locked."""
    disabled, event = rules.disable(await known_endpoint(tx, partner, endpoint_id), reason, tx.date)
    if event is not None:
        tx.put(ENDPOINTS, disabled)
        tx.publish(event, key=partner)


async def close_endpoint(tx: Tx, partner: str, endpoint_id: str) -> Endpoint:
    """The end of an endpoint: what waits for it is dropped."""
    closed = rules.close(await known_endpoint(tx, partner, endpoint_id), tx.date)
    tx.put(ENDPOINTS, closed)
    await tx.sql(_DROP_SQL, endpoint_id)
    return closed


async def replay(tx: Tx, partner: str, endpoint_id: str, since: datetime, until: datetime) -> Replayed:
    """Send what was told from `since` to before `until` once more, in its order; raises Invalid for too much of it."""
    endpoint = await known_endpoint(tx, partner, endpoint_id)
    types, most = list(endpoint.types), REPLAY_EVENTS_MAX + 1
    rows = await tx.sql(_REPLAY_SQL, endpoint_id, partner, since, until, types, most)
    tx.ring("journal")
    if len(rows) == most:
        raise Invalid("replay_too_long", f"more than {REPLAY_EVENTS_MAX} events: ask for a shorter time")
    return Replayed(events=len(rows))


async def known_endpoint(tx: Tx, partner: str, endpoint_id: str) -> Endpoint:
    """An endpoint of this partner; raises NotFound for another's as for none."""
    endpoint = await tx.find(ENDPOINTS, endpoint_id)
    if endpoint is None or endpoint.partner_id != partner:
        raise NotFound("not_found", f"no {Endpoint.__name__} {endpoint_id}")
    return endpoint


async def signing_secrets(tx: Tx, keyring: Keyring, endpoint_id: str) -> list[str]:
    """The secrets that a delivery to the endpoint is signed with now, the oldest first."""
    return [_open(keyring, row) for row in await tx.sql(_KEYS_SQL, endpoint_id)]


async def _add_key(tx: Tx, keyring: Keyring, endpoint: Endpoint, key_id: str) -> str:
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
    sealed, key = keyring.seal(key_id, secret.encode())
    await tx.sql(_ADD_KEY_SQL, key_id, endpoint.endpoint_id, sealed, key.wrapped, key.master)
    return secret


def _open(keyring: Keyring, row: dict[str, str]) -> str:
    return keyring.open(row["key_id"], row["sealed"], DataKey(wrapped=row["wrapped"], master=row["master"])).decode()
