"""Reads every topic from its beginning with a bare consumer: the platform's journal, independent of its databases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.kernel.money import Money


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
    """Every event of `topics`, per topic and partition in the order of its offsets; copies of one id are kept once."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=50)
    await consumer.start()
    entries: dict[str, Entry] = {}
    try:
        parts = [
            TopicPartition(topic, part)
            for topic in topics
            for part in sorted(consumer.partitions_for_topic(topic) or await _partitions(consumer, topic))
        ]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        await consumer.seek_to_beginning(*parts)
        for part in parts:
            while await consumer.position(part) < ends[part]:
                for records in (await consumer.getmany(part, timeout_ms=1000, max_records=5000)).values():
                    for record in records:
                        entry = _entry(record)
                        entries.setdefault(entry.id, entry)
    finally:
        await consumer.stop()
    return list(entries.values())


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer._client.add_topic(topic)  # noqa: SLF001 - a consumer without a subscription learns of topics only so
    await consumer._client.force_metadata_update()  # noqa: SLF001 - the same
    found: set[int] = consumer.partitions_for_topic(topic) or set()
    return found


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
