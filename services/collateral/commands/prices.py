"""Prices move values: an index level reaches every held item, and a fall or a shortfall is told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from libs.events.collateral import CollateralRevalued, ShortfallFound
from libs.kernel.errors import Refused
from libs.kernel.policy import Dated
from libs.runtime.tx import Tx
from services.collateral import store, views
from services.collateral.domain import capacity, revaluation
from services.collateral.domain.file import SecurityFile, owed
from services.collateral.domain.item import Item, held, valuation_of
from services.collateral.domain.revaluation import IndexLevel, IndexSeries, RevaluationTerms
from services.collateral.domain.valuation import ValuationTerms
from services.collateral.store import FILES, ITEMS, LEVELS, REVALUE, SERIES


async def record_level(tx: Tx, series: str, on: date, value: Decimal) -> views.LevelReceipt:
    """Store an index level; the latest one reaches every held item of its series with the next business day."""
    if on > tx.date:
        raise Refused("index_from_the_future", f"{on} is after {tx.date}")
    level = IndexLevel(level_id=f"{series}@{on.isoformat()}", series=series, on=on, value=value)
    known = await tx.find(LEVELS, level.level_id)
    if known is not None and known.value != value:
        raise Refused("index_level_differs", f"{level.level_id} is {known.value}")
    tx.put(LEVELS, level)
    await store.lock_index_to_publish(tx, series)
    latest = await tx.find(SERIES, series)
    if latest is not None and on < latest.on:
        return views.LevelReceipt(series=series, on=on, value=value, facilities=0)
    tx.put(SERIES, IndexSeries(series=series, on=on, value=value))
    facilities = await store.set_revaluations(tx, series)
    return views.LevelReceipt(series=series, on=on, value=value, facilities=facilities)


async def revalue(tx: Tx, facility_id: str) -> None:
    """Carry every held item to the latest index; tell a fall that reaches a trigger, and a shortfall once."""
    terms = tx.policy(RevaluationTerms, "collateral/revaluation")
    for item in await tx.of(ITEMS, facility_id):
        if not held(item):
            continue
        series = await tx.find(SERIES, item.index_series)
        if series is not None:
            await _carry(tx, item, series, terms)
    file = await tx.get(FILES, facility_id)
    tx.put(FILES, await with_shortfall(tx, file))


async def _carry(tx: Tx, item: Item, series: IndexSeries, terms: Dated[RevaluationTerms]) -> None:
    before = valuation_of(item)
    base = before.index_base or await store.base_level(tx, item.index_series, before.valued_on) or series.value
    after = revaluation.moved(before, base, series.value)
    change = revaluation.change_since_told(before, after)
    trigger = revaluation.trigger_of(change, terms.terms)
    told = before.told if trigger is None else after
    tx.put(ITEMS, replace(item, valuation=replace(before, now=after, told=told, index_base=base)))
    if trigger is not None:
        tx.publish(
            CollateralRevalued(
                facility_id=item.facility_id,
                collateral_id=item.collateral_id,
                before=before.told,
                after=after,
                change=change.quantize(revaluation.CHANGE_STEP),
                trigger=trigger,
            ),
            policy=terms.ref,
        )


async def with_shortfall(tx: Tx, file: SecurityFile) -> SecurityFile:
    """The file with its shortfall found (told once) or cured; nothing is short before something is owed."""
    debt = owed(file)
    if debt is None:
        return file
    terms = tx.policy(ValuationTerms, "collateral/valuation")
    items = await tx.of(ITEMS, file.facility_id)
    together = capacity.combine(debt, items, terms.terms.combined_ratio_max)
    if not together.sufficient and not file.shortfall_found:
        tx.publish(
            ShortfallFound(
                facility_id=file.facility_id,
                exposure=together.exposure,
                capacity=together.capacity,
                shortfall=together.shortfall,
                ratio=together.ratio,
            ),
            policy=terms.ref,
        )
    return replace(file, shortfall_found=not together.sufficient)


async def follow_index(tx: Tx, item: Item) -> None:
    """Let a newly held item catch up with an index that moved since its valuation day."""
    if not item.index_series:
        return
    await store.lock_index_to_follow(tx, item.index_series)
    series = await tx.find(SERIES, item.index_series)
    if series is not None and series.value != valuation_of(item).index_base:
        tx.timer(REVALUE, ref=item.facility_id, key=item.facility_id, due=tx.date)
