"""Outbound HTTP calls that survive a lost answer: no answer means *unknown*, and unknown is asked before it is retried.

A command writes a `calls` row in its transaction. A worker leases the row, calls outside any transaction, and feeds
the answer back as a command. A row that was ever sent is never sent again before the other side was asked by our
reference and said it never heard of it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from libs.kernel.errors import Rejection
from libs.runtime.breaker import Breaker
from libs.runtime.database import backoff, borrowed, is_transient, patiently, woken
from libs.runtime.faults import reach
from libs.runtime.logs import fault
from libs.runtime.outward import Bounded, Direct, Outward
from libs.runtime.telemetry import carry_trace
from libs.runtime.tx import Cause, Tx

if TYPE_CHECKING:
    from libs.runtime.wiring import Parts

LEASE_SECONDS = 20
CALL_TIMEOUT_SECONDS = 5.0
CALL_SECONDS_MAX = 15.0
"""For asking and sending together: over before the lease is, or two workers would send at once."""
CALLS_AT_ONCE = 20
POLL_SECONDS = 0.5
AGAIN_SECONDS_MAX = 30
"""Between two tries of one call."""
SERVER_ERROR = 500
TRY_LATER = (408, 425, 429)  # request timeout, too early, too many requests: no decision was taken


@dataclass(frozen=True, slots=True)
class Answer:
    """A definite answer of the other side: status below 500 and its JSON body."""

    status: int
    body: dict[str, Any]


class Pending(Exception):
    """The other side has the request and says more when it is asked again: still unknown, and nobody's fault."""


