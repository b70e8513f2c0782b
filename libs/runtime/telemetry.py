"""What the runtime tells of its own work: for each piece one span, one metric, and the place that log lines name.

Each door of a service passes through one method here. Events and timers of one transaction are told of after it has
committed, each for itself, so nothing is counted as applied that was rolled back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
from opentelemetry.sdk.trace import Span
from opentelemetry.trace import SpanKind
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.events.envelope import Meta
from libs.runtime.database import is_transient
from libs.runtime.logs import HERE, Here
from libs.runtime.metrics import Metrics
from libs.runtime.traces import Traces, end

if TYPE_CHECKING:
    from libs.runtime.tx import Unit

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
MACHINES_ASK = ("/health/", "/metrics")
"""Asked every few seconds by nobody in particular: neither timed nor traced nor counted at the gate."""
_REFUSED, _FAILED = 400, 500


@dataclass(slots=True)
class Step:
    """One piece of work under way: the traceparent for what it causes, and how it ended so far."""

    traceparent: str
    outcome: str


class Telemetry:
    """The metrics and spans of one process."""

    def __init__(self, service: str = "", traces: Traces | None = None) -> None:
        self.metrics = Metrics(service)
        self.traces = traces or Traces()

    def reaction(self, meta: Meta, body: object, unit: Unit) -> Work:
        """One event's handler, from its start until its effects are committed."""
        here = Here(meta.traceparent, meta.key, getattr(body, "loan_id", ""), meta.id)
        return self._work(f"react {meta.type}", SpanKind.CONSUMER, here, unit, partial(self._reacted, meta))

    def timer(self, fired: Mapping[str, str], unit: Unit) -> Work:
        """One timer's command, in the trace of who set the timer."""

        def tell(outcome: str, _took: float) -> None:
            self.metrics.timers.labels(fired["kind"], outcome).inc()

        here = Here(fired["traceparent"], fired["key"])
        return self._work(f"timer {fired['kind']}", SpanKind.INTERNAL, here, unit, tell)

    def answer(self, row: Mapping[str, Any], unit: Unit) -> Work:
        """The command that takes a partner's answer."""
        here = Here(row["traceparent"], row["key"])
        return self._work(f"answer {row['kind']}", SpanKind.INTERNAL, here, unit, lambda *_: None)

    @contextmanager
    def call(self, row: Mapping[str, Any], step: str) -> Iterator[Step]:
        """One HTTP exchange with a partner; without a definite answer its outcome is `unanswered`."""
        here = Here(row["traceparent"], row["key"])
        span, at = self._begin(f"{step} {row['kind']}", SpanKind.CLIENT, here, {"silverbear.try": row["attempts"]})
        told, token, began = Step(at.traceparent, "unanswered"), HERE.set(at), time.perf_counter()
        try:
            yield told
        except BaseException as error:
            end(span, error)
            raise
        else:
            end(span)
        finally:
            HERE.reset(token)
            self.metrics.call.observe((row["kind"], step, told.outcome), time.perf_counter() - began)

    def sending(self, headers: dict[str, str]) -> Span | None:
        """Begin the span of an event under way to the broker, and make it the parent of what its readers do."""
        if not self.traces.on:
            return None
        here = Here(headers.get("traceparent", ""), headers["ce_partitionkey"], event_id=headers["ce_id"])
        published = int(datetime.fromisoformat(headers["ce_time"]).timestamp() * 1e9)
        attributes = {"messaging.system": "kafka", "messaging.operation.type": "send"}
        span, at = self._begin(f"publish {headers['ce_type']}", SpanKind.PRODUCER, here, attributes, start_ns=published)
        headers["traceparent"] = at.traceparent
        return span

    def retried(self, where: str) -> None:
        """A transient fault made another attempt necessary."""
        self.metrics.retries.labels(where).inc()

    def _begin(
        self, name: str, kind: SpanKind, here: Here, attributes: dict[str, Any], *, start_ns: int | None = None
    ) -> tuple[Span | None, Here]:
        """A span below `here`, and the place inside it; without an exporter that is the same place."""
        if not self.traces.on:
            return None, here
        known = {"silverbear.key": here.key, "silverbear.loan": here.loan, "messaging.message.id": here.event_id}
        attributes.update({name: value for name, value in known.items() if value})
        span, traceparent = self.traces.begin(name, kind, here.traceparent, attributes, start_ns=start_ns)
        return span, here._replace(traceparent=traceparent)

    def _work(self, name: str, kind: SpanKind, here: Here, unit: Unit, tell: Callable[[str, float], None]) -> Work:
        span, at = self._begin(name, kind, here, {})
        return Work(span, at, unit, tell)

    def _reacted(self, meta: Meta, outcome: str, took: float) -> None:
        self.metrics.reaction.observe((meta.type, outcome), took)
        if outcome == "applied":
            try:
                published = datetime.fromisoformat(meta.time).timestamp()
            except ValueError:
                return  # an odd publisher's: applied all the same
            self.metrics.delay.observe((meta.type,), max(0.0, time.time() - published))


