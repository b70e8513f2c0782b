"""Searches everything that a run leaves behind for planted personal data, in every dress it might wear.

A value is looked for as it is, escaped as in ASCII JSON or in an address, in hexadecimal (how PostgreSQL prints bytea)
and in base64 at each of its three alignments: what only looks like a ciphertext is found too.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from aiokafka import AIOKafkaConsumer
from sqlalchemy.ext.asyncio import AsyncConnection

from deploy.demo.journal import partitions

ENCODED_MIN = 8
"""Characters of an encoded form below which it might stand anywhere by chance."""
Place = tuple[str, bytes]
"""Where something was found, and what stands there."""


def dresses(value: str) -> frozenset[bytes]:
    """Every form in which a value would be readable by anybody."""
    raw = value.encode()
    encoded = [raw.hex().encode()]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            # The first characters depend on what stands before, the last on what follows: what lies between does not.
            whole = encode(b"\0" * shift + raw)
            encoded.append(whole[(0, 2, 3)[shift] : len(whole) - (0, 3, 2)[(shift + len(raw)) % 3]])
    plain = (raw, json.dumps(value)[1:-1].encode(), quote(value).encode())
    return frozenset((*plain, *(form for form in encoded if len(form) >= ENCODED_MIN)))


def leaks(places: Iterable[Place], planted: Iterable[str]) -> list[tuple[str, str]]:
    """(place, planted value) of everything that can be read there."""
    wanted = [(dress, value) for value in planted for dress in dresses(value)]
    return sorted({(place, value) for place, content in places for dress, value in wanted if dress in content})


async def rows_of(conn: AsyncConnection, *schemas: str) -> AsyncIterator[Place]:
    """Every row of every table of the schemas (of all that there are without names), as PostgreSQL prints it."""
    tables = await conn.exec_driver_sql(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        " AND (cardinality($1::text[]) = 0 OR schemaname = ANY($1::text[])) ORDER BY 1, 2",
        (list(schemas),),
    )
    for schema, table in tables.all():
        found = await conn.exec_driver_sql(f'SELECT string_agg(t::text, chr(10)) FROM {schema}."{table}" t')
        yield f"{schema}.{table}", str(found.scalar() or "").encode()


async def records_of(bootstrap: str, topics: list[str]) -> AsyncIterator[Place]:
    """Every record of every topic as it lies in Kafka: key, headers and value."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=50)
    await consumer.start()
    try:
        parts = await partitions(bootstrap, topics)
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        for part in parts:
            consumer.seek(part, 0)
            while await consumer.position(part) < ends[part]:
                for records in (await consumer.getmany(part, timeout_ms=1000, max_records=5000)).values():
                    told = [(r.key or b"", *(value for _, value in r.headers), r.value or b"") for r in records]
                    yield f"topic {part.topic}", b"\n".join(b" ".join(parts) for parts in told)
    finally:
        await consumer.stop()


def logs_in(folder: Path) -> Iterator[Place]:
    """The log of every process, one process's restarts included."""
    for path in sorted(folder.glob("*.log")):
        yield f"log {path.name}", path.read_bytes()
