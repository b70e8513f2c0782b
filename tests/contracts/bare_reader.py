"""Somebody else's reader: prints every record of a topic as JSON lines, with nothing but a Kafka client.

Run as a program with the broker's address, the topic and how many records to wait for; it imports nothing of ours,
and says which modules of ours were loaded all the same.
"""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal

from aiokafka import AIOKafkaConsumer

SECONDS_MAX = 30


async def read(bootstrap: str, topic: str, count: int) -> None:
    """Print `count` records, then what was loaded."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        async with asyncio.timeout(SECONDS_MAX):
            for _ in range(count):
                record = await consumer.getone()
                shown = {
                    "key": record.key.decode("utf-8"),
                    "headers": [[name, value.decode("utf-8")] for name, value in record.headers],
                    "body": json.loads(record.value, parse_float=Decimal),
                }
                print(json.dumps(shown))  # noqa: T201 - what this program is for
    finally:
        await consumer.stop()
    ours = sorted(name for name in sys.modules if name.partition(".")[0] in ("libs", "services", "deploy", "tests"))
    print(json.dumps({"ours": ours}))  # noqa: T201 - what this program is for


if __name__ == "__main__":
    asyncio.run(read(sys.argv[1], sys.argv[2], int(sys.argv[3])))
