"""P2, the outbox relay: rows a second out of PostgreSQL into Kafka, against raw sends of the same payloads.

`python -m tests.bench.relaying relay|send|send_batch|write ROWS` is one process of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2

from deploy.local.stack import PARTITIONS
from libs.runtime.relay import Relay
from libs.runtime.settings import read_settings
from libs.runtime.tx import Cause, Tx
from services.application.main import service
from tests.bench.figures import Bench, Comparison, Side, Wrong
from tests.bench.ground import Ground, administer, ask, run, tell, until
from tests.harness.toy import referral

KEYS = 8_000
WARM_ROWS = 5_000
WRITES_PER_SECOND = 100
SECONDS_MAX = 300
ROWS_MAX = 10_000_000
HEADERS = {
    "ce_specversion": "1.0",
    "ce_id": "0192f3a1-7c55-7c3e-9d0a-4b6f1a2c3d4e",
    "ce_type": "referral.received.v1",
    "ce_source": "/silverbear/application",
    "ce_time": "2026-01-05T08:00:00.000000+00:00",
    "ce_dataschema": "/schemas/referral.received.v1.json",
    "ce_businessdate": "2026-01-05",
    "ce_actor": "manager",
    "ce_org": "zhejiang/hangzhou",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "content-type": "application/json",
}
PAYLOAD = json.dumps({"external_ref": "reference-000000", "channel": "web", "note": "n" * 400})


def rows_of(count: int) -> list[tuple[str, dict[str, str]]]:
    """Key and headers of so many events: what _FILL_SQL puts into the outbox."""
    found = []
    for number in range(1, count + 1):
        key, sequence = f"facility-{number % KEYS:05}", str(1 + number // KEYS)
        found.append((key, {**HEADERS, "ce_subject": key, "ce_partitionkey": key, "ce_sequence": sequence}))
    return found


_FILL_SQL = f"""
INSERT INTO application.outbox (key, topic, event_id, headers, payload)
SELECT key, 'application', number::text, '{json.dumps(HEADERS)}'::jsonb || jsonb_build_object(
    'ce_subject', key, 'ce_partitionkey', key, 'ce_sequence', (1 + number / {KEYS})::text), '{PAYLOAD}'
FROM (SELECT number, 'facility-' || lpad(mod(number, {KEYS})::text, 5, '0') AS key
      FROM generate_series(1, ROWS) AS number) n ORDER BY number
"""


async def relayed(count: int) -> None:
    """The relay of a service, alone in its process, until so many rows are acknowledged."""
    parts = service.parts(read_settings(*service.needs))
    relay = Relay(parts)
    working = asyncio.create_task(relay.run())
    seen: list[tuple[float, int]] = []

    async def told() -> bool:
        async with parts.engine.connect() as conn:
            found = (
                await conn.exec_driver_sql('SELECT COALESCE(sum("offset" + 1), 0)::bigint FROM published')
            ).scalar()
        if found and not seen:
            seen.append((time.monotonic(), int(found)))
        seen[1:] = [(time.monotonic(), int(found or 0))]
        return int(found or 0) >= count

    await until(told, f"{count} rows published", seconds=SECONDS_MAX, pause=0.02)
    (began, first), (ended, last) = seen
    relay.close()
    await working
    await parts.close()
    tell({"rate": (last - first) / (ended - began)})


async def send(count: int, *, batches: bool) -> None:
    """The same payloads from memory, sent by aiokafka itself with the relay's promises (idempotent, acks=all)."""
    settings = read_settings(*service.needs)
    rows, topic, value = rows_of(count + WARM_ROWS), settings.topic_prefix + "application", PAYLOAD.encode()
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    ways = _in_batches if batches else _one_by_one
    await ways(producer, topic, rows[count:], value)
    began = time.monotonic()
    await ways(producer, topic, rows[:count], value)
    ended = time.monotonic()
    await producer.stop()
    tell({"rate": count / (ended - began)})


async def _one_by_one(producer: Any, topic: str, rows: list[tuple[str, dict[str, str]]], value: bytes) -> None:
    """Pipelined: nothing is awaited before everything is on its way."""
    under_way = []
    for key, headers in rows:
        told = [(name, text.encode()) for name, text in headers.items()]
        under_way.append(await producer.send(topic, value=value, key=key.encode(), headers=told))
    await asyncio.gather(*under_way)


