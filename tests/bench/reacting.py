"""P3, the consumer: events a second taken from a backlog, each once, against bare consuming and inserting.

`python -m tests.bench.reacting reaction|bare|bare_one_statement COUNT` is one process of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.local.stack import PARTITIONS
from libs.runtime.consumer import Consumer
from libs.runtime.settings import read_settings
from libs.runtime.tx import adapter_of
from tests.bench import reader
from tests.bench.figures import Bench, Comparison, Side
from tests.bench.ground import DAY, Ground, administer, cancelled, check, run, tell, until
from tests.bench.relaying import HEADERS
from tests.harness.toy import referral

EVENTS_OF_A_KEY = 4
SECONDS_MAX = 300
BARE_SQL = """
CREATE TABLE rating.bare_inbox (event_id text PRIMARY KEY, type text NOT NULL);
CREATE TABLE rating.bare_records (event_id text PRIMARY KEY, facility_id text NOT NULL, external_ref text NOT NULL);
CREATE TABLE rating.bare_outbox (id bigserial PRIMARY KEY, key text NOT NULL, topic text NOT NULL,
    event_id text NOT NULL, headers jsonb NOT NULL, payload text NOT NULL);
CREATE INDEX ON rating.bare_records (facility_id);
CREATE INDEX ON rating.bare_outbox (key);
ALTER TABLE rating.bare_inbox OWNER TO silverbear_rating;
ALTER TABLE rating.bare_records OWNER TO silverbear_rating;
ALTER TABLE rating.bare_outbox OWNER TO silverbear_rating
"""
_INBOX = "INSERT INTO bare_inbox VALUES ($1, $2)"
_RECORD = "INSERT INTO bare_records VALUES ($1, $2, $3)"
_OUTBOX = "INSERT INTO bare_outbox (key, topic, event_id, headers, payload) VALUES ($1, 'rating', $2, $3, $4)"
_TOGETHER = """
WITH a AS (INSERT INTO bare_inbox VALUES ($1, $2)), b AS (INSERT INTO bare_records VALUES ($1, $3, $4))
INSERT INTO bare_outbox (key, topic, event_id, headers, payload) VALUES ($3, 'rating', $5, $6, $7)
"""


async def fill(bootstrap: str, topic: str, count: int) -> None:
    """The backlog: so many referrals, several of each facility, in their order."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    under_way = []
    keys = -(-count // EVENTS_OF_A_KEY)
    for number in range(count):
        key, sequence = f"facility-{number % keys:06}", str(1 + number // keys)
        body = adapter_of(type(referral("", ""))).dump_json(referral(key, f"r{number}"))
        own = {"ce_id": str(uuid.UUID(int=number)), "ce_subject": key, "ce_partitionkey": key, "ce_sequence": sequence}
        headers = [(name, text.encode()) for name, text in {**HEADERS, **own}.items()]
        under_way.append(await producer.send(topic, value=body, key=key.encode(), headers=headers))
    await asyncio.gather(*under_way)
    await producer.stop()


async def reaction(count: int) -> None:
    """The consumer of a service, alone in its process, until every event of the backlog is committed."""
    parts = reader.service.parts(read_settings())
    await parts.open_date()
    consumer = Consumer(parts)
    working = asyncio.create_task(consumer.run())
    await asyncio.wait_for(consumer.ready.wait(), SECONDS_MAX)
    began = time.monotonic()

    async def done() -> bool:
        async with parts.engine.connect() as conn:
            found = await conn.exec_driver_sql("SELECT sum(\"offset\" + 1) FROM position WHERE topic = 'application'")
            return int(found.scalar() or 0) >= count

    await until(done, f"{count} events applied", seconds=SECONDS_MAX, pause=0.02)
    ended = time.monotonic()
    await cancelled(working)
    await parts.close()
    tell({"rate": count / (ended - began)})


async def bare(count: int, *, one_statement: bool) -> None:
    """One task per partition, one transaction per event: the same three inserts and nothing else."""
    settings = read_settings()
    topic = settings.topic_prefix + "application"
    pool = await asyncpg.create_pool(
        settings.database_url, min_size=PARTITIONS, max_size=PARTITIONS, server_settings={"search_path": "rating"}
    )
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    tps = [TopicPartition(topic, part) for part in range(PARTITIONS)]
    consumer.assign(tps)
    await consumer.seek_to_beginning(*tps)
    ends = await consumer.end_offsets(tps)
    began = time.monotonic()
    done = await asyncio.gather(*(_take(consumer, tp, ends[tp], pool, one_statement) for tp in tps))
    ended = time.monotonic()
    await consumer.stop()
    await pool.close()
    assert sum(done) == count
    tell({"rate": count / (ended - began)})


async def _take(consumer: Any, tp: TopicPartition, end: int, pool: Any, one_statement: bool) -> int:
    done = 0
    codec = adapter_of(type(referral("", "")))
    async with pool.acquire() as conn:
        while done < end:
            fetched = await consumer.getmany(tp, timeout_ms=500, max_records=500)
            for message in fetched.get(tp, ()):
                headers = {name: value.decode() for name, value in message.headers}
                body = codec.validate_json(message.value)
                id_, told = headers["ce_id"], json.dumps({**headers, "ce_id": str(uuid.uuid4())})
                if one_statement:
                    words = (id_, headers["ce_type"], body.facility_id, body.external_ref)
                    await conn.execute(_TOGETHER, *words, str(uuid.uuid4()), told, message.value.decode())
                else:
                    async with conn.transaction():
                        await conn.execute(_INBOX, id_, headers["ce_type"])
                        await conn.execute(_RECORD, id_, body.facility_id, body.external_ref)
                        await conn.execute(_OUTBOX, body.facility_id, str(uuid.uuid4()), told, message.value.decode())
                done += 1
    return done


@contextmanager
def prepared(ground: Ground, facts: dict[str, str]) -> Iterator[dict[str, Side]]:
    """Every side reads the same backlog from its beginning into a database of its own.

    One that was emptied for it would be looked at by autovacuum before it fills: plans made then take no index.
    """
    stack = ground.stack()
    count = ground.size
    run(fill(ground.bootstrap, stack.topic_prefix + "application", count))

    def measured(way: str, prefix: str, settings: dict[str, str]) -> Side:
        def measure() -> dict[str, float]:
            stack.admin_url = ground.database()
            administer(stack.admin_url, reader.CREATE_SQL, BARE_SQL, "CHECKPOINT")
            env = {**stack.environment("rating", settings), "SEEN": ""}
            found = ground.work(way, __name__, way, str(count), env=env)
            check(stack.admin_url, {f"rating.{prefix}{table}": count for table in ("inbox", "records", "outbox")})
            return found

        return measure

    facts["backlog"] = (
        f"{EVENTS_OF_A_KEY} events each of {-(-count // EVENTS_OF_A_KEY):,} facilities, {PARTITIONS} partitions"
    )
    facts["business date"] = DAY
    yield {
        "bare": measured("bare", "bare_", {}),
        "reaction": measured("reaction", "", {"LANES": "2"}),
        "bare_one_statement": measured("bare_one_statement", "bare_", {}),
    }


BENCH = Bench(
    id="P3",
    title="a reaction to an event",
    told=(
        "A service that keeps one row and publishes one event for each event it reads (`tests/bench/reader.py`), its"
        " consumer with the default settings in a process of its own, on a backlog: keys locked, order and repetition"
        " checked, effect, inbox, cursor, outbox and position in one transaction for each batch. Baseline: aiokafka and"
        " asyncpg alone, one task per partition, one transaction of three inserts (inbox, effect, outbox) per event, no"
        " check of anything; and the same with the three inserts as one statement. Rows are counted afterwards."
    ),
    prepared=prepared,
    comparisons=(
        Comparison(
            what="events a second", ours="reaction.rate", baseline="bare.rate", unit="/s", solid=0.75, reach=2.0
        ),
        Comparison(
            what="of inserts in one statement",
            ours="reaction.rate",
            baseline="bare_one_statement.rate",
            unit="/s",
            solid=0.75,
            reach=2.0,
        ),
    ),
    size=20_000,
    size_is="events",
)


def main(way: str, number: str) -> None:
    """One process."""
    uvloop.run(reaction(int(number)) if way == "reaction" else bare(int(number), one_statement=way != "bare"))


if __name__ == "__main__":
    main(*sys.argv[1:])
