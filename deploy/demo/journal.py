"""Reads every topic from its beginning with a bare consumer: the platform's journal, independent of its databases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from libs.kernel.money import Money


class JournalTorn(RuntimeError):
    """The broker no longer has the first events of a partition: nothing drawn from it would be true."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as it lies in Kafka."""

    id: str
    type: str
    key: str
    sequence: int
    on: date
    body: dict[str, Any]

    def money(self, field: str) -> Money:
        """An amount of the body."""
        return Money(Decimal(self.body[field]["amount"]), self.body[field]["currency"])


async def read_journal(bootstrap: str, topics: list[str]) -> list[Entry]:
    """Every event of `topics`, per topic and partition in the order of its offsets; copies of one id are kept once.

    Raises JournalTorn when the broker has dropped any.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=50)
    entries: dict[str, Entry] = {}
    try:
        await consumer.start()
        parts = await partitions(bootstrap, topics)
        consumer.assign(parts)
        lost = [
            f"{part.topic} {part.partition}" for part, at in (await consumer.beginning_offsets(parts)).items() if at
        ]
        if lost:
            raise JournalTorn(f"the broker has dropped the oldest events of {', '.join(lost)}: no report can be drawn")
        ends = await consumer.end_offsets(parts)
        for part in parts:
            consumer.seek(part, 0)
            while await consumer.position(part) < ends[part]:
                for records in (await consumer.getmany(part, timeout_ms=1000, max_records=5000)).values():
                    for record in records:
                        entry = _entry(record)
                        entries.setdefault(entry.id, entry)
    finally:
        await consumer.stop()
    return list(entries.values())


async def partitions(bootstrap: str, topics: list[str]) -> list[TopicPartition]:
    """All partitions of `topics`."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics(topics)
    finally:
        await admin.close()
    return sorted(
        TopicPartition(found["topic"], part["partition"]) for found in described for part in found["partitions"]
    )


def _entry(record: Any) -> Entry:
    headers = {name: value.decode() for name, value in record.headers}
    return Entry(
        id=headers["ce_id"],
        type=headers["ce_type"],
        key=headers["ce_partitionkey"],
        sequence=int(headers["ce_sequence"]),
        on=date.fromisoformat(headers["ce_businessdate"]),
        body=json.loads(record.value),
    )
