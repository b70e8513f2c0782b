"""The tables and SQL of collateral: a file of facts per facility, its items, and the price indices."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlalchemy import Index

from libs.kernel.errors import NotFound
from libs.runtime.shelf import Shelf
from libs.runtime.tables import service_metadata
from libs.runtime.tx import Tx
from services.collateral.domain.file import SecurityFile
from services.collateral.domain.item import HELD, Item
from services.collateral.domain.revaluation import IndexLevel, IndexSeries

REVALUE = "collateral.revalue"  # the timer that an index level sets for every facility it concerns

metadata = service_metadata()
FILES = Shelf(metadata, "files", SecurityFile, id="facility_id")
ITEMS = Shelf(metadata, "items", Item, id="collateral_id")
LEVELS = Shelf(metadata, "index_levels", IndexLevel, id="level_id", group="series")
SERIES = Shelf(metadata, "index_series", IndexSeries, id="series", group="series")

Index("ix_items_index_series", ITEMS.table.c.index_series)  # an index move finds every item it concerns


async def item(tx: Tx, facility_id: str, number: int) -> Item:
    """The facility's item with this number; raises NotFound."""
    for found in await tx.of(ITEMS, facility_id):
        if found.number == number:
            return found
    raise NotFound("item_not_found", f"{facility_id} has no item {number}")


async def base_level(tx: Tx, series: str, on: date) -> Decimal | None:
    """The index level in force on `on`: the latest one until then, else the first one after it, None without any."""
    rows = await tx.sql(
        'SELECT value FROM index_levels WHERE series = $1 ORDER BY ("on" <= $2) DESC, abs("on" - $2) LIMIT 1',
        series,
        on,
    )
    return next((row["value"] for row in rows), None)


async def set_revaluations(tx: Tx, series: str) -> int:
    """Let the next tick revalue every facility that holds an item of `series`; returns how many."""
    return len(await tx.sql(_SET_REVALUATIONS_SQL, series, tx.date, REVALUE, list(HELD)))


async def lock_index_to_publish(tx: Tx, series: str) -> None:
    """Keep registrations on `series` out until this level is committed, so that no item misses it."""
    await tx.sql("SELECT pg_advisory_xact_lock(hashtext('index'), hashtext($1))", series)


async def lock_index_to_follow(tx: Tx, series: str) -> None:
    """Keep new levels of `series` out until this registration is committed; other registrations may pass."""
    await tx.sql("SELECT pg_advisory_xact_lock_shared(hashtext('index'), hashtext($1))", series)


_SET_REVALUATIONS_SQL = """
INSERT INTO timers (kind, ref, key, due)
SELECT DISTINCT $3::text, facility_id, facility_id, $2::date FROM items
WHERE index_series = $1 AND status = ANY($4::text[]) ORDER BY facility_id -- two series never deadlock
ON CONFLICT (kind, ref) DO UPDATE SET due = LEAST(timers.due, excluded.due) RETURNING ref
"""
