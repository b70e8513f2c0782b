"""All services in one process on one real PostgreSQL, joined by a router instead of Kafka.

The doors are the real ones: HTTP through ASGI, `Consumer.apply` for events, `Daybreak.open` for ticks, the real worker
for outbound calls against the real stand-ins. What stands in for Kafka is `Router`; in which order it hands on what it
holds is the business of its `Carrier`, so one story can be told in order, or shuffled and twice.
"""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx

from deploy.demo import core_bank, generator
from deploy.demo.branch import Branch
from deploy.demo.client import Client
from deploy.demo.journal import Entry
from deploy.demo.lives import Life
from deploy.demo.replay import Replay
from deploy.partner import desk
from libs.events.clock import DayClosed
from libs.events.envelope import kind_of
from libs.runtime.calls import Caller
from libs.runtime.daybreak import Daybreak
from libs.runtime.dump import canonical_dump
from libs.runtime.inbound import Arrival, read_meta
from libs.runtime.tx import adapter_of
from libs.runtime.wiring import Parts
from services.application.main import service as application
from services.collateral.main import service as collateral
from services.console.main import service as console
from services.guarantee.main import service as guarantee
from services.incentive.main import service as incentive
from services.rating.main import service as rating
from tests.harness.bench import Bench

SERVICES = (application, rating, collateral, guarantee, incentive, console)
STAND_INS = {"core_bank": core_bank.app, "partner": desk.app}
PARTITIONS = 12
CLOCK = "clock"


@dataclass(slots=True)
class Road:
    """What one reader still has to get from one partition of one topic, in the order of its offsets."""

    reader: str
    topic: str
    part: int
    waiting: deque[Arrival] = field(default_factory=deque)


class Carrier(Protocol):
    """Decides what is delivered next; the router has already taken out what cannot move yet."""

    def next_batch(self, roads: Sequence[Road]) -> tuple[str, list[Arrival]]:
        """Take a reader's next batch off `roads` (none is empty); a tick travels alone."""

    def second_copies(self) -> tuple[str, list[Arrival]] | None:
        """A reader and what it gets once more now, or None."""

    def pauses(self) -> bool:
        """Whether outboxes and partners have a turn before the next delivery."""

    def may_lag(self, reader: str) -> bool:
        """Whether this reader, which only looks on, may stay behind at the end of a phase."""

    def hold_nothing(self) -> None:
        """From now on second copies are due at once and nobody lags."""


class InOrder:
    """Everything once, as soon as it is there, in the order it was published."""

    def next_batch(self, roads: Sequence[Road]) -> tuple[str, list[Arrival]]:
        """All that waits for the first road's reader; its tick last and alone."""
        reader = roads[0].reader
        mine = [road for road in roads if road.reader == reader and road.topic != CLOCK]
        if not mine:
            return reader, [roads[0].waiting.popleft()]
        batch = [arrival for road in mine for arrival in road.waiting]
        for road in mine:
            road.waiting.clear()
        return reader, batch

    def second_copies(self) -> None:
        """Nothing comes twice."""

    def pauses(self) -> bool:
        """Outboxes and partners wait until everything is delivered."""
        return False

    def may_lag(self, reader: str) -> bool:  # noqa: ARG002 - the carrier's word
        """Nobody does."""
        return False

    def hold_nothing(self) -> None:
        """Nothing is held."""


class Switchboard(httpx.AsyncBaseTransport):
    """Connects a request to the application that its host names, in this process."""

    def __init__(self, apps: Mapping[str, Any]) -> None:
        self._doors = {name: httpx.ASGITransport(app=app) for name, app in apps.items()}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The application's answer."""
        return await self._doors[request.url.host].handle_async_request(request)


