"""One trace from the request to the last service: through the outbox, Kafka, a timer and a partner, to a collector."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from libs.events.clock import DayClosed
from libs.runtime import traces
from libs.runtime.auth import Issuer, TokenDoor
from libs.runtime.daybreak import Daybreak
from libs.runtime.inbound import Arrival, read_meta
from libs.runtime.settings import Settings
from libs.runtime.telemetry import Telemetry
from libs.runtime.traces import read_traceparent, traces_of
from libs.runtime.tx import adapter_of
from tests.harness.bench import Bench
from tests.harness.live import Bank, Node, until
from tests.harness.toy import referral

DAY, DUE = date(2026, 1, 5), date(2026, 2, 1)
TRACE, ABOVE = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{ABOVE}-01", f"00-{TRACE}-{ABOVE}-00"
Live = Callable[..., Node]
Make = Callable[..., Bench]


class Collector:
    """A receiver of OTLP over HTTP that keeps what it is sent."""

    def __init__(self) -> None:
        self.spans: dict[str, tuple[str, Any]] = {}
        kept = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
                assert self.path == "/v1/traces"
                for group in body.resource_spans:
                    names = {item.key: item.value.string_value for item in group.resource.attributes}
                    for scope in group.scope_spans:
                        kept.update({span.span_id.hex(): (names["service.name"], span) for span in scope.spans})
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing is printed."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def told(self, span_id: str) -> str:
        """A span as `service: name`."""
        if span_id == ABOVE:
            return "caller"
        service, span = self.spans[span_id]
        return f"{service}: {span.name}"

    def edges(self) -> set[str]:
        """Every span below its parent."""
        return {
            f"{self.told(span.parent_span_id.hex())} > {self.told(span_id)}"
            for span_id, (_, span) in self.spans.items()
        }


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector in a thread of its own."""
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        collector.server.server_close()
        thread.join()


async def open_day(node: Node, day: date) -> None:
    """Open a day at one service, as a tick does."""
    headers = {
        "ce_id": "tick",
        "ce_type": "day.closed.v1",
        "ce_source": "/silverbear/clock",
        "ce_partitionkey": "clock",
        "ce_sequence": "1",
        "ce_businessdate": day.isoformat(),
        "ce_time": "2026-01-01T00:00:00+00:00",
    }
    payload = adapter_of(DayClosed).dump_json(DayClosed(closed=DAY, open=day, reached={})).decode()
    await Daybreak(node.parts).open(Arrival("clock", 0, 0, headers, payload, read_meta(headers)))


def door(node: Node, folder: Path) -> httpx.AsyncClient:
    """The HTTP door of a node, for an officer."""
    state = node.service.app.state
    state.parts, state.consumer, state.tokens = node.parts, node.consumer, TokenDoor(node.parts.settings)
    token = Issuer(folder).token("o", "officer")
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(node.service.app),
        base_url="http://service",
        headers={"authorization": f"Bearer {token}"},
    )


async def heard(node: Node, *words: str) -> bool:
    """Whether this took effect on f1."""
    return set(words) <= set((await node.tallies()).get("f1", []))


async def post(http: httpx.AsyncClient, path: str, name: str, **headers: str) -> None:
    """POST about facility f1."""
    known = {"idempotency-key": name, **headers}
    answer = await http.post(path, json={"facility_id": "f1", "name": name}, headers=known)
    assert answer.is_success, answer.text


