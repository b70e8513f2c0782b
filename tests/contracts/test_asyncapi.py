"""The AsyncAPI document says what the catalogue and the services' own wiring say, and its examples are true."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import pytest

from deploy import contracts
from deploy.local.stack import PARTITIONS
from libs.events import asyncapi
from libs.events.catalogue import TOPICS, kinds
from libs.events.envelope import Kind
from libs.events.headers import HEADERS
from tests.contracts.pointers import dangling, followed

READERS = contracts.readers()
DOCUMENT = asyncapi.document(READERS, partitions=PARTITIONS)
REFERENCE = {"type": "object", "properties": {"$ref": {"type": "string"}}, "required": ["$ref"], "minProperties": 1}
SKELETON: dict[str, Any] = {
    "type": "object",
    "required": ["asyncapi", "info", "channels", "operations", "components"],
    "additionalProperties": False,
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "info": {"type": "object", "required": ["title", "version"]},
        "defaultContentType": {"const": "application/json"},
        "channels": {
            "additionalProperties": {
                "required": ["address", "messages"],
                "properties": {
                    "messages": {"additionalProperties": REFERENCE, "minProperties": 1},
                    "bindings": {"properties": {"kafka": {"properties": {"partitions": {"minimum": 1}}}}},
                },
            }
        },
        "operations": {
            "additionalProperties": {
                "required": ["action", "channel", "messages"],
                "properties": {
                    "action": {"enum": ["send", "receive"]},
                    "channel": REFERENCE,
                    "messages": {"type": "array", "items": REFERENCE, "minItems": 1},
                },
            }
        },
        "components": {
            "propertyNames": {"enum": ["messages", "schemas"]},
            "additionalProperties": {"propertyNames": {"pattern": r"^[\w.\-]+$"}},
            "properties": {
                "messages": {
                    "additionalProperties": {
                        "required": ["name", "title", "summary", "contentType", "headers", "payload", "examples"],
                        "properties": {
                            "payload": REFERENCE,
                            "examples": {
                                "type": "array",
                                "items": {"propertyNames": {"enum": ["name", "summary", "headers", "payload"]}},
                            },
                        },
                    }
                }
            },
        },
    },
}
"""What the specification asks of the parts we use."""


def misfits(document: dict[str, Any]) -> list[str]:
    """Why a document is no AsyncAPI 3.0 document of the shape we use."""
    return [error.message for error in jsonschema_rs.iter_errors(SKELETON, document)]


def refused(document: dict[str, Any]) -> Iterator[str]:
    """Messages whose own example does not fit their headers or their payload."""
    for name, message in document["components"]["messages"].items():
        for part in ("headers", "payload"):
            schema = {**message[part], "components": document["components"]}
            if "$ref" in schema:  # draft 7 reads nothing beside a reference
                schema = {"allOf": [message[part]], "components": document["components"]}
            fits = jsonschema_rs.Draft7Validator(schema, validate_formats=True)
            if not all(fits.is_valid(example[part]) for example in message["examples"]):
                yield f"{name} {part}"


def test_the_document_has_the_shape_of_the_specification() -> None:
    assert misfits(DOCUMENT) == []
    for name, schema in DOCUMENT["components"]["schemas"].items():
        jsonschema_rs.Draft7Validator({**schema, "components": DOCUMENT["components"]})
        assert "prefixItems" not in str(schema), name


def test_every_reference_leads_somewhere() -> None:
    assert dangling(DOCUMENT) == []


def test_every_message_of_the_catalogue_is_sent_once_on_its_own_topic() -> None:
    assert set(DOCUMENT["channels"]) == set(TOPICS)
    for topic in TOPICS:
        mine = {kind.type for kind in kinds() if kind.topic == topic}
        channel = DOCUMENT["channels"][topic]
        assert (channel["address"], channel["bindings"]["kafka"]["partitions"]) == (topic, 12)
        assert "12 partitions" in channel["description"]
        assert set(channel["messages"]) == mine
        assert _types(DOCUMENT["operations"][f"{topic}.send"]) == mine
    assert set(DOCUMENT["components"]["messages"]) == {kind.type for kind in kinds()}
    sent = [name for name, operation in DOCUMENT["operations"].items() if operation["action"] == "send"]
    assert sorted(sent) == sorted(f"{topic}.send" for topic in TOPICS)


def test_every_service_receives_exactly_what_it_acts_on() -> None:
    received: dict[str, set[str]] = {name: set() for name in READERS}
    for name, operation in DOCUMENT["operations"].items():
        if operation["action"] == "receive":
            service, _, topic = name.split(".")
            assert operation["channel"] == {"$ref": f"#/channels/{topic}"}
            received[service] |= _types(operation)
    assert received == {name: set(types) for name, types in READERS.items()}
    assert all("day.closed.v1" in types for types in received.values())


def test_a_message_carries_every_header_of_the_contract_and_an_example_that_fits() -> None:
    assert list(refused(DOCUMENT)) == []
    for kind in kinds():
        (example,) = DOCUMENT["components"]["messages"][kind.type]["examples"]
        assert set(example["headers"]) == {header.name for header in HEADERS}
        assert example["headers"]["ce_type"] == kind.type
        assert example["headers"]["ce_source"] == f"/silverbear/{kind.topic}"


def test_planted_faults_are_caught() -> None:
    spoilt = copy.deepcopy(DOCUMENT)
    spoilt["operations"]["application.send"]["messages"].append({"$ref": "#/channels/application/messages/none"})
    assert dangling(spoilt) == ["#/channels/application/messages/none"]
    spoilt["operations"]["application.send"]["action"] = "publish"
    assert misfits(spoilt)
    messages = spoilt["components"]["messages"]
    del messages["loan.closed.v1"]["examples"][0]["headers"]["ce_id"]
    messages["loan.cured.v1"]["examples"][0]["headers"]["ce_type"] = "loan.closed.v1"
    messages["loan.overdue.v1"]["examples"][0]["payload"]["since"] = "yesterday"
    messages["loan.disbursed.v1"]["examples"][0]["payload"]["amount"].pop("currency")
    assert sorted(refused(spoilt)) == [
        "loan.closed.v1 headers",
        "loan.cured.v1 headers",
        "loan.disbursed.v1 payload",
        "loan.overdue.v1 payload",
    ]


class _Here:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Part:
        """A part in words."""

        worth: str


class _There:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Part:
        """A part in numbers."""

        worth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _One:
    """It has a part in words."""

    part: _Here.Part


@dataclass(frozen=True, slots=True, kw_only=True)
class _Other:
    """It has a part in numbers."""

    part: _There.Part


def test_two_records_of_one_name_cannot_hide_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = (Kind("clock", "one.told", 1, _One), Kind("clock", "other.told", 1, _Other))
    monkeypatch.setattr(asyncapi, "kinds", lambda: catalogue)
    with pytest.raises(ValueError, match=re.escape("Part of other.told.v1 differs")):
        asyncapi.document({}, partitions=1)


def _types(operation: dict[str, Any]) -> set[str]:
    """The message types of an operation, each followed to the message itself."""
    links = [followed(DOCUMENT, each["$ref"])["$ref"] for each in operation["messages"]]
    return {followed(DOCUMENT, link)["name"] for link in links}
