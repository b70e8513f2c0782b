"""Webhooks on their way: what a partner is told reaches each of its endpoints at least once, a facility's in order.

A row of `deliveries` is leased, sent outside any transaction, and written back only by the lease that sent it. The
next event of the same key is taken up when the one before it is through. What never arrives is given up after
`WEBHOOK_HOURS_MAX`, and an endpoint at which nothing else arrived either is disabled.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic_core import to_json
from standardwebhooks import Webhook

from libs.runtime.database import backoff, borrowed, woken
from libs.runtime.logs import fault
from libs.runtime.outward import Outward
from libs.runtime.tx import Cause, Tx
from libs.runtime.wiring import Parts
from services.guarantee import views
from services.guarantee.commands import webhooks

LEASE_SECONDS = 30
SEND_SECONDS_MAX = 10.0
"""For one attempt, from the look-up of the name to the end of the answer: over before the lease is."""
AT_ONCE = 20
FAN_OUT_ROWS = 1_000
AT_ONCE_EACH = 5
"""To one endpoint, so that a slow one leaves room for the others."""
POLL_SECONDS = 1.0
FIRST_PAUSE_SECONDS, PAUSE_SECONDS_MAX = 5, 4 * 3_600
"""Between two tries: four times longer each time, up to here."""
GONE, TOO_MANY, UNAVAILABLE = 410, 429, 503

_ENDPOINTS_SQL = "SELECT EXISTS (SELECT FROM endpoints WHERE state <> 'closed')"
# What partners were told since, put on its way to each of their endpoints in the order of their feed.
_FAN_OUT_SQL = f"""
WITH behind AS (
    SELECT f.endpoint_id, f.reached, e.partner_id, e.types FROM endpoint_feeds f JOIN endpoints e USING (endpoint_id)
    WHERE e.state <> 'closed' AND f.reached < (SELECT last FROM partner_feeds p WHERE p.party = e.partner_id)
    FOR UPDATE OF f SKIP LOCKED
), fresh AS (
    SELECT b.endpoint_id, b.types, t.* FROM behind b CROSS JOIN LATERAL (
        SELECT number, subject, type FROM partner_events p
        WHERE p.party = b.partner_id AND p.number > b.reached ORDER BY number LIMIT {FAN_OUT_ROWS}) t
), moved AS (
    UPDATE endpoint_feeds f SET reached = r.number
    FROM (SELECT endpoint_id, max(number) AS number FROM fresh GROUP BY endpoint_id) r
    WHERE r.endpoint_id = f.endpoint_id
)
INSERT INTO deliveries (endpoint_id, number, subject)
SELECT endpoint_id, number, subject FROM fresh WHERE types = '[]' OR types ? type ORDER BY endpoint_id, number
"""  # noqa: S608 - constants of this module
# Of each endpoint and subject only the first that waits may go.
_CLAIM_SQL = f"""
WITH heads AS (
    SELECT DISTINCT ON (d.endpoint_id, d.subject) d.id, d.endpoint_id, d.next_at, d.lease_until > now() AS under_way
    FROM deliveries d JOIN endpoints e USING (endpoint_id)
    WHERE d.state = 'waiting' AND e.state = 'enabled' ORDER BY d.endpoint_id, d.subject, d.id
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY endpoint_id ORDER BY under_way DESC NULLS LAST, next_at, id) AS place
    FROM heads WHERE under_way OR next_at <= now()
), due AS (
    SELECT id FROM deliveries WHERE id IN (
        SELECT id FROM ranked WHERE under_way IS NOT TRUE AND place <= {AT_ONCE_EACH} ORDER BY place, id LIMIT $1
    ) AND state = 'waiting' AND (lease_until IS NULL OR lease_until < now()) FOR UPDATE SKIP LOCKED
)
UPDATE deliveries d SET attempts = d.attempts + 1, first_at = COALESCE(d.first_at, now()),
    lease_until = now() + interval '{LEASE_SECONDS} seconds'