class _Calls(Caller):
    """The real worker of outbound calls, with the stand-ins reached in this process, one round at a time."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        wire = Switchboard(STAND_INS)
        self._clients = {name: httpx.AsyncClient(transport=wire, base_url=f"http://{name}") for name in STAND_INS}

    async def round(self) -> int:
        """Make every call that is due; returns how many there were."""
        return await self._round()


class Router:
    """Takes events from the outboxes and hands them to their readers; the driver sees it as the scheduler."""

    def __init__(self, benches: Mapping[str, Bench], carrier: Carrier) -> None:
        self.benches, self.carrier = benches, carrier
        self.journal: list[Entry] = []
        self.opened: list[date] = []
        self._calls = {name: _Calls(bench.parts) for name, bench in benches.items() if bench.service.partners}
        self._roads: dict[tuple[str, str, int], Road] = {}
        self._parts: dict[str, int] = {}
        self._reached: dict[str, dict[str, int]] = {}
        self.delivered, self.delivered_again = 0, 0

    # --- what the driver asks of a scheduler ------------------------------------------------------------------

    async def open_day(self, day: date) -> None:
        """Publish the tick that opens `day`, with the offsets reached."""
        body = DayClosed(closed=day - timedelta(days=1), open=day, reached=self._reached)
        kind = kind_of(body)
        self.opened.append(day)
        headers = {
            "ce_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{CLOCK}:{day}")),
            "ce_type": kind.type,
            "ce_source": f"/silverbear/{CLOCK}",
            "ce_partitionkey": CLOCK,
            "ce_sequence": str(len(self.opened)),
            "ce_businessdate": day.isoformat(),
            "ce_time": "2026-01-01T00:00:00+00:00",
        }
        payload = adapter_of(kind.body).dump_json(body).decode()
        tick = Arrival(CLOCK, 0, len(self.opened), headers, payload, read_meta(headers))
        for name in self.benches:
            self._road(name, CLOCK, 0).waiting.append(tick)

    async def quiet(self) -> None:
        """Hand on everything there is, and what comes of it; second copies and onlookers may come later."""
        busy = True
        while busy:
            busy = await self._collect() > 0
            while await self._deliver():
                busy = True
                if self.carrier.pauses():
                    break
            busy = await self._call() > 0 or busy

    async def settle(self) -> None:
        """The same, and the last second copies too."""
        self.carrier.hold_nothing()
        await self.quiet()

    async def next_due(self) -> date | None:
        """The earliest timer of any service."""
        found = [await _value(bench.parts, "SELECT min(due) FROM timers") for bench in self.benches.values()]
        return min((due for due in found if due), default=None)

    # --- the wire ---------------------------------------------------------------------------------------------

    async def _collect(self) -> int:
        """Take the outboxes onto the roads, each row with the next offset of its partition."""
        taken = 0
        for bench in self.benches.values():
            async with bench.parts.engine.begin() as conn:
                rows = await conn.exec_driver_sql(
                    "WITH gone AS (DELETE FROM outbox RETURNING id, topic, key, headers, payload)"
                    " SELECT topic, key, headers, payload FROM gone ORDER BY id"
                )
                for topic, key, headers, payload in rows:
                    self._publish(topic, key, json.loads(headers), payload)
                    taken += 1
        return taken

    def _publish(self, topic: str, key: str, headers: dict[str, str], payload: str) -> None:
        part = self._parts.setdefault(key, len(self._parts) % PARTITIONS)
        offsets = self._reached.setdefault(topic, {})
        offsets[str(part)] = offsets.get(str(part), -1) + 1
        arrival = Arrival(topic, part, offsets[str(part)], headers, payload, read_meta(headers))
        assert arrival.meta is not None
        meta = arrival.meta
        self.journal.append(Entry(meta.id, meta.type, key, meta.sequence, meta.business_date, json.loads(payload)))
        for name, bench in self.benches.items():
            if topic in bench.service.reads:
                self._road(name, topic, part).waiting.append(arrival)

    def _road(self, reader: str, topic: str, part: int) -> Road:
        return self._roads.setdefault((reader, topic, part), Road(reader, topic, part))

    async def _deliver(self) -> bool:
        """One batch to one reader; False when nothing that must move is left."""
        copies = self.carrier.second_copies()
        if copies is not None:
            await self._hand_over(*copies)
            self.delivered_again += len(copies[1])
            return True
        movable = [road for road in self._roads.values() if road.waiting and self._may_move(road)]
        if all(self.carrier.may_lag(road.reader) for road in movable):
            return False
        reader, batch = self.carrier.next_batch(movable)
        await self._hand_over(reader, batch)
        self.delivered += len(batch)
        return True

    async def _hand_over(self, reader: str, batch: Sequence[Arrival]) -> None:
        bench = self.benches[reader]
        if batch[0].topic != CLOCK:
            await bench.deliver(*batch)
            return
        for tick in batch:
            await Daybreak(bench.parts).open(tick)
        await bench.parts.open_date()

    def _may_move(self, road: Road) -> bool:
        """An event waits for its day, as in the consumer; a tick for the offsets it names, or it would block us all."""
        first = road.waiting[0]
        if road.topic != CLOCK:
            return first.date <= self.benches[road.reader].parts.open_on
        reached = json.loads(first.payload)["reached"]
        return not any(
            other.waiting[0].offset <= reached.get(other.topic, {}).get(str(other.part), -1)
            for other in self._roads.values()
            if other.reader == road.reader and other.topic != CLOCK and other.waiting
        )

    async def _call(self) -> int:
        made = 0
        for calls in self._calls.values():
            made += await calls.round()
        return made


@dataclass(slots=True)
class World:
    """A finished run: what was published, and what every service knows."""

    journal: list[Entry]
    dumps: dict[str, dict[str, list[str]]]
    parked: dict[str, list[str]]
    applied: dict[str, dict[str, int]]
    days: int
    delivered: int
    delivered_again: int

    @property
    def types(self) -> set[str]:
        """The wire names that occurred."""
        return {entry.type.rpartition(".")[0] for entry in self.journal}


@asynccontextmanager
async def _benches(admin_url: str, folder: Path, profile: str) -> AsyncIterator[dict[str, Bench]]:
    async with AsyncExitStack() as stack:
        yield {
            service.name: await stack.enter_async_context(
                Bench(service, admin_url, folder, profile=profile, pool_size=24)
            )
            for service in SERVICES
        }


async def tell(lives: Sequence[Life], admin_url: str, folder: Path, carrier: Carrier) -> World:
    """Drive `lives` of one profile from their first day to their last through all services on a fresh database."""
    profile = lives[0].profile
    async with _benches(admin_url, folder, profile) as benches:
        apps = {**{name: bench.service.app for name, bench in benches.items()}, **STAND_INS}
        urls = {name: [f"http://{name}"] for name in apps}
        # One request at a time: with the same seed a run can be repeated.
        client = Client(urls, benches["application"].issuer, transport=Switchboard(apps), at_once=1)
        router = Router(benches, carrier)
        branch = Branch(profile, min(life.applied_on for life in lives))
        moves = generator.indices(lives, 1)
        await Replay(lives, moves, branch, client, router, "http://partner", lambda _: None).run()
        await client.close()
        return World(
            journal=router.journal,
            dumps={name: await _dump(bench, router.journal) for name, bench in benches.items()},
            parked={name: found for name, bench in benches.items() if (found := await bench.parked())},
            applied={name: await _applied(bench) for name, bench in benches.items()},
            days=len(router.opened),
            delivered=router.delivered,
            delivered_again=router.delivered_again,
        )


async def _dump(bench: Bench, journal: Iterable[Entry]) -> dict[str, list[str]]:
    refs = {entry.key: entry.body["external_ref"] for entry in journal if entry.type == "referral.received.v1"}
    return await canonical_dump(bench.parts.engine, bench.service.metadata, refs)


async def _applied(bench: Bench) -> dict[str, int]:
    async with bench.parts.engine.connect() as conn:
        rows = await conn.exec_driver_sql("SELECT type, count(*) FROM inbox GROUP BY type")
        found = dict(tuple(row) for row in rows)
    return {kind: found.get(kind, 0) for kind in bench.service.reactions}


async def _value(parts: Parts, statement: str) -> Any:
    async with parts.engine.connect() as conn:
        return (await conn.exec_driver_sql(statement)).scalar()
