"""One database transaction of a service: state, events, calls, timers and marks commit together or not at all.

`Unit` is the transaction; `Tx` is what a command sees of it: one cause, one actor, one business date. A unit locks
the stream rows of all keys it will touch first, sorted, so a key's changes are serial and its sequence has no gap.
Or it only watches them: it reads without a transaction, and its one statement at the end does all or, where one of the
keys has changed since, nothing. Nothing that it saw may then be believed, an error least of all: the work is to be done
again under locks.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic_core import to_json

from libs.events.envelope import kind_of
from libs.kernel.calendar import Calendar
from libs.kernel.errors import Invalid, NotFound
from libs.kernel.policy import Dated
from libs.runtime import statements
from libs.runtime.ids import uuid7
from libs.runtime.policies import PolicyBook
from libs.runtime.shelf import Shelf

T = TypeVar("T")
PAYLOAD_BYTES_MAX = 900_000
_SPACE = uuid.UUID("5f0c2a51-6d5b-4c1e-9a53-8f6f0c9d2b11")
_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def adapter_of(body: type) -> TypeAdapter[Any]:
    """The (cached) JSON codec of an event body."""
    if body not in _ADAPTERS:
        _ADAPTERS[body] = TypeAdapter(body)
    return _ADAPTERS[body]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a command runs and in whose name; `id` is set for reactions, timers and answers, so their ids repeat."""

    actor: str
    org: str = ""
    id: str = ""
    traceparent: str = ""


@dataclass(slots=True)
class _Lot:
    """The rows of one shelf that this unit has seen or changed."""

    shelf: Shelf[Any]
    rows: dict[str, Any] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    dirty: dict[str, None] = field(default_factory=dict)


class NeedsLocks(Exception):
    """The work is to be done under locks: it wants more than one statement at its end."""


