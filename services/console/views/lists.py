"""The lists: facilities page by page, and how many events of each type were told; reads of the projection only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from libs.events.catalogue import kinds
from libs.runtime.auth import Reach, within
from libs.runtime.paging import Page, page
from libs.runtime.tx import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many events were recorded, by type (types never seen count zero), and of how many facilities."""

    events: int
    facilities: int
    types: dict[str, int]


async def counts(tx: Tx) -> Counts:
    """What the projection holds now."""
    rows = await tx.sql("SELECT type, count(*) AS n FROM story GROUP BY type")
    found = {row["type"]: row["n"] for row in rows}
    facilities = (await tx.sql("SELECT count(*) AS n FROM facilities"))[0]["n"]
    types = {kind.type: found.get(kind.type, 0) for kind in kinds() if kind.topic != "clock"}
    return Counts(events=sum(found.values()), facilities=facilities, types=types)


async def stages(tx: Tx, reach: Reach) -> dict[str, int]:
    """How many facilities within reach stand at each stage; a stage without any is not named."""
    rows = await tx.sql(_STAGES_SQL, reach)
    return {row["stage"]: row["n"] for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What partners would deny today, in one currency, as it was told last of each loan; and of how many loans."""

    currency: str
    amount: Decimal
    loans: int


async def cover_at_risk(tx: Tx, reach: Reach) -> tuple[Watched, ...]:
    """The portfolio's cover at risk within reach, by currency; nothing for a currency without any."""
    return tuple(Watched(**row) for row in await tx.sql(_AT_RISK_SQL, reach))


async def contested(tx: Tx) -> int:
    """How many months of the recovery book were contested and not confirmed since."""
    return int((await tx.sql(_CONTESTED_SQL))[0]["n"])


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityRow:
    """One line of the list; `limit_granted` is in `currency`, None before a grant."""

    facility_id: str
    external_ref: str
    branch: str
    stage: str
    currency: str
    limit_granted: Decimal | None
    first_on: date
    last_on: date
    events: int


_COLUMNS = "facility_id, external_ref, branch, stage, currency, limit_granted, first_on, last_on, events"
_PAGE_SQL = f"""
SELECT {_COLUMNS} FROM facilities WHERE facility_id > $1 AND {within("branch", 3)} ORDER BY facility_id LIMIT $2
"""  # noqa: S608 - a constant of this module
_STAGE_SQL = f"""
SELECT {_COLUMNS} FROM facilities WHERE facility_id > $1 AND {within("branch", 3)} AND stage = $4
ORDER BY facility_id LIMIT $2
"""  # noqa: S608 - a constant of this module
_STAGES_SQL = f"""
SELECT stage, count(*) AS n FROM facilities WHERE {within("branch", 1)} GROUP BY stage
"""  # noqa: S608 - a constant of this module
_AT_RISK_SQL = f"""
SELECT currency, sum(amount) AS amount, count(*) AS loans FROM (
    SELECT DISTINCT ON (key, body ->> 'loan_id') (body -> 'after' ->> 'amount')::numeric AS amount,
           body -> 'after' ->> 'currency' AS currency
    FROM story WHERE type IN ('cover.endangered.v1', 'cover.mended.v1') AND {within("org", 1)}
    ORDER BY key, body ->> 'loan_id', sequence DESC
) t WHERE amount > 0 GROUP BY currency ORDER BY currency
"""  # noqa: S608 - a constant of this module
_CONTESTED_SQL = """
SELECT count(*) FILTER (WHERE type = 'balance.contested.v1') AS n FROM (
    SELECT DISTINCT ON (key, body ->> 'month') type FROM story
    WHERE type IN ('balance.contested.v1', 'balance.confirmed.v1') ORDER BY key, body ->> 'month', sequence DESC
) t
"""
_FOUND_SQL = f"""
SELECT {_COLUMNS} FROM facilities WHERE (facility_id = $1 OR external_ref = $1) AND {within("branch", 3)}
ORDER BY facility_id LIMIT $2
"""  # noqa: S608 - a constant of this module


async def facilities(tx: Tx, *, after: str, stage: str, limit: int, reach: Reach) -> Page[FacilityRow]:
    """The lines within reach behind the facility `after`, of one stage or of all (empty)."""
    values = (after, limit + 1, reach)
    rows = await (tx.sql(_STAGE_SQL, *values, stage) if stage else tx.sql(_PAGE_SQL, *values))
    return page([FacilityRow(**row) for row in rows], limit, lambda row: row.facility_id)


async def found(tx: Tx, *, reference: str, limit: int, reach: Reach) -> Page[FacilityRow]:
    """The lines within reach with exactly this facility id or external reference."""
    rows = await tx.sql(_FOUND_SQL, reference, limit, reach)
    return Page(items=tuple(FacilityRow(**row) for row in rows), next="")
