"""What every service shows its operators: alive, ready, how far it is, what is parked, and a way to send it again."""

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from libs.kernel.errors import Invalid, Refused, Rejection
from libs.runtime import failed_calls, parking
from libs.runtime.database import borrowed, is_transient, is_unstorable
from libs.runtime.gate import AT_ONCE
from libs.runtime.http import IDEMPOTENCY_KEY, CommandDoor, RequestDoor, caller_of
from libs.runtime.openapi import reads_headers
from libs.runtime.paging import PAGE_ROWS, Cursor, Limit, Page, after, page
from libs.runtime.problems import problem
from libs.runtime.wiring import Parts

router = APIRouter(tags=["operations"])
HEALTH_SECONDS_MAX = 1.0
STATUS_SECONDS_MAX = 2.0
APPLIED_SECONDS_MAX = 10.0
"""The inbox is counted row by row."""
Key = Annotated[str, Path(max_length=255)]


async def _operator(request: Request) -> RequestDoor:
    """Operators run the platform for the whole bank: no branch is asked of them."""
    door = RequestDoor(request, await caller_of(request))
    door.require("operator")
    return door


@reads_headers(IDEMPOTENCY_KEY)
async def _ordering(request: Request) -> CommandDoor:
    """What operators may change does no harm twice: what was applied or discarded is not there a second time."""
    door = CommandDoor(request, await caller_of(request))
    door.require("operator")
    return door