async def _in_batches(producer: Any, topic: str, rows: list[tuple[str, dict[str, str]]], value: bytes) -> None:
    """As few futures as there are batches; partitions by the same hash as the producer's."""
    open_ones: dict[int, Any] = {}
    under_way = []
    for key, headers in rows:
        part = (murmur2(key.encode()) & 0x7FFFFFFF) % PARTITIONS
        told = [(name, text.encode()) for name, text in headers.items()]
        batch = open_ones.setdefault(part, producer.create_batch())
        if batch.append(key=key.encode(), value=value, timestamp=None, headers=told) is None:
            under_way.append(await producer.send_batch(batch, topic, partition=part))
            open_ones[part] = batch = producer.create_batch()
            batch.append(key=key.encode(), value=value, timestamp=None, headers=told)
    for part, batch in open_ones.items():
        under_way.append(await producer.send_batch(batch, topic, partition=part))
    await asyncio.gather(*under_way)


async def write(per_second: int) -> None:
    """Commands that publish, at a steady pace, until ended."""
    parts = service.parts(read_settings(*service.needs))
    began, number = time.monotonic(), 0
    while True:
        number += 1
        async with parts.transaction() as unit:
            key = f"written-{number % KEYS:05}"
            await unit.lock([key])
            Tx(unit, Cause(actor="writer"), parts.open_on).publish(referral(key, f"w{number}"))
            await unit.flush()
        await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))


async def ends(bootstrap: str, topic: str) -> int:
    """How many records there are in a topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    found = await consumer.end_offsets([TopicPartition(topic, part) for part in range(PARTITIONS)])
    await consumer.stop()
    return sum(found.values())


@contextmanager
def prepared(ground: Ground, facts: dict[str, str]) -> Iterator[dict[str, Side]]:
    """Relay and raw sends, each with the same writers beside it."""
    stack = ground.stack()
    admin, count = stack.admin_url, ground.size

    def measured(way: str) -> Side:
        def measure() -> dict[str, float]:
            administer(admin, "TRUNCATE application.outbox, application.published, application.stream")
            if way == "relay":
                administer(admin, _FILL_SQL.replace("ROWS", str(count)))
            administer(admin, "VACUUM ANALYZE application.outbox", "CHECKPOINT")
            prefix = ground.topics({"application": PARTITIONS})
            env = stack.environment("application", {"TOPIC_PREFIX": prefix, "OUTBOX_ROWS_MAX": str(ROWS_MAX)})
            writers = ground.begin("writer", __name__, "write", str(WRITES_PER_SECOND), env=env)
            found = ground.work(way, __name__, way, str(count), env=env)
            writers.check_running()
            ground.end("writer")
            sent = run(ends(ground.bootstrap, prefix + "application"))
            left = ask(admin, "SELECT count(*) FROM application.outbox")
            written = ask(admin, "SELECT COALESCE(sum(seq), 0) FROM application.stream")
            wanted = count + written - left if way == "relay" else count + WARM_ROWS
            if sent != wanted:
                raise Wrong(f"{way}: {sent} records in Kafka where {wanted} were to be")
            return found

        return measure

    facts["writers"] = (
        f"{WRITES_PER_SECOND} publishing transactions a second beside every side, in a process of their own"
    )
    facts["records"] = (
        f"{len(PAYLOAD)} bytes and {len(HEADERS) + 3} headers each, {KEYS:,} keys, {PARTITIONS} partitions"
    )
    measured("send")()  # a broker that just started is half as fast
    yield {name: measured(name) for name in ("send", "relay", "send_batch")}


BENCH = Bench(
    id="P2",
    title="the outbox relay",
    told=(
        "The relay of `libs/runtime/relay.py` in a process of its own empties an outbox into Kafka: it reads, sends,"
        " waits for the acknowledgement of all replicas, deletes, and notes the offsets. Baselines: aiokafka alone with"
        " the same records from memory, by `send` (pipelined) and by `send_batch`. Afterwards the records in Kafka are"
        " counted: each row once."
    ),
    prepared=prepared,
    comparisons=(
        Comparison(
            what="rows a second, of `send`", ours="relay.rate", baseline="send.rate", unit="/s", solid=0.8, reach=0.95
        ),
        Comparison(
            what="rows a second, of `send_batch`",
            ours="relay.rate",
            baseline="send_batch.rate",
            unit="/s",
            solid=0.5,
            reach=0.65,
        ),
    ),
    size=80_000,
    size_is="rows",
)


def main(way: str, number: str) -> None:
    """One process."""
    works = {"relay": relayed, "write": write}
    work = works[way](int(number)) if way in works else send(int(number), batches=way == "send_batch")
    uvloop.run(work)


if __name__ == "__main__":
    main(*sys.argv[1:])
