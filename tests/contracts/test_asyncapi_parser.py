"""AsyncAPI's own parser takes the committed document, and refuses one with a planted fault."""

from __future__ import annotations

import json
from typing import Any

from deploy import contracts
from tests.harness import npm

TEXT = (contracts.FOLDER / "asyncapi.json").read_text("utf-8")
INFORMATION = 2
"""Errors are 0 and warnings 1; what only informs (that 3.1 is out) is no fault."""


def faults(text: str) -> list[str]:
    """Where and why the parser finds fault with a document."""
    found = json.loads(npm.run(npm.WANTED / "diagnostics.cjs", text, needs="@asyncapi/parser"))
    return [
        f"{'.'.join(map(str, each['path']))}: {each['message']}" for each in found if each["severity"] < INFORMATION
    ]


def test_the_committed_document_is_valid() -> None:
    assert faults(TEXT) == []


def test_planted_faults_are_named() -> None:
    spoilt: dict[str, Any] = json.loads(TEXT)
    spoilt["operations"]["application.send"]["messages"][0]["$ref"] = "#/channels/application/messages/none"
    spoilt["channels"]["rating"]["adress"] = "rating"
    places = {fault.partition(":")[0] for fault in faults(json.dumps(spoilt))}
    assert {"operations.application.send.messages.0.$ref", "channels.rating.adress"} <= places


def test_axe_is_there_for_the_pages_of_the_console() -> None:
    assert "axe.run" in (npm.installed("axe-core") / "axe.min.js").read_text("utf-8")