FROM due, endpoints e, partner_events t
WHERE d.id = due.id AND e.endpoint_id = d.endpoint_id AND t.party = e.partner_id AND t.number = d.number
RETURNING d.id, d.endpoint_id, d.attempts, d.first_at, now() AS at, e.url, t.*
"""  # noqa: S608 - constants of this module
_NOTE_SQL = """
UPDATE deliveries SET log = log || $3::jsonb, lease_until = NULL, state = $4, next_at = $5,
    delivered_at = CASE $4 WHEN 'delivered' THEN now() END
WHERE id = $1 AND attempts = $2 AND state = 'waiting'
"""
_ARRIVED_SQL = "SELECT EXISTS (SELECT FROM deliveries WHERE endpoint_id = $1 AND delivered_at > $2)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """What came of one attempt: a status or an error, and how long the receiver asks us to wait."""

    status: int | None = None
    error: str = ""
    seconds: float = 0.0
    wait: int = 0

    @property
    def arrived(self) -> bool:
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - the 2xx of HTTP

    def entry(self, at: datetime) -> dict[str, Any]:
        """The line of the delivery log."""
        return {"at": at.isoformat(), "status": self.status, "error": self.error, "ms": round(self.seconds * 1000)}


class Deliverer:
    """The worker of one process; several may run side by side, the lease keeps them apart."""

    def __init__(self, parts: Parts, transport: httpx.AsyncBaseTransport | None = None) -> None:
        if parts.keyring is None:
            raise RuntimeError(f"{parts.name} signs webhooks and has no keyring")
        self.parts, self._keyring = parts, parts.keyring
        self._transport = transport
        self._wake = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._closing = False
        self._endpoints, self._look_at = False, 0.0

    def close(self) -> None:
        """Let `run` end after the deliveries under way."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver until closed; transient trouble is waited out."""
        transport = self._transport or Outward(private=self.parts.settings.private_targets)
        async with httpx.AsyncClient(transport=transport, timeout=SEND_SECONDS_MAX, follow_redirects=False) as client:
            attempt = 0
            while not self._closing:
                try:
                    async with self.parts.bell.heard("journal", self._wake):
                        attempt = 0
                        await self._deliver(client)
                except Exception as error:  # noqa: BLE001 - a worker outlives any one failure; rows stay waiting
                    attempt += 1
                    self.parts.telemetry.retried("deliveries")
                    self.parts.log.warning("deliveries_interrupted", error=fault(error))
                    await asyncio.sleep(backoff(attempt))
            if self._under_way:
                await asyncio.wait(self._under_way)

    async def _deliver(self, client: httpx.AsyncClient) -> None:
        while not self._closing:
            self._wake.clear()
            room = AT_ONCE - len(self._under_way)
            rows = await self._claim(room) if room else []
            for row in rows:
                task = asyncio.create_task(self._one(client, row))
                self._under_way.add(task)
                task.add_done_callback(self._done)
            if not rows:
                await woken(self._wake, seconds=POLL_SECONDS)

    def _done(self, task: asyncio.Task[None]) -> None:
        """The key's next event may go now, and there is room for another."""
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.parts.log.warning("delivery_interrupted", error=fault(error))  # its lease runs out, and it goes again
        self._wake.set()

    async def _claim(self, room: int) -> list[dict[str, Any]]:
        """The deliveries to make now; without any endpoint nothing is asked but, now and then, whether there is one."""
        looking = time.monotonic() >= self._look_at
        if not (looking or self._endpoints):
            return []
        async with borrowed(self.parts.engine) as driver:
            if looking:
                self._look_at = time.monotonic() + POLL_SECONDS
                self._endpoints = await driver.fetchval(_ENDPOINTS_SQL)
            if not self._endpoints:
                return []
            await driver.execute(_FAN_OUT_SQL)
            return [dict(row) for row in await driver.fetch(_CLAIM_SQL, room)]

    async def _one(self, client: httpx.AsyncClient, row: dict[str, Any]) -> None:
        attempt = await self._send(client, row)
        given_up = row["at"] - row["first_at"] >= timedelta(hours=self.parts.settings.webhook_hours_max)
        gone = attempt.status == GONE
        alone = False
        if given_up and not gone and not attempt.arrived:
            async with borrowed(self.parts.engine) as driver:
                alone = not await driver.fetchval(_ARRIVED_SQL, row["endpoint_id"], row["first_at"])
        dead = gone or alone
        state = "delivered" if attempt.arrived else "failed" if given_up and not dead else "waiting"
        next_at = row["at"] + timedelta(seconds=max(_pause(row["attempts"]), attempt.wait))
        async with borrowed(self.parts.engine) as driver:
            entry = json.dumps([attempt.entry(row["at"])])
            await driver.execute(_NOTE_SQL, row["id"], row["attempts"], entry, state, next_at)
        if dead:
            await self._give_up(row, "gone" if gone else "unreachable")
        elif state == "failed":
            self.parts.log.warning("delivery_failed", endpoint=row["endpoint_id"], event=row["event_id"])

    async def _send(self, client: httpx.AsyncClient, row: dict[str, Any]) -> _Attempt:
        began = time.monotonic()
        try:
            async with self.parts.transaction() as unit:
                cause = Cause(actor=f"{self.parts.name}:deliveries")
                keys = await webhooks.signing_secrets(
                    Tx(unit, cause, row["business_date"]), self._keyring, row["endpoint_id"]
                )
            body = envelope(row)
            headers = signed(row["event_id"], body, keys, datetime.now(UTC))
            async with asyncio.timeout(SEND_SECONDS_MAX):
                response = await client.post(row["url"], content=body, headers=headers)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            reason = f"{type(error).__name__}: {error}".strip(": ")[:200]
            return _Attempt(error=reason, seconds=time.monotonic() - began)
        return _Attempt(status=response.status_code, seconds=time.monotonic() - began, wait=_asked_to_wait(response))

    async def _give_up(self, row: dict[str, Any], reason: str) -> None:
        cause = Cause(actor=f"{self.parts.name}:deliveries", id=f"{row['id']}/{row['first_at'].isoformat()}")
        async with self.parts.transaction() as unit:
            await unit.lock([row["party"]])
            opened = await unit.sql("SELECT open FROM clock WHERE id = 1")
            tx = Tx(unit, cause, opened[0]["open"])
            await webhooks.give_endpoint_up(tx, row["party"], row["endpoint_id"], reason)
            await unit.flush()
        self.parts.log.warning("endpoint_disabled", endpoint=row["endpoint_id"], reason=reason)


