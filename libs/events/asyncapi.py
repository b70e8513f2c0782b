"""The contract as an AsyncAPI 3.0 document: every topic, every message, who sends and who receives; never by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from libs.events.catalogue import TOPICS, kinds
from libs.events.envelope import Kind
from libs.events.generate import example_of, schema_object
from libs.events.headers import fixed, headers_schema, sample_headers

VERSION = "3.0.0"
KAFKA_BINDING = "0.5.0"
Readers = Mapping[str, Sequence[str]]
"""The event types each service acts on, by the name of the service."""


def document(readers: Readers, *, partitions: int) -> dict[str, Any]:
    """The whole document; `partitions` is the number each topic has."""
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Silverbear events",
            "version": "1",
            "description": (
                "Small-business lending as facts: one topic per publishing service, keyed by facility, kept for ever."
                " CloudEvents 1.0 in Kafka's binary mode: attributes in the headers, the body in the value."
                " A version never changes but by an optional field; anything else is a new version beside it."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {topic: _channel(topic, partitions) for topic in TOPICS},
        "operations": _operations(readers),
        "components": {
            "messages": {kind.type: _message(kind) for kind in kinds()},
            "schemas": _schemas(),
        },
    }


def _of(topic: str) -> list[Kind]:
    return [kind for kind in kinds() if kind.topic == topic]


def _channel(topic: str, partitions: int) -> dict[str, Any]:
    return {
        "address": topic,
        "description": (
            f"What {topic} publishes, in order per key. {partitions} partitions, the same number for every topic, so"
            " that all topics of one facility reach one process. A deployment may put a prefix before the name."
        ),
        "messages": {kind.type: {"$ref": f"#/components/messages/{kind.type}"} for kind in _of(topic)},
        "bindings": {"kafka": {"topic": topic, "partitions": partitions, "bindingVersion": KAFKA_BINDING}},
    }


def _operations(readers: Readers) -> dict[str, Any]:
    """One `send` per topic, by its one publisher; one `receive` per service and topic that it acts on."""
    found = {f"{topic}.send": _operation("send", topic, _of(topic), topic) for topic in TOPICS}
    for service, types in readers.items():
        for topic in TOPICS:
            read = [kind for kind in _of(topic) if kind.type in types]
            if read:
                found[f"{service}.receive.{topic}"] = _operation("receive", topic, read, service)
    return found


def _operation(action: str, topic: str, messages: Sequence[Kind], service: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "messages": [{"$ref": f"#/channels/{topic}/messages/{kind.type}"} for kind in messages],
        "summary": f"{service} publishes these" if action == "send" else f"{service} acts on these",
        "tags": [{"name": service}],
    }


def _message(kind: Kind) -> dict[str, Any]:
    said = {name: {"type": "string", "const": value} for name, value in fixed(kind).items()}
    return {
        "name": kind.type,
        "title": kind.body.__name__,
        "summary": (kind.body.__doc__ or "").partition("\n")[0],
        "contentType": "application/json",
        "headers": {"allOf": [{"$ref": "#/components/schemas/Headers"}, {"type": "object", "properties": said}]},
        "payload": {"$ref": f"#/components/schemas/{kind.type}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "the facility's id; `clock` on the topic clock"},
                "bindingVersion": KAFKA_BINDING,
            }
        },
        "examples": [{"name": "example", "headers": sample_headers(kind), "payload": example_of(kind)}],
    }


def _schemas() -> dict[str, Any]:
    """Bodies by type, the records inside them by class, said once; two records of one name raise ValueError."""
    found: dict[str, Any] = {"Headers": headers_schema()}
    for kind in kinds():
        schema = schema_object(kind)
        for name, part in schema.pop("$defs", {}).items():
            lifted = _lifted(part)
            if found.setdefault(name, lifted) != lifted:
                raise ValueError(f"{name} of {kind.type} differs from another record of that name")
        found[kind.type] = _lifted({key: value for key, value in schema.items() if key not in ("$id", "$schema")})
    return found


def _lifted(value: Any) -> Any:
    """The same schema in AsyncAPI's dialect (draft 7): definitions are components, a tuple's places are `items`."""
    if isinstance(value, list):
        return [_lifted(each) for each in value]
    if not isinstance(value, dict):
        return value
    lifted = {("items" if key == "prefixItems" else key): _lifted(each) for key, each in value.items()}
    if isinstance(lifted.get("$ref"), str):
        lifted["$ref"] = lifted["$ref"].replace("#/$defs/", "#/components/schemas/")
    return lifted