async def test_one_trace_leads_from_the_request_to_the_last_service(live: Live, tmp_path: Path) -> None:
    with collecting() as collector:
        on = {"otel_exporter_otlp_endpoint": collector.url}
        async with (
            Bank() as bank,
            live("application", core_bank_url=bank.url, **on) as application,
            live("rating", **on) as rating,
            door(application, tmp_path) as http,
        ):
            await application.stand_at(DAY)
            await rating.stand_at(DUE)
            for node in (application, rating):
                node.relay()
            application.call()
            await asyncio.gather(application.consume(), rating.consume())
            await post(http, "/referrals", "first", traceparent=SAMPLED)
            await post(http, "/payments", "p1", traceparent=SAMPLED)
            await post(http, "/reminders", "later", traceparent=SAMPLED)
            await until(lambda: heard(application, "verified first", "verified paid p1"), "what was due now is done")
            await open_day(application, DUE)
            await until(lambda: heard(application, "verified reminded later"), "the timer's event was answered")
            scrape = (await http.get("/metrics")).text
            for node in (application, rating):
                await asyncio.to_thread(node.parts.telemetry.traces.close)
    answered = "rating: react referral.received.v1 > rating: publish information.verified.v1"
    heard_of = "rating: publish information.verified.v1 > application: react information.verified.v1"
    reacted = "application: publish referral.received.v1 > rating: react referral.received.v1"
    assert collector.edges() == {
        "caller > application: POST /referrals",
        "application: POST /referrals > application: publish referral.received.v1",
        *(reacted, answered, heard_of),
        "caller > application: POST /payments",
        "application: POST /payments > application: send pay",
        "application: POST /payments > application: answer pay",
        "application: answer pay > application: publish referral.received.v1",
        "caller > application: POST /reminders",
        "application: POST /reminders > application: timer remind",
        "application: timer remind > application: publish referral.received.v1",
    }
    spans = [span for _, span in collector.spans.values()]
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert len(spans) == 3 + 2 + 1 + 3 * 4  # requests; call and answer; timer; there and back of three referrals
    assert {(span.name.partition(" ")[0], span.kind) for span in spans} == {
        ("POST", Span.SPAN_KIND_SERVER),
        ("publish", Span.SPAN_KIND_PRODUCER),
        ("react", Span.SPAN_KIND_CONSUMER),
        ("send", Span.SPAN_KIND_CLIENT),
        ("answer", Span.SPAN_KIND_INTERNAL),
        ("timer", Span.SPAN_KIND_INTERNAL),
    }
    sent = [id_ for id_, (_, span) in collector.spans.items() if span.name == "send pay"]
    assert bank.traceparents == [f"00-{TRACE}-{sent[0]}-01"]
    assert 'silverbear_call_seconds_count{kind="pay",outcome="answered",step="send"} 1.0' in scrape
    assert 'silverbear_events_published_total{topic="application"} 3.0' in scrape
    assert 'silverbear_source_answers{source="broker"} 1.0' in scrape
    assert 'silverbear_consumer_lag_events{topic="rating"}' in scrape


@contextmanager
def recording(bench: Bench) -> Iterator[list[Any]]:
    """What spans a bench's process ends; they are there when this is left."""
    exporter, spans = InMemorySpanExporter(), []
    bench.parts.telemetry = Telemetry("rating", traces_of(bench.settings, "rating", exporter))
    yield spans
    bench.parts.telemetry.traces.close()
    spans += exporter.get_finished_spans()


async def test_each_event_of_a_batch_has_one_span_and_what_was_rolled_back_has_none(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        with recording(bench) as spans:
            names = ["good", "poison", "better"]
            await bench.react(*(referral(f"f{n}", name) for n, name in enumerate(names)), on=DAY)
        told = sorted((span.attributes["silverbear.key"], span.status.description or "applied") for span in spans)
        assert told == [("f0", "applied"), ("f1", "toy_poison"), ("f1", "toy_poison"), ("f2", "applied")]
        assert {span.parent for span in spans} == {None}  # no trace came with them: each begins its own
        assert len({span.context.trace_id for span in spans}) == 4
        latency = bench.parts.telemetry.metrics.registry.get_sample_value
        labels = {"type": "referral.received.v1"}
        assert latency("silverbear_reaction_seconds_count", {**labels, "outcome": "applied"}) == 2
        assert latency("silverbear_reaction_seconds_count", {**labels, "outcome": "failed"}) == 2  # together, and alone
        assert latency("silverbear_event_delay_seconds_count", labels) == 2


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (SAMPLED, True),
        (UNSAMPLED, True),
        (SAMPLED.replace("00-", "cc-", 1) + "-what-comes-later", True),
        (SAMPLED.replace("00-", "cc-", 1), True),
        ("", False),
        (SAMPLED + "-more", False),
        (SAMPLED + "0", False),
        (SAMPLED.replace("00-", "ff-", 1), False),
        (SAMPLED.upper(), False),
        (f" {SAMPLED}", False),
        (f"{SAMPLED}\n", False),
        (f"00-{'0' * 32}-{ABOVE}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE[1:]}-{ABOVE}-01", False),
        (f"00-{TRACE}-{ABOVE}-1", False),
        (f"00-{TRACE}-{ABOVE}-0x", False),
    ],
)
def test_a_traceparent_is_read_as_the_recommendation_says(text: str, good: bool) -> None:
    context = read_traceparent(text)
    assert (context is not None) == good
    if context is not None:
        assert (f"{context.trace_id:032x}", f"{context.span_id:016x}") == (TRACE, ABOVE)
        assert context.trace_flags.sampled == (text != UNSAMPLED)