Operator = Annotated[RequestDoor, Depends(_operator)]
Ordering = Annotated[CommandDoor, Depends(_ordering)]


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The process runs."""
    return {"status": "live"}


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """The database answers, the outbox takes more, and the consumer has had its first assignment."""
    parts: Parts = request.app.state.parts
    if parts.draining:
        return problem(503, "draining", "this process is ending", headers=AT_ONCE)
    rows_max = parts.settings.outbox_rows_max
    async with asyncio.timeout(HEALTH_SECONDS_MAX), borrowed(parts.engine) as driver:
        full = await driver.fetchval(_FULL_SQL, rows_max, rows_max - 1)
    if full:
        return problem(503, "outbox_full", "events cannot be published just now", headers=AT_ONCE)
    if not request.app.state.consumer.ready.is_set():
        return problem(503, "not_assigned", "no partitions assigned yet", headers=AT_ONCE)
    return Response('{"status": "ready"}', media_type="application/json")


@router.get("/v1/ops/status")
async def status(request: Request, door: Operator) -> Response:
    """Outbox, parked events, calls, timers, positions: one statement, one snapshot."""
    parts = door.parts
    async with asyncio.timeout(STATUS_SECONDS_MAX), borrowed(parts.engine) as driver:
        row: dict[str, Any] = dict(await driver.fetchrow(_STATUS_SQL))
    row.update(service=parts.name, paused=request.app.state.consumer.paused)
    row.update(reads=list(parts.reads), handles=sorted(parts.reactions))
    return Response(to_json({name: _parsed(value) for name, value in row.items()}), media_type="application/json")


@router.get("/v1/ops/applied")
async def applied(door: Operator) -> Response:
    """How many events of each type took effect here, once each."""
    async with asyncio.timeout(APPLIED_SECONDS_MAX), borrowed(door.parts.engine) as driver:
        rows = await driver.fetch("SELECT type, count(*) FROM inbox GROUP BY type ORDER BY type")
    return Response(to_json({row["type"]: row["count"] for row in rows}), media_type="application/json")


Reason = Annotated[str, Field(min_length=3, max_length=300)]


class DiscardIn(BaseModel):
    """Why an event is dropped."""

    reason: Reason


class CallIn(BaseModel):
    """Why a failed call is tried again or given up."""

    reason: Reason


@router.get("/v1/ops/parked", response_model=Page[parking.ParkedKey])
async def parked(door: Operator, cursor: Cursor = "", limit: Limit = PAGE_ROWS) -> Response:
    """Parked keys, oldest first, a page at a time."""
    rows = await parking.list_parked(door.parts, after=_row(cursor), limit=limit + 1)
    return Response(to_json(page(rows, limit, _name)), media_type="application/json")


@router.get("/v1/ops/parked/{key}", response_model=Page[parking.ParkedEvent])
async def show(key: Key, door: Operator, cursor: Cursor = "", limit: Limit = PAGE_ROWS) -> Response:
    """Every parked or waiting event of one key in the order of arrival, a page at a time."""
    rows = await parking.show_parked(door.parts, key, after=_row(cursor), limit=limit + 1)
    return Response(to_json(page(rows, limit, _name)), media_type="application/json")


@router.post("/v1/ops/parked/{key}/redrive")
async def redrive(key: Key, door: Ordering) -> Response:
    """Apply the key's parked events again, in order; stops at the first that fails.

    A long queue is applied as far as ten seconds take it; another order goes on from there.
    """

    async def act() -> dict[str, int]:
        try:
            return {"applied": await parking.redrive(door.parts, key)}
        except Exception as error:
            if isinstance(error, Rejection) or is_transient(error) or is_unstorable(error):
                raise
            # the operator needs the handler's own words
            raise Refused("still_failing", f"{type(error).__name__}: {error}") from error

    return await door.order(act)


@router.post("/v1/ops/discarded/{event_id}")
async def discard(event_id: Key, body: DiscardIn, door: Ordering) -> Response:
    """Drop one parked event for good."""

    async def act() -> dict[str, str]:
        await parking.discard(door.parts, event_id, reason=body.reason)
        return {"discarded": event_id}

    return await door.order(act)


@router.get("/v1/ops/calls", response_model=Page[failed_calls.FailedCall])
async def calls(door: Operator, cursor: Cursor = "", limit: Limit = PAGE_ROWS) -> Response:
    """Outbound calls whose answer the rules rejected, a page at a time in the order of their ids."""
    rows = await failed_calls.list_failed(door.parts, after=after(cursor), limit=limit + 1)
    return Response(to_json(page(rows, limit, _name)), media_type="application/json")


@router.post("/v1/ops/calls/{call_id}/retry")
async def retry(call_id: Key, body: CallIn, door: Ordering) -> Response:
    """Take up a failed call again: the other side is asked by our reference before anything is sent."""

    async def act() -> dict[str, str]:
        await failed_calls.retry(door.parts, call_id, actor=door.caller.subject, reason=body.reason)
        return {"retried": call_id}

    return await door.order(act)


@router.post("/v1/ops/calls/{call_id}/settle")
async def settle(call_id: Key, body: CallIn, door: Ordering) -> Response:
    """Give a failed call up for good: what follows from it is decided elsewhere."""

    async def act() -> dict[str, str]:
        await failed_calls.settle(door.parts, call_id, actor=door.caller.subject, reason=body.reason)
        return {"settled": call_id}

    return await door.order(act)


def _name(row: Any) -> str:
    return str(row.id)


def _row(cursor: str) -> int:
    """The number of the last row seen; raises Invalid."""
    name = after(cursor)
    if name and not (name.isascii() and name.isdigit() and len(name) < 19):  # noqa: PLR2004 - what a bigint holds
        raise Invalid("cursor_invalid", "this is no cursor of a page before")
    return int(name or 0)


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value.startswith(("{", "[")) else value


# Ids may lie far apart when one parked row stays behind: only then the rows are counted.
_FULL_SQL = """
SELECT (SELECT COALESCE(max(id) - min(id) + 1, 0) FROM outbox) >= $1::bigint
   AND EXISTS (SELECT FROM outbox OFFSET $2::bigint)
"""
_STATUS_SQL = """
SELECT (SELECT open FROM clock WHERE id = 1) AS open_date,
  (SELECT json_build_object('depth', count(*), 'parked', count(*) FILTER (WHERE error <> ''),
     'oldest_seconds', COALESCE(extract(epoch FROM now() - min(created)), 0)) FROM outbox) AS outbox,
  (SELECT json_build_object('parked', count(*) FILTER (WHERE status = 'parked'),
     'waiting', count(*) FILTER (WHERE status = 'waiting')) FROM parked) AS parked,
  (SELECT json_build_object('pending', count(*) FILTER (WHERE status = 'pending'),
     'unknown', count(*) FILTER (WHERE status = 'unknown'),
     'failed', count(*) FILTER (WHERE status = 'failed')) FROM calls WHERE status <> 'done') AS calls,
  (SELECT json_build_object('count', count(*), 'next_due', min(due)) FROM timers) AS timers,
  (SELECT COALESCE(json_object_agg(topic, parts), '{}') FROM (
     SELECT topic, json_object_agg(part, "offset") AS parts FROM position GROUP BY topic) p) AS positions,
  (SELECT COALESCE(json_object_agg(topic, parts), '{}') FROM (
     SELECT topic, json_object_agg(part, "offset") AS parts FROM published GROUP BY topic) p) AS published
"""
