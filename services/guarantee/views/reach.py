"""How partners are reached: the way to each, its webhook endpoints, and what became of every event sent there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from libs.kernel.errors import Refused
from libs.runtime.tx import Tx
from services.guarantee.domain.connection import Adapter, Connection
from services.guarantee.domain.webhook import Endpoint
from services.guarantee.store import CONNECTIONS, ENDPOINTS

_DELIVERIES_SQL = """
SELECT d.id, d.number, t.event_id, t.type, t.subject, d.state, d.attempts, d.created, d.next_at, d.delivered_at, d.log
FROM deliveries d JOIN partner_events t ON t.party = $2 AND t.number = d.number
WHERE d.endpoint_id = $1 AND d.id < $3 AND $4 IN ('', d.state) ORDER BY d.id DESC LIMIT $5
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionView:
    """How a partner is reached from `effective` on; the credential that `header` carries is shown to nobody."""

    ref: str
    partner_id: str
    effective: date
    adapter: Adapter
    base_url: str
    header: str
    purpose: str
    claim_purpose: str
    admitted_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to deliver: the status that came back, or why none did, and how long it took."""

    at: datetime
    status: int | None
    error: str
    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """One event on its way to an endpoint, each try of it, and when the next one is due while it waits."""

    delivery_id: int
    number: int
    event_id: str
    type: str
    subject: str
    state: str
    attempts: int
    created: datetime
    next_at: datetime | None
    delivered_at: datetime | None
    log: tuple[Attempt, ...]


async def connections(tx: Tx, partner: str) -> tuple[ConnectionView, ...]:
    """Every version of the way to a partner, without its credential."""
    return tuple(connection(row) for row in await tx.of(CONNECTIONS, partner))


def connection(row: Connection) -> ConnectionView:
    """What may be shown of the way to a partner."""
    return ConnectionView(
        ref=row.ref,
        partner_id=row.partner_id,
        effective=row.effective,
        adapter=row.adapter,
        base_url=row.base_url,
        header=row.header,
        purpose=row.purpose,
        claim_purpose=row.claim_purpose,
        admitted_by=row.admitted_by,
    )


async def check_kept(tx: Tx, partner: str, place: int) -> None:
    """What follows the event number `place` is there still; raises Refused where it was kept long enough."""
    kept = await tx.sql(
        "SELECT COALESCE((SELECT min(number) FROM partner_events WHERE party = $1), last + 1) AS first"
        " FROM partner_feeds WHERE party = $1",
        partner,
    )
    if kept and kept[0]["first"] > place + 1:
        first = kept[0]["first"]
        raise Refused("events_forgotten", f"kept are those from number {first} on", first=first)


async def endpoints(tx: Tx, partner: str) -> tuple[Endpoint, ...]:
    """The webhook endpoints of a partner."""
    return await tx.of(ENDPOINTS, partner)


async def deliveries(tx: Tx, endpoint: Endpoint, state: str, before: int, limit: int) -> tuple[DeliveryView, ...]:
    """At most `limit` deliveries to an endpoint before the one of that number, newest first; of a state or of all."""
    rows = await tx.sql(_DELIVERIES_SQL, endpoint.endpoint_id, endpoint.partner_id, before, state, limit)
    return tuple(_delivery(row) for row in rows)


def _delivery(row: dict[str, Any]) -> DeliveryView:
    return DeliveryView(
        delivery_id=row["id"],
        number=row["number"],
        event_id=row["event_id"],
        type=row["type"],
        subject=row["subject"],
        state=row["state"],
        attempts=row["attempts"],
        created=row["created"],
        next_at=row["next_at"] if row["state"] == "waiting" else None,
        delivered_at=row["delivered_at"],
        log=tuple(Attempt(**{**line, "at": datetime.fromisoformat(line["at"])}) for line in json.loads(row["log"])),
    )