class Unit:
    """The transaction: created by the runtime at a door, flushed once, committed by the runtime alone."""

    def __init__(
        self,
        driver: Any,
        *,
        service: str,
        policies: PolicyBook,
        calendar: Calendar,
        journal: str = "",
        booking: Booking | None = None,
    ) -> None:
        self.driver, self.service, self.policies, self.calendar = driver, service, policies, calendar
        self.journal, self.booking = journal, booking
        self.keys: tuple[str, ...] = ()
        self.committed: list[Callable[[], object]] = []
        self.rings: set[str] = set()
        self.handed: list[dict[str, Any]] = []
        """The rows that it put into the outbox."""
        self._seq: dict[str, int] = {}
        self._born: set[str] = set()
        self._owners: dict[str, str] = {}
        self.watching = False
        """Whether this began without locks: then whatever goes wrong in it is done again under them."""
        self._watched: dict[str, int] = {}
        self._begun, self._holds, self._over = True, True, False
        self._lots: dict[str, _Lot] = {}
        self._events: list[dict[str, Any]] = []
        self._calls: list[dict[str, Any]] = []
        self._timers: dict[tuple[str, str], dict[str, Any]] = {}
        self._cancelled: dict[tuple[str, str], None] = {}

    async def lock(self, keys: Iterable[str], owners: Mapping[str, str] | None = None) -> None:
        """Take the stream rows of `keys`, sorted; later units on the same keys wait for this one.

        `owners` names the organisation unit of keys that had none so far; a key's owner never changes here.
        """
        wanted = sorted(set(keys) - self._seq.keys())
        if not wanted:
            return
        rows = await self.sql(statements.LOCK, wanted, [(owners or {}).get(key, "") for key in wanted])
        self.locked((row["key"], row["seq"], row["org"]) for row in rows)

    def locked(self, rows: Iterable[tuple[str, int, str]]) -> None:
        """Note keys that this unit may change: each with its last sequence and its owner."""
        for key, seq, org in rows:
            self._seq[key], self._owners[key] = seq, org
        self.keys = tuple(self._seq)

    def bear(self, keys: Iterable[str], owner: str) -> None:
        """Take keys that are born in this transaction: nobody else knows them, so there is no row to lock yet."""
        born = tuple(keys)
        self._born.update(born)
        self.locked((key, 0, owner) for key in born)

    def watch(self, rows: Iterable[tuple[str, int, int, str]], *, holds: bool = True) -> None:
        """Note keys that are only looked at, before a transaction has begun: last sequence, version and owner.

        With `holds` one may still begin and lock them (`hold`); without, the work is then to be done again.
        """
        found, self.watching, self._begun, self._holds = list(rows), True, False, holds
        self._watched = {key: version for key, _, version, _ in found}
        self.locked((key, seq, org) for key, seq, _, org in found)

    async def hold(self) -> None:
        """Begin the transaction and lock what was only watched, as it was found; what has changed since fails."""
        if self._over:
            raise RuntimeError("the unit is committed: its one statement was its transaction")
        if not self._begun:
            if not self._holds:
                raise NeedsLocks
            await self.driver.execute("BEGIN")
            await self._read(statements.UNCHANGED, self._watched_rows())
            self._begun = True

    def _watched_rows(self) -> str:
        return to_json(
            [
                {"key": key, "seq": self._seq[key], "version": version, "org": self._owners[key]}
                for key, version in sorted(self._watched.items())
            ]
        ).decode()

    def owner_of(self, key: str) -> str:
        """The organisation unit that a locked key belongs to; empty when none is known."""
        return self._owners.get(key, "")

    def told(self) -> tuple[str, ...]:
        """The events queued so far, each as `type/id`."""
        return tuple(f"{event['headers']['ce_type']}/{event['event_id']}" for event in self._events)

    async def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Run one statement ($1-style parameters), in the transaction and under the locks, and return its rows."""
        await self.hold()
        return await self._read(statement, *values)

    async def _read(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.driver.fetch(statement, *values)]

    async def rows_of(self, shelf: Shelf[T], group: str) -> tuple[T, ...]:
        """The rows of one group, read for all locked keys at once the first time."""
        lot = self._lots.setdefault(shelf.name, _Lot(shelf))
        if group not in lot.groups:
            wanted = {group, *self.keys} - lot.groups
            for record in await self._read(shelf.select_sql, sorted(wanted)):
                row = shelf.load(record)
                lot.rows.setdefault(shelf.id_of(row), row)
            lot.groups |= wanted
        return tuple(sorted((row for row in lot.rows.values() if shelf.group_of(row) == group), key=shelf.id_of))

    async def find(self, shelf: Shelf[T], id_: str) -> T | None:
        """The row with this id, or None."""
        lot = self._lots.setdefault(shelf.name, _Lot(shelf))
        if id_ not in lot.rows:
            if shelf.group == shelf.id:
                await self.rows_of(shelf, id_)
            else:
                for record in await self._read(shelf.find_sql, [id_]):
                    lot.rows[id_] = shelf.load(record)
        found: T | None = lot.rows.get(id_)
        return found

    def put(self, shelf: Shelf[T], row: T) -> None:
        """Save a new or changed row when the unit is flushed."""
        lot = self._lots.setdefault(shelf.name, _Lot(shelf))
        id_ = shelf.id_of(row)
        lot.rows[id_] = row
        lot.dirty[id_] = None

    def add_event(self, key: str, topic: str, event_id: str, headers: dict[str, str], payload: str) -> None:
        """Give an event the next sequence of its key and queue it for the outbox."""
        if key not in self._seq:
            raise RuntimeError(f"the unit publishes on {key}, which it did not lock")
        if len(payload.encode()) > PAYLOAD_BYTES_MAX:
            raise Invalid("event_too_large", f"{headers['ce_type']}: more than {PAYLOAD_BYTES_MAX} bytes")
        self._seq[key] += 1
        headers["ce_sequence"] = str(self._seq[key])
        self._events.append({"key": key, "topic": topic, "event_id": event_id, "headers": headers, "payload": payload})

    def add_call(self, call: dict[str, Any]) -> None:
        self._calls.append(call)

    def add_timer(self, timer: dict[str, str]) -> None:
        place = (timer["kind"], timer["ref"])
        self._cancelled.pop(place, None)
        self._timers[place] = timer

    def cancel_timer(self, kind: str, ref: str) -> None:
        self._timers.pop((kind, ref), None)
        self._cancelled[kind, ref] = None

    async def flush(self, beside: tuple[str, ...] = (), beside_values: tuple[Any, ...] = ()) -> None:
        """Write everything queued in one statement: all that a unit which only watches its keys ever writes.

        The statements `beside`, each with $1-style parameters of its own, go with it: what a door has to note in tables
        that no command writes. A service's `journal` statement takes the events ($1, as JSON) last of all, so that it
        may lock; then the keys are held first.
        """
        events = to_json(self._events).decode() if self._events else ""
        if self._over or (events and self.journal):
            await self.hold()  # which refuses when it is over
        lots = sorted((lot for lot in self._lots.values() if lot.dirty), key=lambda lot: lot.shelf.name)
        written = [(lot.shelf.save_sql, (lot.shelf.dump([lot.rows[id_] for id_ in lot.dirty]),)) for lot in lots]
        written += self._waiting()
        if born := [{"key": key, "seq": self._seq[key], "org": self._owners[key]} for key in self._born]:
            written.append((statements.BORN, (to_json(born).decode(),)))
        parts = [part for part, _ in written] + list(beside)
        values = [value for _, of_part in written for value in of_part] + list(beside_values)
        # Behind all but the outbox: PostgreSQL runs the last part first and the others from the end, so a key's row is
        # locked before any other, here as elsewhere. Were it not so, a deadlock would have this done once more.
        if not self._begun:
            self._begun, self._over = True, True
            if self._watched:
                parts.append(statements.UNCHANGED)
                values.append(self._watched_rows())
        elif moved := self._touched():
            parts.append(statements.MOVED)
            values.append(to_json(moved).decode())
        if events:
            parts.append(statements.OUTBOX)
            values.append(events)
            self.rings.add("outbox")
        if not parts:
            return
        rows = await self._read(statements.together(tuple(parts)), *values)
        ids = {row["event_id"]: row["id"] for row in rows}
        self.handed += [{**event, "id": ids[event["event_id"]]} for event in self._events]
        if events and self.journal:
            await self.sql(self.journal, events)
            self.rings.add("journal")
        for lot in lots:
            lot.dirty.clear()
        self._events.clear()
        self._born.clear()

    def _waiting(self) -> list[tuple[str, tuple[Any, ...]]]:
        """The statements for timers and calls, each with its values."""
        found: list[tuple[str, tuple[Any, ...]]] = []
        if self._cancelled:
            kinds, refs = zip(*self._cancelled, strict=True)
            found.append((statements.FORGET_TIMERS, (kinds, refs)))
            self._cancelled.clear()
        if self._timers:
            found.append((statements.TIMERS, (json.dumps(list(self._timers.values())),)))
            self._timers.clear()
        if self._calls:
            found.append((statements.CALLS, (json.dumps(self._calls),)))
            self._calls.clear()
            self.rings.add("calls")
        return found

    def _touched(self) -> list[dict[str, Any]]:
        keys = dict.fromkeys(event["key"] for event in self._events if event["key"] not in self._born)
        return [{"key": key, "seq": self._seq[key]} for key in keys]


Booking = Callable[["Tx", Any, str], None]
"""Books an event (body and id) in the transaction that publishes it, so that what is booked is what is told."""


class Tx:
    """What a command sees: the business date, the actor, dated policies, shelves, and the ways to act."""

    def __init__(self, unit: Unit, cause: Cause, on: date) -> None:
        self.unit, self.cause, self.date = unit, cause, on
        self.actor, self.org, self.calendar = cause.actor, cause.org, unit.calendar
        self._born: Counter[str] = Counter()

    def policy(self, terms: type[T], name: str, on: date | None = None) -> Dated[T]:
        """The version of the policy `name` in force on `on` (today by default), typed as `terms`."""
        return self.unit.policies.get(terms, name, on or self.date)

    def new_id(self, tag: str) -> str:
        """A new id: UUIDv7 for a caller's command, uuid5 of the cause for what a reaction creates."""
        self._born[tag] += 1
        if not self.cause.id:
            return uuid7()
        return str(uuid.uuid5(_SPACE, f"{self.unit.service}/{self.cause.id}/{tag}/{self._born[tag]}"))

    async def of(self, shelf: Shelf[T], group: str) -> tuple[T, ...]:
        """All rows of a facility (or other group), in the order of their ids."""
        return await self.unit.rows_of(shelf, group)

    async def find(self, shelf: Shelf[T], id_: str) -> T | None:
        """The row with this id, or None."""
        return await self.unit.find(shelf, id_)

    async def get(self, shelf: Shelf[T], id_: str) -> T:
        """The row with this id; raises NotFound."""
        row = await self.unit.find(shelf, id_)
        if row is None:
            raise NotFound("not_found", f"no {shelf.row.__name__} {id_}")
        return row

    def put(self, shelf: Shelf[T], row: T) -> None:
        """Save a new or changed row with this transaction."""
        self.unit.put(shelf, row)

    async def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """One statement of the service's own ($1 parameters); sees saved rows only after they are flushed."""
        return await self.unit.sql(statement, *values)

    def publish(self, body: Any, *, policy: str = "", key: str = "") -> str:
        """Publish an event with this transaction; returns its id. The key is the facility unless given."""
        kind = kind_of(body)
        if kind.topic != self.unit.service:
            raise RuntimeError(f"{self.unit.service} may not publish {kind.type}")
        key = key or body.facility_id
        event_id = self.new_id(kind.type)
        headers = {
            "ce_specversion": "1.0",
            "ce_id": event_id,
            "ce_type": kind.type,
            "ce_source": f"/silverbear/{kind.topic}",
            "ce_subject": key,
            "ce_partitionkey": key,
            "ce_time": datetime.now(UTC).isoformat(),
            "ce_dataschema": f"/schemas/{kind.type}.json",
            "ce_businessdate": self.date.isoformat(),
            "ce_actor": self.actor,
            "ce_org": self.unit.owner_of(key) or self.org,
            "ce_policy": policy,
            "ce_causationid": self.cause.id,
            "traceparent": self.cause.traceparent,
            "content-type": "application/json",
        }
        payload = adapter_of(kind.body).dump_json(body).decode()
        self.unit.add_event(key, kind.topic, event_id, {k: v for k, v in headers.items() if v}, payload)
        if self.unit.booking is not None:
            self.unit.booking(self, body, event_id)
        return event_id

    def ring(self, channel: str) -> None:
        """Wake who listens to `channel` once this is committed; what the unit queues itself rings by itself."""
        self.unit.rings.add(channel)

    def call(self, kind: str, *, key: str, reference: str, request: dict[str, Any]) -> None:
        """Ask for an outbound HTTP call after the commit; `reference` is ours, unique per kind, and used to inquire."""
        self.unit.add_call(
            {
                "id": self.new_id(f"call:{kind}"),
                "key": key,
                "kind": kind,
                "reference": reference,
                "request": request,
                "business_date": self.date.isoformat(),
                **self._behind(key),
            }
        )

    def timer(self, kind: str, *, ref: str, key: str, due: date) -> None:
        """Fire the timer command `kind` with `ref` when the business date reaches `due`; replaces an earlier one.

        A day fires each timer once: one set for today or earlier fires with the next day.
        """
        due = max(due, self.date + timedelta(days=1))
        self.unit.add_timer({"kind": kind, "ref": ref, "key": key, "due": due.isoformat(), **self._behind(key)})

    def _behind(self, key: str) -> dict[str, str]:
        """For whom and in which trace something is put off, so that it goes on in their name."""
        return {"org": self.unit.owner_of(key) or self.org, "traceparent": self.cause.traceparent}

    def cancel_timer(self, kind: str, *, ref: str) -> None:
        """Forget a timer; no error when there is none."""
        self.unit.cancel_timer(kind, ref)