class Work:
    """What one event or timer sets off inside a unit; `with` gives the traceparent it acts under.

    A failure is told of at once, success when the unit has committed. A class, because a generator costs each event
    of a batch twice as much.
    """

    __slots__ = ("_at", "_began", "_span", "_tell", "_token", "_took", "_unit")

    def __init__(self, span: Span | None, at: Here, unit: Unit, tell: Callable[[str, float], None]) -> None:
        self._span, self._at, self._unit, self._tell = span, at, unit, tell

    def __enter__(self) -> str:
        self._token, self._began = HERE.set(self._at), time.perf_counter()
        return self._at.traceparent

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self._took = time.perf_counter() - self._began
        HERE.reset(self._token)
        if error is None:
            self._unit.committed.append(self._applied)
        elif isinstance(error, Exception):
            transient, again = is_transient(error), self._unit.watching
            self._tell("retried" if transient or again else "failed", self._took)
            if transient or not again:  # else it fails once more under locks, and that is what is shown
                end(self._span, error)

    def _applied(self) -> None:
        self._tell("applied", self._took)
        end(self._span)


class Watch:
    """Times every request, begins its span, and names its trace; the outermost layer of a service's HTTP door."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. A traceparent that is malformed, or sent twice, is ignored."""
        if scope["type"] != "http" or scope["path"].startswith(MACHINES_ASK):
            await self.app(scope, receive, send)
            return
        telemetry: Telemetry = scope["app"].state.parts.telemetry
        sent = [value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"]
        method = scope["method"] if scope["method"] in METHODS else "other"
        span, traceparent = telemetry.traces.begin(method, SpanKind.SERVER, sent[0] if len(sent) == 1 else "", {})
        token, began = HERE.set(Here(traceparent)), time.perf_counter()
        status, failure = 0, None

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            status, failure = _FAILED, error  # the layer around all others answers it
            raise
        finally:
            operation = f"{method} {getattr(scope.get('route'), 'path', 'unknown')}"
            telemetry.metrics.request.observe((operation, _outcome(status)), time.perf_counter() - began)
            if span is not None:
                span.update_name(operation)
                span.set_attributes({"http.request.method": method, "http.response.status_code": status})
            if failure is None:  # else who answers it, outside, still has something to log
                HERE.reset(token)
            end(span, failure)


def _outcome(status: int) -> str:
    if 0 < status < _REFUSED:
        return "done"
    return "refused" if _REFUSED <= status < _FAILED else "failed"


def standing_at(keys: Sequence[str], names: Mapping[str, Any]) -> str:
    """Note what the request at hand is about, for the log; returns the traceparent it acts under."""
    here = HERE.get()
    HERE.set(here._replace(key=keys[0] if keys else "", loan=str(names.get("loan_id", ""))))
    return here.traceparent


async def carry_trace(request: httpx.Request) -> None:
    """Give an outbound request the traceparent of the work it belongs to."""
    if traceparent := HERE.get().traceparent:
        request.headers["traceparent"] = traceparent
