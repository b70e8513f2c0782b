"""Takes a batch of events into a service, once each and in the order of their keys, in one transaction.

Under the stream lock of the batch's keys an event is exactly one of: next in sequence (apply), already seen (skip),
ahead of its turn (a gap: wait), behind with an unseen id (a violation: park), or behind a parked one (wait).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from libs.events.envelope import CATALOGUE, Meta
from libs.kernel.errors import Rejection
from libs.runtime.faults import reach
from libs.runtime.tx import Cause, Tx, Unit, adapter_of
from libs.runtime.wiring import Parts

TIMER_TOPIC = "timer"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event as it came: where from, its headers and text; `meta` is None when it cannot be read at all."""

    topic: str
    part: int
    offset: int
    headers: dict[str, str]
    payload: str
    meta: Meta | None

    @property
    def key(self) -> str:
        """The ordering key; an unreadable event gets one of its own, so it parks alone."""
        return self.meta.key if self.meta else f"undecodable:{self.topic}:{self.part}:{self.offset}"

    @property
    def event_id(self) -> str:
        return self.meta.id if self.meta else self.key

    @property
    def date(self) -> date:
        return self.meta.business_date if self.meta else date.min


def read_meta(headers: dict[str, str]) -> Meta | None:
    """The envelope in the CloudEvents headers, or None when a required attribute is missing or malformed."""
    try:
        return Meta(
            id=headers["ce_id"],
            type=headers["ce_type"],
            source=headers["ce_source"],
            key=headers["ce_partitionkey"],
            sequence=int(headers["ce_sequence"]),
            business_date=date.fromisoformat(headers["ce_businessdate"]),
            time=headers["ce_time"],
            actor=headers.get("ce_actor", ""),
            org=headers.get("ce_org", ""),
            policy=headers.get("ce_policy", ""),
            cause=headers.get("ce_causationid", ""),
            traceparent=headers.get("traceparent", ""),
        )
    except (KeyError, ValueError):
        return None


@dataclass(slots=True)
class Marks:
    """What a batch leaves behind beside its effects."""

    inbox: dict[str, str] = field(default_factory=dict)
    cursor: dict[tuple[str, str], int] = field(default_factory=dict)
    parked: list[dict[str, Any]] = field(default_factory=list)
    unparked: list[int] = field(default_factory=list)
    position: dict[tuple[str, int], int] = field(default_factory=dict)

    def park(self, arrival: Arrival, *, status: str, reason: str) -> None:
        self.parked.append(
            {
                "key": arrival.key,
                "status": status,
                "topic": arrival.topic,
                "event_id": arrival.event_id,
                "headers": arrival.headers,
                "payload": arrival.payload,
                "reason": reason[:500],
            }
        )


_STATE_SQL = """
SELECT (SELECT open FROM clock WHERE id = 1) AS open,
       (SELECT json_object_agg(key, status) FROM (
            SELECT key, min(status) AS status FROM parked WHERE key = ANY($1) GROUP BY key) p) AS blocked,
       (SELECT json_agg(json_build_array(publisher, key, seq)) FROM cursor WHERE key = ANY($1)) AS cursor,
       (SELECT json_agg(event_id) FROM inbox WHERE event_id = ANY($2)) AS seen,
       (SELECT json_agg(event_id) FROM parked WHERE key = ANY($1)) AS held
"""
_PARK_SQL = """
INSERT INTO parked (key, status, topic, event_id, headers, payload, reason)
SELECT key, status, topic, event_id, headers, payload, reason FROM jsonb_to_recordset($1::jsonb)
AS p(key text, status text, topic text, event_id text, headers jsonb, payload text, reason text)
"""
_MARKS_SQL = """
WITH a AS (INSERT INTO inbox (event_id, type) SELECT * FROM unnest($1::text[], $2::text[])),
b AS (INSERT INTO cursor (publisher, key, seq)
      SELECT publisher, key, seq FROM jsonb_to_recordset($3::jsonb) AS c(publisher text, key text, seq bigint)
      ON CONFLICT (publisher, key) DO UPDATE SET seq = excluded.seq),
c AS (DELETE FROM parked WHERE id = ANY($5::bigint[]))
INSERT INTO position (topic, part, "offset")
SELECT topic, part, "offset" FROM jsonb_to_recordset($4::jsonb) AS p(topic text, part int, "offset" bigint)
ON CONFLICT (topic, part) DO UPDATE SET "offset" = GREATEST(position."offset", excluded."offset")
"""


