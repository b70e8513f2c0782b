"""What every service shows its operators: alive, ready, how far it is, what is parked, and a way to send it again."""

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from libs.kernel.errors import Rejection
from libs.runtime import parking
from libs.runtime.database import is_transient, is_unstorable
from libs.runtime.http import Door
from libs.runtime.problems import problem
from libs.runtime.wiring import Parts

router = APIRouter(tags=["operations"])


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The process runs."""
    return {"status": "live"}


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """The database answers and the consumer has its first assignment."""
    parts: Parts = request.app.state.parts
    await parts.open_date()
    consumer = request.app.state.consumer
    if not consumer.ready.is_set():
        return problem(503, "not_assigned", "no partitions assigned yet", headers={"Retry-After": "1"})
    return Response('{"status": "ready"}', media_type="application/json")


@router.get("/ops/status")
async def status(request: Request) -> Response:
    """Outbox, parked events, calls, timers, positions: one statement, one snapshot."""
    parts: Parts = request.app.state.parts
    async with parts.engine.connect() as conn:
        row: dict[str, Any] = dict((await conn.exec_driver_sql(_STATUS_SQL)).mappings().one())
    row.update(service=parts.name, paused=request.app.state.consumer.paused)
    row.update(reads=list(parts.reads), handles=sorted(parts.reactions))
    return Response(to_json({k: _parsed(v) for k, v in row.items()}), media_type="application/json")


@router.get("/ops/applied")
async def applied(request: Request) -> Response:
    """How many events of each type took effect here, once each."""
    parts: Parts = request.app.state.parts
    async with parts.engine.connect() as conn:
        rows = await conn.exec_driver_sql("SELECT type, count(*) FROM inbox GROUP BY type ORDER BY type")
        return Response(to_json({row["type"]: row["count"] for row in rows.mappings()}), media_type="application/json")


class DiscardIn(BaseModel):
    """Why an event is dropped."""

    reason: str = Field(min_length=3, max_length=300)


@router.get("/ops/parked")
async def parked(door: Door) -> Response:
    """Parked keys, oldest first."""
    door.require("operator")
    return Response(to_json(await parking.list_parked(door.parts)), media_type="application/json")


@router.get("/ops/parked/{key}")
async def show(key: str, door: Door) -> Response:
    """Every parked or waiting event of one key."""
    door.require("operator")
    return Response(to_json(await parking.show_parked(door.parts, key)), media_type="application/json")


@router.post("/ops/parked/{key}/redrive")
async def redrive(key: str, door: Door) -> Response:
    """Apply the key's parked events again, in order; naturally idempotent, stops at the first that fails."""
    door.require("operator")
    try:
        applied = await parking.redrive(door.parts, key)
    except Exception as error:
        if isinstance(error, Rejection) or is_transient(error) or is_unstorable(error):
            raise
        # the operator needs the handler's own words
        return problem(409, "still_failing", f"{type(error).__name__}: {error}")
    return Response(to_json({"applied": applied}), media_type="application/json")


@router.post("/ops/discarded/{event_id}")
async def discard(event_id: str, body: DiscardIn, door: Door) -> Response:
    """Drop one parked event for good."""
    door.require("operator")
    await parking.discard(door.parts, event_id, reason=body.reason)
    return Response(to_json({"discarded": event_id}), media_type="application/json")


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value.startswith(("{", "[")) else value


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