def envelope(row: Mapping[str, Any]) -> bytes:
    """The event as a partner sees it, the same in a delivery and in the list that it reads itself."""
    event = views.PartnerEvent(
        number=row["number"],
        id=row["event_id"],
        type=row["type"],
        subject=row["subject"],
        business_date=row["business_date"],
        told_at=row["told_at"],
        body=json.loads(row["body"]),
    )
    return to_json(event)


def signed(event_id: str, body: bytes, secrets: list[str], at: datetime) -> dict[str, str]:
    """The headers of a Standard Webhooks delivery, with a signature by each key that is live."""
    signatures = [Webhook(secret).sign(event_id, at, body.decode()) for secret in secrets]
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _pause(attempts: int) -> float:
    seconds = min(PAUSE_SECONDS_MAX, FIRST_PAUSE_SECONDS * int(4 ** min(attempts - 1, 10)))
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - jitter


def _asked_to_wait(response: httpx.Response) -> int:
    """`Retry-After` in seconds of a receiver that is overloaded, within bounds; 0 for anything else."""
    text = response.headers.get("retry-after", "")
    if response.status_code in (TOO_MANY, UNAVAILABLE) and text.isascii() and text.isdigit():
        return min(int(text[:9]), PAUSE_SECONDS_MAX)
    return 0
