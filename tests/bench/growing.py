"""P6, growth: what one event costs rating when ten thousand, a hundred thousand or a million facilities are stored.

`python -m tests.bench.growing file FOLDER ADMIN_URL` prepares a few real files, and
`python -m tests.bench.growing rate FOLDER FIRST COUNT STORED` takes events for some of those stored.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import md5
from pathlib import Path
from typing import Any

import uvloop

from deploy.demo import generator
from deploy.demo.journey import Journey
from libs.runtime.consumer import Consumer
from libs.runtime.inbound import Arrival, read_meta
from libs.runtime.settings import read_settings
from services.rating.main import service
from services.rating.store import DOSSIERS
from tests.bench.direct import branch_of, world
from tests.bench.figures import Bench, Comparison, Side, Wrong
from tests.bench.ground import Ground, administer, ask, tell

FILES, DRAWN = 20, 400
FRESH = timedelta(days=30)
STORED = {"ten_thousand": 10_000, "hundred_thousand": 100_000, "million": 1_000_000}
STRIDE = 7_919
"""Prime to every number stored: facilities are taken from all over the tables, none twice."""
WARM_EVENTS = 200
BATCH = 100
LAST = "investigation.reconciled.v1"


def key_of(number: int) -> str:
    """The facility with this number: as scattered as random ids."""
    return str(uuid.UUID(md5(str(number).encode()).hexdigest()))  # noqa: S324 - only scattered


async def file(folder: Path, admin_url: str) -> None:
    """Bring a few lives to where rating has everything but the findings; the events of the findings are kept aside."""
    drawn = list(generator.generate(DRAWN, 1))
    day = max(life.applied_on for life in drawn)
    fresh = [life for life in drawn if day - life.applied_on <= FRESH]  # else rating waits for newer sources
    lives = fresh[:FILES]
    found = []
    async with world(admin_url, folder, lives[0].profile) as (client, router):
        await router.open_day(day)
        await router.quiet()
        branch = branch_of(lives)
        await branch.open(client)
        for number, life in enumerate(lives):
            await Journey(life, number, branch, client, "http://partner").apply()
        async with router.benches["application"].parts.engine.connect() as conn:
            rows = await conn.exec_driver_sql("SELECT key, headers, payload FROM outbox ORDER BY id")
            told = [(key, json.loads(headers), payload) for key, headers, payload in rows]
        for key, headers, payload in told:
            if headers["ce_type"] == LAST:
                found.append({"key": key, "headers": headers, "payload": json.loads(payload)})
        keys = {one["key"]: int(one["headers"]["ce_sequence"]) for one in found}
        before = [
            Arrival("application", 0, place, headers, payload, read_meta(headers))
            for place, (key, headers, payload) in enumerate(told)
            if key in keys and int(headers["ce_sequence"]) < keys[key]
        ]
        await router.benches["rating"].deliver(*before)
    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")
    tell({"files": float(len(found))})


def fill(admin_url: str, folder: Path, stored: int) -> None:
    """Store so many facilities, each a copy of one of the files, with its stream, cursor and inbox rows."""
    found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    rest = ", ".join(f'"{name}"' for name in DOSSIERS.columns if name != "facility_id")
    keys = ", ".join(f"({place}, '{one['key']}')" for place, one in enumerate(found))
    numbers = f"generate_series(1, {stored}) AS n JOIN file f ON f.place = n % {len(found)}"
    administer(
        admin_url,
        f"CREATE TABLE rating.file AS SELECT * FROM (VALUES {keys}) AS f(place, template)",
        *(
            f"WITH file AS (SELECT * FROM rating.file) {statement % {'new': 'md5(n::text)::uuid::text', 'n': numbers}}"
            for statement in (
                f"INSERT INTO rating.dossiers (facility_id, {rest}) SELECT %(new)s, {rest} FROM %(n)s"
                " JOIN rating.dossiers d ON d.facility_id = f.template",
                "INSERT INTO rating.stream (key, seq, version, org) SELECT %(new)s, s.seq, s.version, s.org FROM %(n)s"
                " JOIN rating.stream s ON s.key = f.template",
                "INSERT INTO rating.cursor SELECT c.publisher, %(new)s, c.seq FROM %(n)s"
                " JOIN rating.cursor c ON c.key = f.template",
                "INSERT INTO rating.inbox SELECT md5('e' || n)::uuid::text, 'application.submitted.v1' FROM %(n)s",
            )
        ),
        "VACUUM (ANALYZE) rating.dossiers, rating.stream, rating.cursor, rating.inbox",
        "CHECKPOINT",
    )


async def rate(folder: Path, first: int, count: int, stored: int) -> None:
    """Take the findings of `count` facilities from all over the tables, a hundred in a transaction."""
    found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    parts = service.parts(read_settings())
    await parts.open_date()
    consumer = Consumer(parts)
    arrivals = [_arrival(found, 1 + (first + place) * STRIDE % stored, first + place) for place in range(count)]
    batches = [arrivals[place : place + BATCH] for place in range(0, count, BATCH)]
    warm, rest = batches[: WARM_EVENTS // BATCH], batches[WARM_EVENTS // BATCH :]
    for batch in warm:
        await consumer.apply(batch)
    began = time.monotonic()
    for batch in rest:
        await consumer.apply(batch)
    ended = time.monotonic()
    await parts.close()
    tell({"ms": (ended - began) * 1000 / sum(map(len, rest))})


def _arrival(found: list[dict[str, Any]], number: int, offset: int) -> Arrival:
    one, key = found[number % len(found)], key_of(number)
    headers = {**one["headers"], "ce_id": str(uuid.uuid4()), "ce_subject": key, "ce_partitionkey": key}
    return Arrival(
        "application", 0, offset, headers, json.dumps({**one["payload"], "facility_id": key}), read_meta(headers)
    )


@dataclass(slots=True)
class _Stored:
    """One database with so many facilities, and how many of them have been rated."""

    admin_url: str
    stored: int
    rated: int = 0


@contextmanager
def prepared(ground: Ground, facts: dict[str, str]) -> Iterator[dict[str, Side]]:
    """Three databases, filled once; every measurement takes facilities that none took before."""
    folder = ground.home / "files"
    folder.mkdir()
    sides: dict[str, Side] = {}

    def side(place: _Stored) -> Side:
        def measure() -> dict[str, float]:
            count = ground.size + WARM_EVENTS
            if place.rated + count > place.stored:
                raise Wrong(f"only {place.stored} facilities are stored: take a smaller SIZE or fewer PAIRS")
            stack = ground.stack(place.admin_url)
            words = ("rate", str(folder), str(place.rated), str(count), str(place.stored))
            found = ground.work("rating", __name__, *words, env=stack.environment("rating"))
            place.rated += count
            rated = ask(place.admin_url, "SELECT count(*) FROM rating.dossiers WHERE rated_on IS NOT NULL")
            parked = ask(place.admin_url, "SELECT count(*) FROM rating.parked")
            if rated != place.rated or parked:
                raise Wrong(f"{rated} facilities rated and {parked} events parked where {place.rated} were to be rated")
            return found

        return measure

    for name, stored in STORED.items():
        admin_url = ground.database(day="")
        env = ground.stack(admin_url).environment("application")
        ground.work("file", __name__, "file", str(folder), admin_url, env=env)
        began = time.monotonic()
        fill(admin_url, folder, stored)
        size = ask(admin_url, "SELECT pg_size_pretty(pg_database_size(current_database()))")
        facts[f"{stored:,} facilities"] = f"{size}, filled in {time.monotonic() - began:.0f} s"
        sides[name] = side(_Stored(admin_url, stored))
    yield sides


BENCH = Bench(
    id="P6",
    title="growth",
    told=(
        "The event `investigation.reconciled` completes a file in rating, which checks, sizes and scores the"
        " borrower and publishes both results: the consumer's own code and the real rules, a hundred"
        " events in a transaction, for facilities scattered over all that are stored. Stored are copies of real files"
        " with their stream, cursor and inbox rows, filled by SQL. Baseline: the same with 10,000 facilities. Rated"
        " facilities are counted afterwards."
    ),
    prepared=prepared,
    comparisons=tuple(
        Comparison(
            what=f"time for an event at {STORED[name]:,} facilities",
            ours=f"{name}.ms",
            baseline="ten_thousand.ms",
            unit="ms",
            solid=1.3,
            reach=1.1,
            at_most=True,
        )
        for name in ("hundred_thousand", "million")
    ),
    size=1_500,
    size_is="events a side",
)


def main(way: str, folder: str, *words: str) -> None:
    """One process."""
    work = file(Path(folder), words[0]) if way == "file" else rate(Path(folder), *map(int, words))
    uvloop.run(work)


if __name__ == "__main__":
    main(*sys.argv[1:])
