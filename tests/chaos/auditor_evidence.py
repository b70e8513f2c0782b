"""Gathers what the auditor judges: every row, every record of every topic, and the order in which marks were made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tests.chaos.auditor import Evidence, Record, Rows

SERVICES = ("application", "rating", "collateral", "guarantee", "incentive", "console")
TOPICS = ("application", "rating", "collateral", "guarantee", "incentive", "clock")

# The marks of all services, numbered in the order in which they were made: a key's changes are serial, so this is
# the order in which its effects happened.
WITNESS_SQL = """
CREATE SCHEMA audit;
CREATE TABLE audit.applied (n bigserial PRIMARY KEY, service text NOT NULL, event_id text NOT NULL);
CREATE FUNCTION audit.witness() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = audit AS $$
BEGIN INSERT INTO audit.applied (service, event_id) VALUES (TG_TABLE_SCHEMA, NEW.event_id); RETURN NULL; END $$;
GRANT USAGE ON SCHEMA audit TO PUBLIC;
"""


async def place_witness(admin_url: str) -> None:
    """Let triggers note every mark that a service makes from now on."""
    conn = await asyncpg.connect(admin_url)
    try:
        await conn.execute(WITNESS_SQL)
        for service in SERVICES:
            await conn.execute(
                f"CREATE TRIGGER witness AFTER INSERT ON {service}.inbox FOR EACH ROW EXECUTE FUNCTION audit.witness()"
            )
    finally:
        await conn.close()


async def gather(
    admin_url: str,
    bootstrap: str,
    prefix: str,
    *,
    commands: Rows,
    payments: Rows,
    poison: Iterable[tuple[str, int, int, str]] = (),
) -> Evidence:
    """Everything of one run; `poison` are topic, partition, offset and id of what was thrown in."""
    thrown = list(poison)
    conn = await asyncpg.connect(admin_url)
    try:
        tables = {service: await _tables(conn, service) for service in SERVICES}
        applied = await conn.fetch("SELECT service, event_id FROM audit.applied ORDER BY n")
    finally:
        await conn.close()
    places = {(topic, part, offset) for topic, part, offset, _ in thrown}
    records = [r for r in await read_topics(bootstrap, prefix) if (r.topic, r.part, r.offset) not in places]
    for row in (row for service in SERVICES for row in tables[service]["requests"]):
        row["answer"] = json.loads(row["body"]) if row["body"].startswith(("{", "[")) else row["body"]
    return Evidence(
        records=records,
        tables=tables,
        commands=commands,
        applied=[(row["service"], row["event_id"]) for row in applied],
        payments=payments,
        poison=frozenset(name for thing in thrown for name in _names(*thing)),
    )


def _names(topic: str, part: int, offset: int, id_: str) -> tuple[str, ...]:
    """What a thrown-in event may be called where it was discarded."""
    return id_, f"undecodable:{topic}:{part}:{offset}", f"undecodable:{topic}:{offset}"


async def _tables(conn: Any, schema: str) -> dict[str, Rows]:
    names = await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1", schema)
    found: dict[str, Rows] = {}
    for (name,) in names:
        rows = await conn.fetch(f"SELECT to_jsonb(t)::text FROM {schema}.{name} t")
        found[name] = [json.loads(text, parse_float=Decimal) for (text,) in rows]
    return found


async def read_topics(bootstrap: str, prefix: str) -> list[Record]:
    """Every record of every topic, partition by partition; one that cannot be read is shown as it is."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=50)
    await consumer.start()
    found: list[Record] = []
    try:
        parts = await _partitions(bootstrap, [prefix + topic for topic in TOPICS])
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        for part in parts:
            consumer.seek(part, 0)
            while await consumer.position(part) < ends[part]:
                for records in (await consumer.getmany(part, timeout_ms=1000, max_records=5000)).values():
                    found += [_record(record, prefix) for record in records]
    finally:
        await consumer.stop()
    return found


async def _partitions(bootstrap: str, topics: Sequence[str]) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    return sorted(TopicPartition(each["topic"], part["partition"]) for each in described for part in each["partitions"])


def _record(record: Any, prefix: str) -> Record:
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    place = {"topic": record.topic.removeprefix(prefix), "part": record.partition, "offset": record.offset}
    try:
        return Record(
            **place,
            id=headers["ce_id"],
            type=headers["ce_type"],
            source=headers["ce_source"],
            key=headers["ce_partitionkey"],
            sequence=int(headers["ce_sequence"]),
            on=headers["ce_businessdate"],
            actor=headers.get("ce_actor", ""),
            cause=headers.get("ce_causationid", ""),
            body=json.loads(record.value, parse_float=Decimal),
        )
    except (KeyError, ValueError, TypeError):
        unreadable = f"unreadable:{record.topic}:{record.partition}:{record.offset}"
        return Record(
            **place, id=unreadable, type="unreadable", source=unreadable, key=unreadable, sequence=1, on="", body={}
        )