class Intake:
    """One batch inside one unit: sorts each arrival into apply, skip, wait or park."""

    def __init__(self, parts: Parts, unit: Unit) -> None:
        self.parts, self.unit, self.marks = parts, unit, Marks()
        self._blocked: dict[str, str] = {}
        self._cursor: dict[tuple[str, str], int] = {}
        self._seen: set[str] = set()
        self._held: set[str] = set()

    async def open(self, arrivals: Sequence[Arrival]) -> None:
        """Lock the keys and read what is known of them: one statement each."""
        keys = sorted({arrival.key for arrival in arrivals})
        await self.unit.lock(keys)
        state = (await self.unit.sql(_STATE_SQL, keys, [arrival.event_id for arrival in arrivals]))[0]
        self._blocked = json.loads(state["blocked"] or "{}")
        self._cursor = {(publisher, key): seq for publisher, key, seq in json.loads(state["cursor"] or "[]")}
        self._seen = set(json.loads(state["seen"] or "[]"))
        self._held = set(json.loads(state["held"] or "[]"))

    async def take(self, arrival: Arrival, *, culprit: str = "") -> None:
        """Sort and apply one arrival; `culprit` is the reason to park it instead of applying it."""
        self._mark_position(arrival)
        meta = arrival.meta
        if meta is None:
            if arrival.event_id not in self._held:
                self.marks.park(arrival, status="parked", reason="undecodable")
            return
        if meta.id in self._seen or meta.id in self._held or meta.id in self.marks.inbox:
            return
        if culprit:
            self._block(arrival, status="parked", reason=culprit)
            return
        after = self._cursor.get((meta.source, meta.key), 0)
        only_gaps = self._blocked.get(meta.key) != "parked"
        if meta.key in self._blocked and not (only_gaps and meta.sequence == after + 1):
            self._block(arrival, status="waiting", reason="behind a parked event")
        elif meta.sequence <= after:
            if self._handler(meta) is not None:
                self._block(arrival, status="parked", reason=f"order_violation: {meta.sequence} after {after}")
        elif meta.sequence > after + 1:
            self._block(arrival, status="waiting", reason=f"gap: {meta.sequence} after {after}")
        else:
            await self.apply(arrival, meta)
            if meta.key in self._blocked:
                await self.drain(meta.key)

    async def apply(self, arrival: Arrival, meta: Meta) -> None:
        """Run the handler, if this service has one, and move the cursor."""
        handler = self._handler(meta)
        if handler is not None:
            body = adapter_of(CATALOGUE[meta.type].body).validate_json(arrival.payload)
            cause = Cause(
                actor=f"{self.parts.name}:reaction", org=meta.org, id=meta.id, traceparent=meta.traceparent
            )
            await handler(Tx(self.unit, cause, meta.business_date), body, meta)
            self.marks.inbox[meta.id] = meta.type
        self._cursor[meta.source, meta.key] = self.marks.cursor[meta.source, meta.key] = meta.sequence

    async def drain(self, key: str) -> int:
        """Apply what waits on `key`, in arrival order, as far as the sequence is unbroken; returns how many."""
        await self._store_parked()
        rows = await self.unit.sql("SELECT * FROM parked WHERE key = $1 ORDER BY id", key)
        waiting = [row for row in rows if row["id"] not in self.marks.unparked]
        applied = 0
        while row := next((row for row in waiting if self._is_next(row)), None):
            waiting.remove(row)
            if row["topic"] == TIMER_TOPIC:
                await run_timer(self.parts, self.unit, json.loads(row["payload"]))
            else:
                arrival = arrival_of(row)
                assert arrival.meta is not None  # noqa: S101 - _is_next saw it
                await self.apply(arrival, arrival.meta)
            self.marks.unparked.append(row["id"])
            applied += 1
        return applied

    def _is_next(self, row: dict[str, Any]) -> bool:
        if row["topic"] == TIMER_TOPIC:
            return True
        meta = read_meta(json.loads(row["headers"]))
        return meta is not None and meta.sequence == self._cursor.get((meta.source, meta.key), 0) + 1

    def is_gap(self, meta: Meta) -> bool:
        """Whether an earlier event of the same publisher and key has not been applied yet."""
        return meta.sequence > self._cursor.get((meta.source, meta.key), 0) + 1

    def advance(self, meta: Meta) -> None:
        """Count a discarded event as seen, so that what waits behind it is next."""
        after = self._cursor.get((meta.source, meta.key), 0)
        self._cursor[meta.source, meta.key] = self.marks.cursor[meta.source, meta.key] = max(after, meta.sequence)

    async def _store_parked(self) -> None:
        if self.marks.parked:
            await self.unit.sql(_PARK_SQL, json.dumps(self.marks.parked))
            self.marks.parked.clear()

    async def close(self) -> None:
        """Write effects and marks; the caller commits."""
        await self._store_parked()
        await self.unit.flush()
        reach("consumer.mid_batch", self.parts.settings.fault)
        marks = self.marks
        await self.unit.sql(
            _MARKS_SQL,
            list(marks.inbox),
            list(marks.inbox.values()),
            json.dumps([{"publisher": p, "key": k, "seq": s} for (p, k), s in marks.cursor.items()]),
            json.dumps([{"topic": t, "part": p, "offset": o} for (t, p), o in marks.position.items()]),
            marks.unparked,
        )

    def _handler(self, meta: Meta) -> Any:
        return self.parts.reactions.get(meta.type)

    def _block(self, arrival: Arrival, *, status: str, reason: str) -> None:
        self.marks.park(arrival, status=status, reason=reason)
        self._blocked[arrival.key] = "parked" if status == "parked" else self._blocked.get(arrival.key, "waiting")

    def _mark_position(self, arrival: Arrival) -> None:
        place = (arrival.topic, arrival.part)
        self.marks.position[place] = max(arrival.offset, self.marks.position.get(place, -1))


def arrival_of(row: dict[str, Any]) -> Arrival:
    """A parked row as the arrival it was."""
    headers = json.loads(row["headers"])
    return Arrival(row["topic"], -1, -1, headers, row["payload"], read_meta(headers))


async def run_timer(parts: Parts, unit: Unit, fired: dict[str, str]) -> None:
    """Run one timer's command under its own cause; the same tick and timer always give the same ids."""
    cause = Cause(actor=f"{parts.name}:timer", id=f"{fired['tick']}:{fired['kind']}:{fired['ref']}")
    tx = Tx(unit, cause, date.fromisoformat(fired["open"]))
    await parts.timers[fired["kind"]](tx, fired["ref"], fired["key"])


def reason_of(error: BaseException) -> str:
    """Why an event parks, in one line."""
    if isinstance(error, Rejection):
        return f"{error.code}: {error.detail}"
    return f"{type(error).__name__}: {error}"
