"""One trace from the first request to the last service: spans by OpenTelemetry, carried as W3C trace context.

What travels is the text of a `traceparent`. Without an exporter no span is made: a good text is passed on as it is, so
the services in between do not break the trace of those around them, and logs can still name it.
"""

from __future__ import annotations

import random
import re
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from libs.runtime.logs import fault
from libs.runtime.settings import Settings

EXPORT_TIMEOUT_SECONDS = 5.0
CLOSE_SECONDS_MAX = 1.0
TRACEPARENT_CHARACTERS = 55
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_KNOWN_FLAGS = 0x03  # sampled, random trace id; a later version's other flags mean nothing to us


def read_traceparent(text: str) -> SpanContext | None:
    """The parent that a W3C `traceparent` names, or None for one that must be ignored.

    W3C Trace Context, 3.2.2: ids are in lower case and not all zeros, version 00 ends after the flags, a later version
    may go on after a dash, version ff is forbidden.
    """
    found = _TRACEPARENT.fullmatch(text)
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5] is not None):
        return None
    context = SpanContext(int(found[2], 16), int(found[3], 16), True, TraceFlags(int(found[4], 16) & _KNOWN_FLAGS))
    return context if context.is_valid else None


def traceparent_of(context: SpanContext) -> str:
    """The text under which a span is the parent of what it causes."""
    trace, span = format_trace_id(context.trace_id), format_span_id(context.span_id)
    return f"00-{trace}-{span}-{context.trace_flags:02x}"


class Traces:
    """The spans of one process; switched off (the default) it makes none."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("silverbear") if provider else None

    @property
    def on(self) -> bool:
        """Whether spans are made."""
        return self._tracer is not None

    def begin(
        self, name: str, kind: SpanKind, parent: str, attributes: dict[str, Any], *, start_ns: int | None = None
    ) -> tuple[Span | None, str]:
        """Start a span under `parent`, or a new trace where that is none; returns it and its own traceparent."""
        context = read_traceparent(parent)
        if self._tracer is None:
            return None, parent[:TRACEPARENT_CHARACTERS] if context else traceparent_of(_unsampled())
        around = set_span_in_context(NonRecordingSpan(context)) if context else None
        span: Any = self._tracer.start_span(name, around, kind, attributes, start_time=start_ns)
        return span, traceparent_of(span.get_span_context())

    def close(self) -> None:
        """Export what is left, waiting a moment at most for a collector that does not answer."""
        if self._provider is not None:
            closing = threading.Thread(target=self._provider.shutdown, daemon=True)
            closing.start()
            closing.join(CLOSE_SECONDS_MAX)


def end(span: Span | None, error: BaseException | None = None) -> None:
    """End a span; an error is told without its words, see libs/runtime/logs.py."""
    if span is not None:
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, fault(error)))
        span.end()


class _SpanFile(ConsoleSpanExporter):
    """Appends one JSON line per span; several processes may share the file."""

    def __init__(self, path: Path) -> None:
        file = path.open("a", buffering=1, encoding="utf-8")
        super().__init__(out=file, formatter=lambda span: f"{span.to_json(indent=None)}\n")

    def shutdown(self) -> None:
        self.out.close()


def traces_of(settings: Settings, service: str, *exporters: SpanExporter) -> Traces:
    """Traces as the settings want them: to a collector, to a file, to further `exporters`, or none at all."""
    wanted = list(exporters)
    if settings.otel_exporter_otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - half a second

        address = f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces"
        wanted.append(OTLPSpanExporter(endpoint=address, timeout=EXPORT_TIMEOUT_SECONDS))
    if settings.trace_file is not None:
        wanted.append(_SpanFile(settings.trace_file))
    if not wanted:
        return Traces()
    identity = {
        "service.namespace": "silverbear",
        "service.name": service,
        "service.instance.id": settings.replica,
        "service.version": version("silverbear"),
    }
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.otel_traces_sampler_arg)),
        resource=Resource.create(identity),
        shutdown_on_exit=False,
    )
    for exporter in wanted:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return Traces(provider)


def _unsampled() -> SpanContext:
    bits = random.getrandbits(192) | 1 << 191 | 1  # never all zeros
    return SpanContext(bits >> 64, bits & (1 << 64) - 1, False, TraceFlags(TraceFlags.DEFAULT))
