"""What was released is never broken: the gate compares with files that no generator writes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy import contracts
from deploy.compatibility import breaks

Document = dict[str, Any]
PLACE = "POST /v1/loans"
LOAN: Document = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "date"},
        "state": {"type": "string", "enum": ["open", "closed"]},
        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Loan"}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["id", "state"],
}
OLD: Document = {
    "paths": {
        "/v1/loans": {
            "post": {
                "parameters": [{"in": "query", "name": "on", "required": False, "schema": {"type": "string"}}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LoanIn"}}},
                },
                "responses": {
                    "201": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Loan"}}}},
                    "409": {"content": {"application/problem+json": {}}},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Loan": LOAN,
            "LoanIn": {
                "type": "object",
                "properties": {
                    "kind": {"type": "string", "enum": ["short", "long"]},
                    "amount": {"type": "integer", "minimum": 1, "maximum": 9},
                    "note": {"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]},
                },
                "required": ["kind"],
            },
        }
    },
}


def operation(new: Document) -> Document:
    found: Document = new["paths"]["/v1/loans"]["post"]
    return found


def answer(new: Document) -> Document:
    found: Document = new["components"]["schemas"]["Loan"]
    return found


def asked(new: Document) -> Document:
    found: Document = new["components"]["schemas"]["LoanIn"]
    return found


PLANTED: list[tuple[str, Callable[[Document], object]]] = [
    ("was removed", lambda new: new["paths"].pop("/v1/loans")),
    ("was removed", lambda new: new["paths"]["/v1/loans"].pop("post")),
    (" on: the parameter was removed", lambda new: operation(new)["parameters"].clear()),
    (" on: the parameter is newly required", lambda new: operation(new)["parameters"][0].update(required=True)),
    (" on: type string became integer", lambda new: operation(new)["parameters"][0]["schema"].update(type="integer")),
    (" 201: the answer was removed", lambda new: operation(new)["responses"].pop("201")),
    (" 409: application/problem+json was removed", lambda new: operation(new)["responses"]["409"].pop("content")),
    (" 201 state was removed", lambda new: answer(new)["properties"].pop("state")),
    (" 201 state was always there and is optional", lambda new: answer(new)["required"].remove("state")),
    (
        " 201 state: closed|open became closed|lost|open",
        lambda new: answer(new)["properties"]["state"]["enum"].append("lost"),
    ),
    (" 201 state: closed|open became any value", lambda new: answer(new)["properties"]["state"].pop("enum")),
    (" 201 id: type string became integer", lambda new: answer(new)["properties"]["id"].update(type="integer")),
    (" 201 id: format date became None", lambda new: answer(new)["properties"]["id"].pop("format")),
    (
        " 201 id: null is newly answered",
        lambda new: answer(new)["properties"].update(
            id={"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}
        ),
    ),
    (" request kind: long|short became short", lambda new: asked(new)["properties"]["kind"]["enum"].remove("long")),
    (" request amount: maximum 9 became 8", lambda new: asked(new)["properties"]["amount"].update(maximum=8)),
    (" request amount: minimum 1 became 2", lambda new: asked(new)["properties"]["amount"].update(minimum=2)),
    (" request amount: pattern None became x", lambda new: asked(new)["properties"]["amount"].update(pattern="x")),
    (" request amount is newly required", lambda new: asked(new)["required"].append("amount")),
    (
        " request rate is newly required",
        lambda new: (asked(new)["properties"].update(rate={"type": "string"}), asked(new)["required"].append("rate")),
    ),
    (" request note: null is no longer taken", lambda new: asked(new)["properties"]["note"]["anyOf"].pop()),
    (
        " request note: maxLength 9 became 5",
        lambda new: asked(new)["properties"]["note"]["anyOf"][0].update(maxLength=5),
    ),
    (" request: further fields are newly refused", lambda new: asked(new).update(additionalProperties=False)),
]
LET_PASS: list[Callable[[Document], object]] = [
    len,
    lambda new: new["paths"].update({"/v1/more": {}}),
    lambda new: operation(new)["parameters"].append({"in": "query", "name": "q", "schema": {"type": "string"}}),
    lambda new: operation(new)["responses"].update({"404": {}}),
    lambda new: answer(new)["properties"].update(more={"type": "string"}),
    lambda new: answer(new)["properties"]["state"]["enum"].remove("closed"),
    lambda new: answer(new)["properties"]["note"]["anyOf"].pop(),
    lambda new: answer(new)["required"].append("note"),
    lambda new: asked(new)["properties"].update(more={"type": "string"}),
    lambda new: asked(new)["properties"]["kind"]["enum"].append("longer"),
    lambda new: asked(new)["properties"]["amount"].update(maximum=10, minimum=0),
    lambda new: asked(new)["required"].remove("kind"),
    lambda new: asked(new)["properties"].update(kind={"anyOf": [asked(new)["properties"]["kind"], {"type": "null"}]}),
]


def changed(change: Callable[[Document], object]) -> Document:
    new = copy.deepcopy(OLD)
    change(new)
    return new


@pytest.mark.parametrize(("told", "change"), PLANTED, ids=lambda case: case if isinstance(case, str) else "")
def test_a_planted_break_of_an_interface_is_named(told: str, change: Callable[[Document], object]) -> None:
    (found,) = breaks(OLD, changed(change))
    assert found.startswith(PLACE)
    assert found.endswith(told)


@pytest.mark.parametrize("change", LET_PASS)
def test_what_asks_for_less_or_says_more_is_let_pass(change: Callable[[Document], object]) -> None:
    assert breaks(OLD, changed(change)) == []


def test_the_code_keeps_what_was_released_and_every_released_door_can_be_broken() -> None:
    assert contracts.broken() == []
    for service in contracts.SERVICES:
        name = f"openapi/{service.name}.json"
        released = json.loads((contracts.FOLDER / contracts.RELEASED / name).read_text("utf-8"))
        for path in released["paths"]:
            short = {**released, "paths": {each: said for each, said in released["paths"].items() if each != path}}
            assert len(breaks(released, short)) == len(released["paths"][path])


def test_the_gate_compares_with_what_no_generator_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """More was promised than the code does: neither writing the documents anew nor releasing hides it."""
    assert contracts.main([], tmp_path) == contracts.main(["--release"], tmp_path) == 0
    event, door = (tmp_path / "released" / name for name in ("events/loan.closed.v1.json", "openapi/rating.json"))
    promised = json.loads(event.read_text("utf-8"))
    promised["properties"]["balance"] = {"type": "string"}
    event.write_text(json.dumps(promised), "utf-8")
    (tmp_path / "released" / "events" / "loan.sold.v1.json").write_text("{}", "utf-8")
    released = json.loads(door.read_text("utf-8"))
    released["paths"]["/v1/scores"] = {"get": {"responses": {}}}
    door.write_text(json.dumps(released), "utf-8")
    assert contracts.main([], tmp_path) == 0
    for arguments in (["--check"], ["--release"]):
        assert contracts.main(arguments, tmp_path) == 1
        assert [
            line.removeprefix("docs/released/").rpartition(": ")[0] for line in capsys.readouterr().err.splitlines()
        ] == [
            "events/loan.closed.v1.json: balance was removed",
            "events/loan.sold.v1.json is gone",
            "openapi/rating.json: GET /v1/scores was removed",
        ]
    assert json.loads(event.read_text("utf-8")) == promised
