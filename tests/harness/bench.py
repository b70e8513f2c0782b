"""One service on a real, migrated database: requests, events, ticks and answers go in, published events come out.

The doors are the real ones (HTTP through ASGI, the consumer's own batch code, the tick's own code); only the wire to
Kafka is left out.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from libs.events.catalogue import CATALOGUE
from libs.events.clock import DayClosed
from libs.events.envelope import kind_of
from libs.runtime.auth import HEAD_OFFICE, Issuer, TokenDoor
from libs.runtime.calls import Answer, Caller
from libs.runtime.consumer import Consumer
from libs.runtime.daybreak import Daybreak
from libs.runtime.dump import canonical_dump
from libs.runtime.inbound import Arrival, read_meta
from libs.runtime.keyring import local_keyring
from libs.runtime.migrate import role_url
from libs.runtime.service import Service
from libs.runtime.settings import Settings
from libs.runtime.tx import adapter_of


def key_of(body: Any) -> str:
    """What an event is keyed by: its facility, or the partner it concerns as a whole."""
    return str(getattr(body, "facility_id", "") or body.partner)


class Bench:
    """`async with Bench(service, database_url, folder) as bench:`"""

    def __init__(self, service: Service, admin_url: str, folder: Path, **settings: Any) -> None:
        self.service = service
        self.issuer = Issuer(folder)
        self.settings = Settings(
            database_url=role_url(admin_url, service.name),
            kafka_bootstrap="127.0.0.1:1",
            jwks_path=self.issuer.jwks_path,
            **{"pool_size": 20, **({"keyring_path": local_keyring(folder)} if service.needs else {}), **settings},
        )
        self._sequence: Counter[tuple[str, str]] = Counter()
        self._offset = 0

    async def __aenter__(self) -> Bench:
        self.parts = self.service.parts(self.settings)
        app = self.service.app
        app.state.parts, app.state.tokens = self.parts, TokenDoor(self.settings)
        self.consumer = app.state.consumer = Consumer(self.parts)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://service")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()
        await self.parts.close()

    async def open(self, day: date) -> None:
        """Set the business date without firing timers."""
        async with self.parts.engine.begin() as conn:
            await conn.exec_driver_sql(
                "INSERT INTO clock (id, open) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET open = excluded.open",
                (day,),
            )
        self.parts.open_on = day

    async def tick(self, day: date) -> None:
        """Open `day` by a real tick: due timers fire."""
        body = DayClosed(closed=day, open=day, reached={})
        await Daybreak(self.parts).open(self.arrival(body, "clock", day))
        self.parts.open_on = day

    async def post(
        self, path: str, body: Any, *, role: str, actor: str = "", org: str = "b1", key: str = "", **headers: str
    ) -> httpx.Response:
        """POST as `actor` (default: the role's name) with a fresh idempotency key unless one is given."""
        sent = {**self.bearer(actor or role, role, org=org), "idempotency-key": key or str(uuid.uuid4())}
        return await self.http.post(path, json=body, headers={**sent, **_named(headers)})

    async def get(
        self, path: str, *, role: str = "operator", actor: str = "", org: str = "", **headers: str
    ) -> httpx.Response:
        """GET as `actor` of a branch, or without one of the head office."""
        return await self.http.get(path, headers={**self.bearer(actor or role, role, org=org), **_named(headers)})

    def bearer(self, actor: str, role: str, *, org: str = "", party: str = "", scope: str = "") -> dict[str, str]:
        """The header of somebody with a role, of a branch or else of the head office, or of a partner with scopes."""
        level = "" if org or party else HEAD_OFFICE
        token = self.issuer.token(actor, role, org=org, level=level, party=party, scope=scope)
        return {"authorization": f"Bearer {token}"}

    async def react(self, *bodies: Any, on: date, key: str = "") -> None:
        """Deliver events as one batch, each with the next sequence of its publisher and key."""
        await self.consumer.apply([self.arrival(body, key or key_of(body), on) for body in bodies])

    async def published(self) -> list[Any]:
        """The bodies of all events in the outbox, in order."""
        async with self.parts.engine.connect() as conn:
            rows = await conn.exec_driver_sql("SELECT headers, payload FROM outbox ORDER BY id")
            return [
                adapter_of(CATALOGUE[json.loads(headers)["ce_type"]].body).validate_json(payload)
                for headers, payload in rows
            ]

    async def names(self) -> list[str]:
        """The wire names of all events in the outbox, in order."""
        return [kind_of(body).name for body in await self.published()]

    async def policies(self) -> list[str]:
        """The policy that each event in the outbox says decided it, empty for none, in order."""
        async with self.parts.engine.connect() as conn:
            rows = await conn.exec_driver_sql("SELECT COALESCE(headers ->> 'ce_policy', '') FROM outbox ORDER BY id")
            return [policy for (policy,) in rows]

    async def parked(self) -> list[str]:
        """The reasons of parked rows, oldest first."""
        async with self.parts.engine.connect() as conn:
            return [reason for (reason,) in await conn.exec_driver_sql("SELECT reason FROM parked ORDER BY id")]

    async def calls(self) -> list[tuple[str, str, dict[str, Any]]]:
        """(kind, reference, request) of the calls not yet answered, oldest first."""
        async with self.parts.engine.connect() as conn:
            rows = await conn.exec_driver_sql(
                "SELECT kind, reference, request FROM calls WHERE status IN ('pending', 'unknown') ORDER BY next_at, id"
            )
            return [(kind, reference, json.loads(request)) for kind, reference, request in rows]

    async def answer(self, kind: str, status: int, **body: Any) -> None:
        """Feed an answer to the oldest open call of `kind`, as the worker would."""
        async with self.parts.engine.begin() as conn:
            rows = await conn.exec_driver_sql(
                "UPDATE calls SET status = 'unknown' WHERE id = (SELECT id FROM calls WHERE kind = $1"
                " AND status IN ('pending', 'unknown') ORDER BY next_at, id LIMIT 1)"
                " RETURNING id, key, kind, reference, request, attempts, org, traceparent",
                (kind,),
            )
            row = dict(rows.mappings().one())
        request = json.loads(row["request"])
        await Caller(self.parts)._take(self.parts.partners[kind], row, request, Answer(status, body))

    async def dump(self) -> dict[str, list[str]]:
        """The canonical dump of this service's own tables."""
        return await canonical_dump(self.parts.engine, self.service.metadata)

    async def deliver(self, *arrivals: Arrival) -> None:
        """Hand arrivals to the consumer as one batch, as they are."""
        await self.consumer.apply(arrivals)

    def _arrival(self, body: Any, key: str, on: date) -> Arrival:
        return self.arrival(body, key, on)

    def arrival(self, body: Any, key: str, on: date, *, sequence: int = 0) -> Arrival:
        """An event as it would arrive: the next sequence of its publisher and key, unless one is given."""
        kind = kind_of(body)
        if not sequence:
            self._sequence[kind.topic, key] += 1
        self._offset += 1
        headers = {
            "ce_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind.type}/{key}/{self._offset}")),
            "ce_type": kind.type,
            "ce_source": f"/silverbear/{kind.topic}",
            "ce_partitionkey": key,
            "ce_sequence": str(sequence or self._sequence[kind.topic, key]),
            "ce_businessdate": on.isoformat(),
            "ce_time": "2026-01-01T00:00:00+00:00",
            "ce_actor": "someone",
            "ce_org": "b1",
        }
        payload = adapter_of(kind.body).dump_json(body).decode()
        return Arrival(kind.topic, 0, self._offset, headers, payload, read_meta(headers))


def _named(headers: dict[str, str]) -> dict[str, str]:
    """Keywords as header names."""
    return {name.replace("_", "-"): value for name, value in headers.items()}
