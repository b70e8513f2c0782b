"""Takes a batch of events into a service, once each and in the order of their keys, in one transaction.

Under the stream lock of the batch's keys, or while none of them changes, an event is exactly one of: next in sequence
(apply), already seen (skip), ahead of its turn (a gap: wait), behind with an unseen id (a violation: park), or behind a
parked one (wait).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from libs.events.envelope import CATALOGUE, Meta
from libs.kernel.errors import NotFound, Rejection
from libs.runtime.database import borrowed, is_transient
from libs.runtime.faults import reach
from libs.runtime.logs import fault
from libs.runtime.statements import WATCHED
from libs.runtime.tx import Cause, Tx, Unit, adapter_of
from libs.runtime.wiring import Parts

TIMER_TOPIC = "timer"
UNDECODABLE = "undecodable"
NAME_CHARACTERS_MAX = 255
SEQUENCE_MAX = 2**63 - 1
DRAIN_ROWS_MAX = 500
"""Of one key in one transaction, when the event that they waited for has come."""


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
        return self.meta.key if self.meta else f"{UNDECODABLE}:{self.topic}:{self.part}:{self.offset}"

    @property
    def event_id(self) -> str:
        return self.meta.id if self.meta else self.key

    @property
    def date(self) -> date:
        return self.meta.business_date if self.meta else date.min


def read_meta(headers: dict[str, str]) -> Meta | None:
    """The envelope in the CloudEvents headers, or None when a required attribute is missing or malformed."""
    try:
        meta = Meta(
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
    bounded = all(0 < len(name) <= NAME_CHARACTERS_MAX for name in (meta.id, meta.type, meta.source, meta.key))
    return meta if bounded and 0 < meta.sequence <= SEQUENCE_MAX else None


class ResumeFailed(Exception):
    """A parked or waiting row whose turn had come failed; the cause is what its handler raised."""

    def __init__(self, row: dict[str, Any], reason: str) -> None:
        super().__init__(reason)
        self.row_id: int = row["id"]
        self.event_id: str = row["event_id"]
        self.reason = reason


@dataclass(slots=True)
class Marks:
    """What a batch leaves behind beside its effects."""

    inbox: dict[str, str] = field(default_factory=dict)
    cursor: dict[tuple[str, str], int] = field(default_factory=dict)
    parked: list[dict[str, Any]] = field(default_factory=list)
    unparked: list[int] = field(default_factory=list)
    position: dict[tuple[str, int], int] = field(default_factory=dict)

    def reach(self, arrival: Arrival) -> None:
        """Note that everything up to this arrival is dealt with."""
        place = (arrival.topic, arrival.part)
        self.position[place] = max(arrival.offset, self.position.get(place, -1))

    def position_json(self) -> str:
        """The positions as the statements take them."""
        return json.dumps([{"topic": t, "part": p, "offset": o} for (t, p), o in self.position.items()])

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


# A cursor is found by publisher and key. The publishers are few and found one after the other: without them PostgreSQL
# would read the cursors of every facility there is, for each batch. Each cursor is a look-up of its own (LATERAL with
# LIMIT): a generic plan expects a hundred publishers, and as a join would rather read all cursors up to some 180,000.
_STATE_SQL = f"""
WITH RECURSIVE publishers AS (
    SELECT min(publisher) AS name FROM cursor
    UNION ALL
    SELECT (SELECT min(publisher) FROM cursor WHERE publisher > p.name) FROM publishers p WHERE p.name IS NOT NULL
)
SELECT (SELECT open FROM clock WHERE id = 1) AS open,
       (SELECT json_object_agg(key, CASE WHEN EXISTS (SELECT FROM parked p WHERE p.key = k.key AND status = 'parked')
                                         THEN 'parked' ELSE 'waiting' END)
        FROM unnest($1::text[]) AS k(key) WHERE EXISTS (SELECT FROM parked p WHERE p.key = k.key)) AS blocked,
       (SELECT json_agg(json_build_array(p.name, k.key, c.seq))
        FROM publishers p CROSS JOIN unnest($1::text[]) AS k(key)
        CROSS JOIN LATERAL (SELECT seq FROM cursor WHERE publisher = p.name AND key = k.key LIMIT 1) c) AS cursor,
       {WATCHED.format(keys="$1")} AS stream,
       (SELECT json_agg(event_id) FROM inbox WHERE event_id = ANY($2)) AS seen,
       (SELECT json_agg(event_id) FROM parked WHERE event_id = ANY($2)) AS held
