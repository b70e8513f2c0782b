"""The metrics of one process at `/metrics`: nothing in them names a customer, a facility or a person.

Every label has few values, all of them chosen by the code. What only the database or the broker knows is asked when
somebody scrapes, once a second at most and not for long; a source that does not answer is said to be silent, and its
numbers are left out rather than repeated from before.
"""

from __future__ import annotations

import asyncio
import platform
import time
from bisect import bisect_left
from collections.abc import Iterator
from importlib.metadata import version
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from libs.runtime.database import borrowed
from libs.runtime.logs import fault

if TYPE_CHECKING:
    from libs.runtime.consumer import Consumer
    from libs.runtime.wiring import Parts

ASK_SECONDS_MAX = 2.0
FRESH_SECONDS = 1.0
COUNTED_MAX = 100_000
"""A table is counted no further than this: more is a catastrophe by any name."""
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_DELAY = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)

Figures = dict[str, list[tuple[tuple[str, ...], float]]]
"""By name: the values of the labels, and the figure."""
STANDING = {
    "outbox_events": ("Events committed and not yet acknowledged by the broker", ()),
    "outbox_oldest_seconds": ("Age of the oldest event in the outbox that the broker may take", ()),
    "outbox_parked_events": ("Events that the broker refuses for good", ()),
    "parked_events": ("Events and timers that could not be applied", ()),
    "waiting_events": ("Events and timers that wait behind a parked or missing one of their key", ()),
    "calls_open": ("Outbound calls by state: pending, unknown (sent, no answer yet), failed", ("state",)),
    "timers_set": ("Timers that wait for their day", ()),
    "consumer_lag_events": ("Events of the partitions assigned to this process that are not yet applied", ("topic",)),
    "consumer_paused": ("1 while no events are taken because too many keys are blocked", ()),
    "pool_connections_in_use": ("Database connections lent out", ()),
    "pool_connections": ("Database connections there may be at most", ()),
    "source_answers": ("1 when the database or the broker answered this scrape", ("source",)),
    "build_info": ("Always 1; which service and version this is", ("service", "version", "python")),
}
"""What is asked for at a scrape: name, meaning, labels."""


class Distribution:
    """A histogram of seconds for the one thread of a service's event loop: a fifth of the library's cost per event."""

    def __init__(self, name: str, meaning: str, labels: tuple[str, ...], bounds: tuple[float, ...]) -> None:
        self.name, self.meaning, self.labels, self._bounds = f"silverbear_{name}", meaning, labels, bounds
        self._found: dict[tuple[str, ...], list[float]] = {}

    def observe(self, labels: tuple[str, ...], seconds: float) -> None:
        """Count one more under these values of the labels."""
        found = self._found.get(labels)
        if found is None:
            found = self._found[labels] = [0.0] * (len(self._bounds) + 2)  # each bucket, what is beyond, the sum
        found[bisect_left(self._bounds, seconds)] += 1
        found[-1] += seconds

    def family(self) -> Metric:
        """What a scrape is told."""
        family = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
        bounds = [*map(str, self._bounds), "+Inf"]
        for labels, found in self._found.items():
            family.add_metric(labels, list(zip(bounds, accumulate(found[:-1]), strict=True)), found[-1])
        return family