Send = Callable[[httpx.AsyncClient, str, dict[str, Any]], Awaitable[Answer]]
Inquire = Callable[[httpx.AsyncClient, str, dict[str, Any]], Awaitable[Answer | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The way to one party, where that is data of the party: `ref` names this version of it, `party` whom it is to."""

    ref: str
    party: str
    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    send: Send
    inquire: Inquire


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """One kind of call: where to, how to send, how to ask by our reference, and the command that takes the answer.

    `line` finds the way at the moment of each try; without one, or where it finds none, it is the setting `target`.
    """

    target: str
    send: Send
    inquire: Inquire
    answered: Callable[[Tx, str, dict[str, Any], Answer], Awaitable[None]]
    line: Callable[[Parts, dict[str, Any]], Awaitable[Line | None]] | None = None


_CLAIM_SQL = f"""
WITH due AS (
    SELECT id, status FROM calls
    WHERE status IN ('pending', 'unknown') AND next_at <= now() AND (lease_until IS NULL OR lease_until < now())
    ORDER BY next_at LIMIT {CALLS_AT_ONCE} FOR UPDATE SKIP LOCKED
)
UPDATE calls c SET status = 'unknown', attempts = attempts + 1, lease_until = now() + interval '{LEASE_SECONDS} seconds'
FROM due WHERE c.id = due.id
RETURNING c.id, c.key, c.kind, c.reference, c.request, c.attempts, c.org, c.traceparent, due.status AS before
"""  # noqa: S608 - constants of this module


# A call written while a day opens may be answered before the service's own date has moved.
_STATE_SQL = """
SELECT c.status, GREATEST(k.open, c.business_date) AS "on" FROM calls c, clock k WHERE c.id = $1
"""


class Caller:
    """The worker of one process; several may run side by side, the lease keeps them apart."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._breaker = Breaker()
        self._wake = asyncio.Event()
        self._closing = False

    def close(self) -> None:
        """Let `run` end after the calls under way."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Call until closed; transient trouble is waited out."""
        attempt = 0
        while not self._closing:
            try:
                async with self.parts.bell.heard("calls", self._wake):
                    attempt = 0
                    while not self._closing:
                        self._wake.clear()
                        if not await self._round():
                            await woken(self._wake, seconds=POLL_SECONDS)
            except Exception as error:  # noqa: BLE001 - a worker outlives any one failure
                attempt += 1
                self.parts.telemetry.retried("calls")
                self.parts.log.warning("calls_interrupted", error=fault(error))
                await asyncio.sleep(backoff(attempt))
            finally:
                await self._close()

    async def _close(self) -> None:
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def _round(self) -> int:
        begun = time.monotonic()  # before the lease: a process stopped since then must not call when it wakes up
        async with borrowed(self.parts.engine) as driver:
            rows = [dict(row) for row in await driver.fetch(_CLAIM_SQL)]
        await asyncio.gather(*(self._one(row, begun) for row in rows))
        return len(rows)

    async def _one(self, row: dict[str, Any], begun: float) -> None:
        request = json.loads(row["request"])
        try:
            left = CALL_SECONDS_MAX - (time.monotonic() - begun)
            if left <= 0:
                raise TimeoutError("the lease was taken too long ago")
            outbound = self.parts.partners[row["kind"]]
            async with asyncio.timeout(left):
                line = await outbound.line(self.parts, request) if outbound.line else None
                if line is not None and (wait := self._breaker.wait(line.party)):
                    await self._later(row, "left alone for a while: it keeps failing", wait)
                    return
                try:
                    answer = await self._ask(outbound, line, row, request)
                except Exception as error:
                    if line is not None and not isinstance(error, Pending):
                        self._breaker.failed(line.party)
                    raise
        except Exception as error:  # noqa: BLE001 - whatever stands between us and an answer leaves the call unknown
            await self._later(row, repr(error))
            return
        if _outcome(answer) == "unanswered":
            if line is not None:
                self._breaker.failed(line.party)
            await self._later(row, f"status {answer.status}")
            return
        if line is not None:
            self._breaker.went_well(line.party)
        reach("calls.after_send", self.parts.settings.fault)
        await patiently(
            lambda: self._take(outbound, row, request, answer),
            on_retry=lambda error: self.parts.log.warning("call_answer_retry", error=fault(error)),
        )

    async def _ask(self, outbound: Outbound, line: Line | None, row: dict[str, Any], request: dict[str, Any]) -> Answer:
        client, way = self._client(outbound.target, line), line or outbound
        if row["before"] == "unknown":
            with self.parts.telemetry.call(row, "inquire") as step:
                known = await way.inquire(client, row["reference"], request)
                step.outcome = _outcome(known)
            if known is not None:
                return known
        with self.parts.telemetry.call(row, "send") as step:
            answer = await way.send(client, row["reference"], request)
            step.outcome = _outcome(answer)
        return answer

    def _client(self, target: str, line: Line | None) -> httpx.AsyncClient:
        name = target if line is None else f"line {line.ref}"
        if name not in self._clients:
            base = self.parts.settings.target(target) if line is None else line.base_url
            tls = base.startswith("https")  # loading the trusted certificates takes a tenth of a second
            transport: httpx.AsyncBaseTransport
            if line is None:
                transport = Bounded(Direct(verify=tls))
            else:
                transport = Outward(private=self.parts.settings.private_targets, tls=tls)
            self._clients[name] = httpx.AsyncClient(
                base_url=base,
                timeout=CALL_TIMEOUT_SECONDS,
                transport=transport,
                # what is counted is what is kept
                headers={"accept-encoding": "identity", **(line.headers if line else {})},
                event_hooks={"request": [carry_trace]},
            )
        return self._clients[name]

    async def _later(self, row: dict[str, Any], error: str, wait: float = 0.0) -> None:
        self.parts.telemetry.retried("calls")
        delay = max(wait, backoff(row["attempts"], cap_seconds=AGAIN_SECONDS_MAX))
        async with borrowed(self.parts.engine) as driver:
            await driver.execute(
                "UPDATE calls SET next_at = now() + make_interval(secs => $2), lease_until = NULL, error = $3"
                " WHERE id = $1 AND status = 'unknown' AND attempts = $4",  # else the lease is another worker's by now
                row["id"],
                delay,
                error[:500],
                row["attempts"],
            )

    async def _take(self, outbound: Outbound, row: dict[str, Any], request: dict[str, Any], answer: Answer) -> None:
        """Apply the answer once: under the key's lock, only while the call is still open."""
        try:
            async with self.parts.transaction() as unit:
                await unit.lock([row["key"]])
                state = await unit.sql(_STATE_SQL, row["id"])
                if state[0]["status"] != "unknown":
                    return
                with self.parts.telemetry.answer(row, unit) as traceparent:
                    cause = Cause(
                        actor=f"{self.parts.name}:calls", org=row["org"], id=row["id"], traceparent=traceparent
                    )
                    await outbound.answered(Tx(unit, cause, state[0]["on"]), row["reference"], request, answer)
                await unit.flush()
                await unit.sql("UPDATE calls SET status = 'done', error = '' WHERE id = $1", row["id"])
        except Exception as error:
            if is_transient(error):
                raise
            reason = error.code if isinstance(error, Rejection) else repr(error)
            self.parts.log.error("call_answer_rejected", kind=row["kind"], key=row["key"], reason=fault(error))
            async with borrowed(self.parts.engine) as driver:
                await driver.execute(
                    "UPDATE calls SET status = 'failed', error = $2 WHERE id = $1 AND status = 'unknown'",
                    row["id"],
                    str(reason)[:500],
                )


def _outcome(answer: Answer | None) -> str:
    """A status that decides nothing is no answer; that the other side never heard of it is one."""
    undecided = answer is not None and (answer.status >= SERVER_ERROR or answer.status in TRY_LATER)
    return "unanswered" if undecided else "answered"