"""  # noqa: S608 - a constant of ours
BLAME_SQL = "UPDATE parked SET status = 'parked', reason = $2 WHERE id = $1"
_PARK_SQL = """
INSERT INTO parked (key, status, topic, event_id, headers, payload, reason)
SELECT key, status, topic, event_id, headers, payload, reason FROM jsonb_to_recordset($1::jsonb)
AS p(key text, status text, topic text, event_id text, headers jsonb, payload text, reason text)
"""
_MARKS = (
    "INSERT INTO inbox (event_id, type) SELECT * FROM unnest($1::text[], $2::text[])",
    """
INSERT INTO cursor (publisher, key, seq)
SELECT publisher, key, seq FROM jsonb_to_recordset($1::jsonb) AS c(publisher text, key text, seq bigint)
ON CONFLICT (publisher, key) DO UPDATE SET seq = GREATEST(cursor.seq, excluded.seq)
""",
    "DELETE FROM parked WHERE id = ANY($1::bigint[])",
    """
INSERT INTO position (topic, part, "offset")
SELECT topic, part, "offset" FROM jsonb_to_recordset($1::jsonb) AS p(topic text, part int, "offset" bigint)
ON CONFLICT (topic, part) DO UPDATE SET "offset" = GREATEST(position."offset", excluded."offset")
""",
)

# Look-ups again. Of the blocked keys the first at or behind each is taken, which the index answers at once: a search
# for the key itself may read all that is parked, because most of it is of a few keys.
_PASSING_SQL = """
WITH n AS (SELECT * FROM jsonb_to_recordset($1::jsonb) AS n(publisher text, key text, first bigint, last bigint)),
ok AS (SELECT bool_and(COALESCE(c.seq, 0) = n.first - 1 AND p.key IS DISTINCT FROM n.key) AS passed FROM n
       LEFT JOIN LATERAL (SELECT seq FROM cursor WHERE publisher = n.publisher AND key = n.key LIMIT 1) c ON true
       LEFT JOIN LATERAL (SELECT key FROM parked WHERE key >= n.key ORDER BY key LIMIT 1) p ON true),
a AS (INSERT INTO cursor (publisher, key, seq) SELECT n.publisher, n.key, n.last FROM n, ok WHERE ok.passed
      ON CONFLICT (publisher, key) DO UPDATE SET seq = GREATEST(cursor.seq, excluded.seq)),
b AS (INSERT INTO position (topic, part, "offset") SELECT w.topic, w.part, w."offset"
      FROM ok, jsonb_to_recordset($2::jsonb) AS w(topic text, part int, "offset" bigint) WHERE ok.passed
      ON CONFLICT (topic, part) DO UPDATE SET "offset" = GREATEST(position."offset", excluded."offset"))