class Metrics(Collector):
    """What one process counts, in a registry of its own."""

    def __init__(self, service: str = "") -> None:
        # else every counter has a twin that says when it began
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's own omission
        self.registry = CollectorRegistry()
        self.request = Distribution(
            "request_seconds",
            "Time to answer a request by operation and outcome: done, refused (4xx), failed (5xx)",
            ("operation", "outcome"),
            _QUICK,
        )
        self.reaction = Distribution(
            "reaction_seconds",
            "Time of an event's handler by type and outcome: applied, failed, retried",
            ("type", "outcome"),
            _QUICK,
        )
        self.delay = Distribution(
            "event_delay_seconds",
            "From the publication of an event to the commit of its effects here",
            ("type",),
            _DELAY,
        )
        self.call = Distribution(
            "call_seconds",
            "Time of an outbound HTTP exchange by kind, step (inquire, send) and outcome: answered, unanswered",
            ("kind", "step", "outcome"),
            _QUICK,
        )
        self.distributions = (self.request, self.reaction, self.delay, self.call)
        common: dict[str, Any] = {"namespace": "silverbear", "registry": self.registry}
        self.timers = Counter(
            "timers_fired", "Timers by kind and outcome: applied, failed, retried", ("kind", "outcome"), **common
        )
        self.published = Counter("events_published", "Events acknowledged by the broker", ("topic",), **common)
        self.retries = Counter(
            "retries", "Attempts that a transient fault, a changed key or a doubt made necessary", ("where",), **common
        )
        ProcessCollector(registry=self.registry)
        self._standing: Figures = {}
        self._identity = (service, version("silverbear"), platform.python_version())
        self._asking = asyncio.Lock()
        self._fresh_until = 0.0
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The distributions, and the standing figures of the last scrape; a name without a figure is left out."""
        for distribution in self.distributions:
            yield distribution.family()
        for name, (meaning, labels) in STANDING.items():
            if found := self._standing.get(name):
                family = GaugeMetricFamily(f"silverbear_{name}", meaning, labels=labels)
                for values, figure in found:
                    family.add_metric(values, figure)
                yield family

    async def text(self, parts: Parts, consumer: Consumer) -> bytes:
        """All metrics in Prometheus's text format; asks database and broker first."""
        async with self._asking:
            if time.monotonic() >= self._fresh_until:
                self._standing = await self._ask(parts, consumer)
                self._fresh_until = time.monotonic() + FRESH_SECONDS
        return generate_latest(self.registry)

    async def _ask(self, parts: Parts, consumer: Consumer) -> Figures:
        pool: Any = parts.engine.pool
        found: Figures = {
            "build_info": [(self._identity, 1)],
            "pool_connections_in_use": [((), pool.checkedout())],
            "pool_connections": [((), pool.size())],
            "consumer_paused": [((), bool(consumer.paused))],
        }
        asked = {"database": _counted(parts), "broker": _lag(consumer)}
        for source, answer in zip(asked, await asyncio.gather(*asked.values(), return_exceptions=True), strict=True):
            answered = not isinstance(answer, BaseException)
            found.setdefault("source_answers", []).append(((source,), answered))
            if isinstance(answer, BaseException):
                parts.log.warning("scrape_source_silent", source=source, error=fault(answer))
            else:
                found.update(answer)
        return found


async def _counted(parts: Parts) -> Figures:
    async with asyncio.timeout(ASK_SECONDS_MAX), borrowed(parts.engine) as driver:
        row = dict(await driver.fetchrow(_STANDING_SQL))
    found: Figures = {"calls_open": [((state,), row.pop(state)) for state in ("pending", "unknown", "failed")]}
    found.update({name: [((), figure)] for name, figure in row.items()})
    return found


async def _lag(consumer: Consumer) -> Figures:
    async with asyncio.timeout(ASK_SECONDS_MAX):
        lag = await consumer.lag()
    return {"consumer_lag_events": [((topic,), count) for topic, count in sorted(lag.items())]}


_STANDING_SQL = f"""
SELECT o.*, p.*, c.*, (SELECT count(*) FROM (SELECT FROM timers LIMIT {COUNTED_MAX}) t) AS timers_set
FROM (SELECT count(*) AS outbox_events, count(*) FILTER (WHERE error <> '') AS outbox_parked_events,
        COALESCE(extract(epoch FROM now() - min(created) FILTER (WHERE error = ''))::float, 0) AS outbox_oldest_seconds
      FROM (SELECT error, created FROM outbox ORDER BY id LIMIT {COUNTED_MAX}) o) o,
     (SELECT count(*) FILTER (WHERE status = 'parked') AS parked_events,
        count(*) FILTER (WHERE status = 'waiting') AS waiting_events
      FROM (SELECT status FROM parked ORDER BY id LIMIT {COUNTED_MAX}) p) p,
     (SELECT (SELECT count(*) FROM (SELECT FROM calls WHERE status = 'failed' LIMIT {COUNTED_MAX}) f) AS failed,
        count(*) FILTER (WHERE NOT sent) AS pending, count(*) FILTER (WHERE sent) AS unknown
      FROM (SELECT status = 'unknown' AND (attempts > 1 OR COALESCE(lease_until < now(), true)) AS sent
            FROM calls WHERE status IN ('pending', 'unknown') LIMIT {COUNTED_MAX}) c) c
"""  # noqa: S608 - a constant of this module


router = APIRouter(tags=["operations"])


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """What Prometheus scrapes; answers what it can when database or broker are down."""
    state = request.app.state
    text = await state.parts.telemetry.metrics.text(state.parts, state.consumer)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)
