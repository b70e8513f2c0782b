"""The headers of an event on the wire: CloudEvents 1.0 in Kafka's binary mode, every value UTF-8 text, none empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libs.events.envelope import Kind
from libs.events.samples import sample_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One header: its name, what it says, an example, and what JSON Schema can say about its text."""

    name: str
    meaning: str
    example: str
    rule: Mapping[str, Any]
    required: bool = True


_TEXT = {"minLength": 1}
HEADERS: tuple[Header, ...] = (
    Header(name="ce_specversion", meaning="the version of CloudEvents", example="1.0", rule={"const": "1.0"}),
    Header(
        name="ce_id",
        meaning="the event's own id; the same id twice is the same event sent twice",
        example=sample_id("event_id"),
        rule=_TEXT,
    ),
    Header(name="ce_type", meaning="wire name and version", example="loan.disbursed.v1", rule=_TEXT),
    Header(name="ce_source", meaning="who published it", example="/silverbear/application", rule=_TEXT),
    Header(
        name="ce_subject",
        meaning="what it is about: the facility, or `clock` for the end of a day",
        example=sample_id("facility_id"),
        rule=_TEXT,
    ),
    Header(
        name="ce_partitionkey",
        meaning="the ordering key, equal to the key of the Kafka record",
        example=sample_id("facility_id"),
        rule=_TEXT,
    ),
    Header(
        name="ce_sequence",
        meaning="counts the publisher's events of this key from 1 without a gap: a gap is an event not yet read",
        example="17",
        rule={"pattern": "^[1-9][0-9]*$"},
    ),
    Header(
        name="ce_time",
        meaning="wall clock of the publisher, UTC; for people and telemetry, decide by the business date",
        example="2026-01-05T02:03:04.567890+00:00",
        rule={"format": "date-time"},
    ),
    Header(
        name="ce_dataschema",
        meaning="the schema of the body, a file of `libs/events/schemas/` by its name",
        example="/schemas/loan.disbursed.v1.json",
        rule=_TEXT,
    ),
    Header(
        name="ce_businessdate",
        meaning="the day the bank stood at when it happened",
        example="2026-01-05",
        rule={"format": "date"},
    ),
    Header(name="ce_actor", meaning="who did it: a person or a system", example="a-wei", rule=_TEXT, required=False),
    Header(name="ce_org", meaning="the branch they act for", example="branch", rule=_TEXT, required=False),
    Header(
        name="ce_policy",
        meaning="the dated policy the decision rests on",
        example="application/lending@2025-07-01",
        rule=_TEXT,
        required=False,
    ),
    Header(
        name="ce_causationid",
        meaning="the id of the event, timer or answer that led to this one; absent when a caller's request did",
        example=sample_id("cause_id"),
        rule=_TEXT,
        required=False,
    ),
    Header(
        name="traceparent",
        meaning="W3C trace context of the request behind it",
        example="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        rule=_TEXT,
        required=False,
    ),
    Header(
        name="content-type",
        meaning="how the body is written",
        example="application/json",
        rule={"const": "application/json"},
    ),
)


def headers_schema() -> dict[str, Any]:
    """What every event's headers have in common, as a schema of an object of texts."""
    return {
        "type": "object",
        "properties": {
            header.name: {"type": "string", "description": header.meaning, **header.rule} for header in HEADERS
        },
        "required": [header.name for header in HEADERS if header.required],
    }


def fixed(kind: Kind) -> dict[str, str]:
    """The headers whose value follows from the type alone."""
    return {
        "ce_type": kind.type,
        "ce_source": f"/silverbear/{kind.topic}",
        "ce_dataschema": f"/schemas/{kind.type}.json",
    }


def sample_headers(kind: Kind) -> dict[str, str]:
    """An example of the headers of one event type."""
    return {**{header.name: header.example for header in HEADERS}, **fixed(kind)}