SELECT passed FROM ok
"""


async def pass_by(parts: Parts, arrivals: Sequence[Arrival]) -> bool:
    """Move the cursors over events that nothing here handles: one statement, no locks.

    False, and nothing changed, when any is handled, out of its turn, or behind a parked event.
    """
    marks = Marks()
    runs: dict[tuple[str, str], list[int]] = {}
    for arrival in arrivals:
        meta = arrival.meta
        if meta is None or meta.type in parts.reactions:
            return False
        run = runs.setdefault((meta.source, meta.key), [meta.sequence, meta.sequence - 1])
        if meta.sequence != run[1] + 1:
            return False
        run[1] = meta.sequence
        marks.reach(arrival)
    told = [{"publisher": p, "key": k, "first": first, "last": last} for (p, k), (first, last) in runs.items()]
    async with borrowed(parts.engine) as driver:
        return bool(await driver.fetchval(_PASSING_SQL, json.dumps(told), marks.position_json()))


class Intake:
    """One batch inside one unit: sorts each arrival into apply, skip, wait or park."""

    def __init__(self, parts: Parts, unit: Unit) -> None:
        self.parts, self.unit, self.marks = parts, unit, Marks()
        self._blocked: dict[str, str] = {}
        self._cursor: dict[tuple[str, str], int] = {}
        self._seen: set[str] = set()
        self._held: set[str] = set()
        self.unfinished: list[str] = []
        """Keys of which more waits than one transaction should apply: to be redriven after the commit."""

    async def open(self, arrivals: Sequence[Arrival], *, lock: bool = True) -> None:
        """Lock the keys, or only watch them, and read what is known of them: one statement each."""
        keys = sorted({arrival.key for arrival in arrivals})
        owners: dict[str, str] = {}
        for arrival in arrivals:
            if arrival.meta and arrival.meta.org:
                owners.setdefault(arrival.key, arrival.meta.org)
        if lock:
            await self.unit.lock(keys, owners)
        state = (await self.unit.sql(_STATE_SQL, keys, [arrival.event_id for arrival in arrivals]))[0]
        if not lock:
            found = json.loads(state["stream"] or "[]")
            self.unit.watch((key, seq, version, org or owners.get(key, "")) for key, seq, version, org in found)
        self._blocked = json.loads(state["blocked"] or "{}")
        self._cursor = {(publisher, key): seq for publisher, key, seq in json.loads(state["cursor"] or "[]")}
        self._seen = set(json.loads(state["seen"] or "[]"))
        self._held = set(json.loads(state["held"] or "[]"))

    async def reopen(self, rows: Sequence[dict[str, Any]]) -> None:
        """The same for rows that were parked; their keys are locked already."""
        await self.open([arrival for arrival in map(arrival_of, rows) if arrival.meta])

    async def take(self, arrival: Arrival, culprits: Mapping[str, str]) -> None:
        """Sort and apply one arrival; `culprits` are the events to park instead, each with its reason."""
        self.marks.reach(arrival)
        meta = arrival.meta
        if arrival.event_id in self._held:
            return
        if meta is None:
            await self.unit.hold()
            if arrival.event_id not in self._seen:  # discarded, and read again by whoever had it in hand
                self._block(arrival, status="parked", reason=UNDECODABLE)
            return
        after = self._cursor.get((meta.source, meta.key), 0)
        if meta.id in self._seen or meta.id in self.marks.inbox or (meta.sequence <= after and not self._handler(meta)):
            return
        obstacle = self._obstacle(meta, after, culprits)
        if obstacle or meta.key in self._blocked:
            await self.unit.hold()
        if obstacle:
            self._block(arrival, status=obstacle[0], reason=obstacle[1])
        else:
            await self.apply(arrival, meta)
            if meta.key in self._blocked:
                await self._drain(meta.key, culprits)

    def _obstacle(self, meta: Meta, after: int, culprits: Mapping[str, str]) -> tuple[str, str] | None:
        """Why an unseen event cannot be applied now, and whether it is parked itself or waits; None when it can."""
        if meta.id in culprits:
            return "parked", culprits[meta.id]
        if self._blocked.get(meta.key) == "parked":
            return "waiting", "behind a parked event"
        if meta.sequence <= after:
            return "parked", f"order_violation: {meta.sequence} after {after}"
        if meta.sequence > after + 1:
            return "waiting", f"gap: {meta.sequence} after {after}"
        return None

    async def apply(self, arrival: Arrival, meta: Meta) -> None:
        """Run the handler, if this service has one, and move the cursor."""
        handler = self._handler(meta)
        if handler is not None:
            body = adapter_of(CATALOGUE[meta.type].body).validate_json(arrival.payload)
            with self.parts.telemetry.reaction(meta, body, self.unit) as traceparent:
                cause = Cause(actor=f"{self.parts.name}:reaction", org=meta.org, id=meta.id, traceparent=traceparent)
                await handler(Tx(self.unit, cause, meta.business_date), body, meta)
            self.marks.inbox[meta.id] = meta.type
        self._advance(meta)

    async def resume(self, row: dict[str, Any]) -> None:
        """Apply one parked or waiting row; raises ResumeFailed with the reason, or a transient fault as it is."""
        try:
            if row["topic"] == TIMER_TOPIC:
                await run_timer(self.parts, self.unit, json.loads(row["payload"]))
            else:
                arrival = arrival_of(row)
                if arrival.meta is None:
                    raise NotFound("undecodable", f"{row['event_id']} cannot be applied; discard it")
                await self.apply(arrival, arrival.meta)
        except Exception as error:
            if is_transient(error):
                raise
            raise ResumeFailed(row, reason_of(error)) from error
        self.marks.unparked.append(row["id"])

    async def _drain(self, key: str, culprits: Mapping[str, str]) -> None:
        """Apply what waits on `key`, in arrival order, as far as the sequence is unbroken and the batch stays small."""
        await self._store_parked()
        rows = await self.unit.sql(
            "SELECT * FROM parked WHERE key = $1 AND id <> ALL($2::bigint[]) ORDER BY id LIMIT $3",
            key,
            self.marks.unparked,
            DRAIN_ROWS_MAX,
        )
        if len(rows) == DRAIN_ROWS_MAX:
            self.unfinished.append(key)
        waiting = list(rows)
        while row := self.next_of(waiting):
            if row["event_id"] in culprits:
                await self.unit.sql(BLAME_SQL, row["id"], culprits[row["event_id"]][:500])
                self._blocked[key] = "parked"
                return
            await self.resume(row)
            waiting.remove(row)
        if not waiting and key not in self.unfinished:
            del self._blocked[key]

    def next_of(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """The first row whose turn has come: not ahead of its sequence; a timer waits for all that came before it."""
        for place, row in enumerate(rows):
            meta = None if row["topic"] == TIMER_TOPIC else read_meta(json.loads(row["headers"]))
            if meta is None and place == 0:
                return row
            if meta is not None and meta.sequence <= self._cursor.get((meta.source, meta.key), 0) + 1:
                return row
        return None

    def discard(self, row: dict[str, Any]) -> None:
        """Count a parked row as seen, so that it never comes back and what waits behind it is next."""
        meta = read_meta(json.loads(row["headers"]))
        if meta is not None:
            self.marks.inbox[meta.id] = meta.type
            self._advance(meta)
        if row["topic"] != TIMER_TOPIC:
            self.marks.inbox.setdefault(row["event_id"], UNDECODABLE)
        self.marks.unparked.append(row["id"])

    def _advance(self, meta: Meta) -> None:
        # Never back: a redriven order violation is older than what was applied since.
        place = (meta.source, meta.key)
        self._cursor[place] = self.marks.cursor[place] = max(self._cursor.get(place, 0), meta.sequence)

    async def _store_parked(self) -> None:
        if self.marks.parked:
            await self.unit.sql(_PARK_SQL, json.dumps(self.marks.parked))
            self.marks.parked.clear()

    async def close(self) -> None:
        """Write effects and marks; the caller commits."""
        await self._store_parked()
        marks = self.marks
        cursors = [{"publisher": p, "key": k, "seq": s} for (p, k), s in marks.cursor.items()]
        values = (list(marks.inbox), list(marks.inbox.values()), json.dumps(cursors), marks.unparked)
        await self.unit.flush(_MARKS, (*values, marks.position_json()))
        reach("consumer.mid_batch", self.parts.settings.fault)  # committed already where one statement did it

    def _handler(self, meta: Meta) -> Any:
        return self.parts.reactions.get(meta.type)

    def _block(self, arrival: Arrival, *, status: str, reason: str) -> None:
        self.marks.park(arrival, status=status, reason=reason)
        self._held.add(arrival.event_id)
        self._blocked[arrival.key] = "parked" if status == "parked" else self._blocked.get(arrival.key, "waiting")


def arrival_of(row: dict[str, Any]) -> Arrival:
    """A parked row as the arrival it was."""
    headers = json.loads(row["headers"])
    return Arrival(row["topic"], -1, -1, headers, row["payload"], read_meta(headers))


async def run_timer(parts: Parts, unit: Unit, fired: dict[str, str]) -> None:
    """Run one timer's command under its own cause; the same tick and timer always give the same ids."""
    with parts.telemetry.timer(fired, unit) as traceparent:
        cause = Cause(
            actor=f"{parts.name}:timer",
            org=fired["org"],
            id=f"{fired['tick']}:{fired['kind']}:{fired['ref']}",
            traceparent=traceparent,
        )
        tx = Tx(unit, cause, date.fromisoformat(fired["open"]))
        await parts.timers[fired["kind"]](tx, fired["ref"], fired["key"])


def reason_of(error: BaseException) -> str:
    """Why an event parks, in one line."""
    if isinstance(error, ResumeFailed):
        return error.reason
    text = f"{error.code}: {error.detail}" if isinstance(error, Rejection) else f"{type(error).__name__}: {error}"
    return text.replace("\x00", "\\0")  # PostgreSQL holds no NUL


def told_of(error: BaseException) -> str:
    """The same for the log, which must not hold what the words of an error may quote."""
    return fault(error.__cause__ or error if isinstance(error, ResumeFailed) else error)
