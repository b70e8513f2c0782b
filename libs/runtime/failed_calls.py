"""What people do with calls whose answer the rules rejected: look, take them up again, or settle them as failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from libs.kernel.errors import NotFound
from libs.runtime.database import borrowed
from libs.runtime.wiring import Parts

_LIST_SQL = """
SELECT id, key, kind, reference, request, business_date, org, attempts, next_at AS since, error
FROM calls WHERE status = 'failed' AND id > $1 ORDER BY id LIMIT $2
"""
# Unknown, not pending: the worker asks the other side by our reference before it sends anything.
_RETRY_SQL = """
UPDATE calls SET status = 'unknown', next_at = now(), lease_until = NULL, error = $2
WHERE id = $1 AND status = 'failed' RETURNING kind, reference
"""
_SETTLE_SQL = (
    "UPDATE calls SET status = 'settled', error = $2 WHERE id = $1 AND status = 'failed' RETURNING kind, reference"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCall:
    """One failed call: what was asked, in whose name, and why its answer was rejected."""

    id: str
    key: str
    kind: str
    reference: str
    request: str
    business_date: date
    org: str
    attempts: int
    since: datetime
    error: str


async def list_failed(parts: Parts, *, after: str = "", limit: int = 100) -> list[FailedCall]:
    """The failed calls behind the one called `after`, in the order of their ids."""
    async with borrowed(parts.engine) as driver:
        return [FailedCall(**row) for row in await driver.fetch(_LIST_SQL, after, limit)]


async def retry(parts: Parts, call_id: str, *, actor: str, reason: str) -> None:
    """Take a failed call up again, for a reason that its row and the log keep; raises NotFound."""
    await _change(parts, _RETRY_SQL, call_id, "call_retried", actor=actor, reason=reason)
    parts.bell.ring(["calls"])


async def settle(parts: Parts, call_id: str, *, actor: str, reason: str) -> None:
    """Give a failed call up, for a reason that its row and the log keep; raises NotFound."""
    await _change(parts, _SETTLE_SQL, call_id, "call_settled", actor=actor, reason=reason)


async def _change(parts: Parts, statement: str, call_id: str, what: str, *, actor: str, reason: str) -> None:
    async with borrowed(parts.engine) as driver:
        row = await driver.fetchrow(statement, call_id, f"{what} by {actor}: {reason}")
    if row is None:
        raise NotFound("no_failed_call", f"no call {call_id} stands as failed")
    parts.log.warning(what, id=call_id, kind=row["kind"], reference=row["reference"], actor=actor, reason=reason)
