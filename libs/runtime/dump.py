"""The canonical dump: what a service knows, without ids, wall times and chance: two runs of one story compare equal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.runtime.tables import service_metadata

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[57][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
CHANCE = "chance"
"""Marks (`column.info[CHANCE] = True`) what two runs of one story fill differently: a wall time, a ciphertext."""
_FRAMEWORK = frozenset(service_metadata().tables)


async def canonical_dump(
    engine: AsyncEngine, metadata: MetaData, names: Mapping[str, str] | None = None
) -> dict[str, list[str]]:
    """Every own table's rows as sorted JSON lines; an id becomes its name in `names` or the word `id`.

    Timers still waiting are part of what a service knows; the rest of the framework's rows are not.
    """
    known = names or {}
    dump: dict[str, list[str]] = {}
    async with engine.connect() as conn:
        for table in (*sorted(set(metadata.tables) - _FRAMEWORK), "timers"):
            chance = [column.name for column in metadata.tables[table].columns if column.info.get(CHANCE)]
            chance.append("traceparent")  # of a timer
            statement = f"SELECT (to_jsonb(t) - $1::text[])::text FROM {table} t"  # noqa: S608 - our own tables
            rows = await conn.exec_driver_sql(statement, (chance,))
            lines = [UUID.sub(lambda found: known.get(found[0], "id"), text) for (text,) in rows]
            dump[table] = sorted(json.dumps(json.loads(line), sort_keys=True, ensure_ascii=False) for line in lines)
    return dump