async def published_under(bench: Bench, *sent: str) -> tuple[str, bool]:
    """The traceparent of the event that a request with these headers leads to, and whether it is to be recorded."""
    token = bench.issuer.token("o", "officer")
    headers = [("authorization", f"Bearer {token}"), ("idempotency-key", str(uuid.uuid4()))]
    headers += [("traceparent", text) for text in sent]
    answer = await bench.http.post("/referrals", json={"facility_id": "f1", "name": "a"}, headers=headers)
    assert answer.status_code == 201
    async with bench.parts.engine.connect() as conn:
        newest = "SELECT headers ->> 'traceparent' FROM outbox ORDER BY id DESC LIMIT 1"
        found = str((await conn.exec_driver_sql(newest)).scalar())
    context = read_traceparent(found)
    assert context is not None
    return found, context.trace_flags.sampled


async def test_without_an_exporter_a_good_trace_is_passed_on_and_a_new_one_begins_where_none_came(
    toy_bench: Make,
) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        assert await published_under(bench, SAMPLED) == (SAMPLED, True)
        for sent in ((), ("nonsense",), (f"00-{'0' * 32}-{ABOVE}-01",), (SAMPLED, SAMPLED)):
            found, recorded = await published_under(bench, *sent)
            assert TRACE not in found
            assert not recorded  # by nobody


async def test_who_began_the_trace_decides_whether_it_is_recorded(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        for ratio, sent, recorded in ((1, UNSAMPLED, False), (0, SAMPLED, True), (1, "", True), (0, "", False)):
            bench.settings.otel_traces_sampler_arg = ratio
            with recording(bench) as spans:
                _, passed_on = await published_under(bench, *filter(None, [sent]))
            assert [span.name for span in spans] == ["POST /referrals"] * recorded, (ratio, sent)
            assert passed_on == recorded, (ratio, sent)


async def test_spans_can_be_written_to_a_file(toy_bench: Make, tmp_path: Path) -> None:
    async with toy_bench("application", trace_file=tmp_path / "spans.jsonl") as bench:
        await bench.open(DAY)
        await published_under(bench, SAMPLED)
        bench.parts.telemetry.traces.close()
    (line,) = (tmp_path / "spans.jsonl").read_text().splitlines()
    span = json.loads(line)
    assert (span["name"], span["parent_id"], span["context"]["trace_id"]) == (
        "POST /referrals",
        f"0x{ABOVE}",
        f"0x{TRACE}",
    )


def test_a_collector_that_never_answers_does_not_hold_a_process_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "CLOSE_SECONDS_MAX", 0.1)
    monkeypatch.setattr(traces, "EXPORT_TIMEOUT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Settings.model_validate(
            {
                "database_url": "postgresql://nobody",
                "kafka_bootstrap": "127.0.0.1:1",
                "jwks_path": tmp_path,
                "otel_exporter_otlp_endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}",
            }
        )
        process = traces.traces_of(settings, "rating")
        span, _ = process.begin("one", SpanKind.INTERNAL, "", {})
        traces.end(span)
        began = time.monotonic()
        process.close()
        assert time.monotonic() - began < 2
