"""A published type never changes but by an optional field: every other change is refused, and nothing is written."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

from libs.events import generate
from libs.events.catalogue import kinds
from libs.events.compatibility import breaks
from libs.events.envelope import Kind
from libs.kernel.money import Money

Schema = dict[str, Any]

OLD: Schema = {
    "type": "object",
    "x-topic": "toy",
    "$defs": {
        "Part": {
            "type": "object",
            "properties": {"party": {"type": "string"}, "kin": {"type": "array", "items": {"$ref": "#/$defs/Part"}}},
            "required": ["party"],
        }
    },
    "properties": {
        "facility_id": {"type": "string", "title": "Facility Id"},
        "outcome": {"enum": ["repaid", "written_off"], "type": "string"},
        "kind": {"const": "loan", "type": "string"},
        "due": {"type": "string", "format": "date"},
        "note": {"type": "string", "default": ""},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
        "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
        "end": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
    },
    "required": ["facility_id", "outcome", "kind", "due", "parts", "pair", "limits"],
}


def changed(change: Callable[[Schema], object]) -> Schema:
    new = copy.deepcopy(OLD)
    change(new)
    return new


def _rename(new: Schema) -> None:
    """Another class, another order of words, another title: the same JSON."""
    text = json.dumps(new).replace("Part", "Portion")
    new.clear()
    new.update(json.loads(text), title="Renamed", description="Told better.")
    new["properties"]["outcome"]["enum"].reverse()


PLANTED: list[tuple[str, Callable[[Schema], object]]] = [
    ("due was removed", lambda new: new["properties"].pop("due")),
    ("parts[].party was removed", lambda new: new["$defs"]["Part"]["properties"].pop("party")),
    ("outcome: enum", lambda new: new["properties"]["outcome"]["enum"].remove("written_off")),
    ("outcome: enum", lambda new: new["properties"]["outcome"]["enum"].append("forgiven")),
    ("note: enum unsaid became", lambda new: new["properties"]["note"].update(enum=[""])),
    (
        "facility_id: type 'string' became 'integer'",
        lambda new: new["properties"]["facility_id"].update(type="integer"),
    ),
    ("parts[].party: type", lambda new: new["$defs"]["Part"]["properties"]["party"].update(type="integer")),
    ("pair[1]: type", lambda new: new["properties"]["pair"]["prefixItems"][1].update(type="number")),
    ("pair: prefixItems", lambda new: new["properties"]["pair"]["prefixItems"].pop()),
    ("limits[]: type", lambda new: new["properties"]["limits"]["additionalProperties"].update(type="string")),
    ("end: anyOf", lambda new: new["properties"]["end"]["anyOf"].pop()),
    ("due: format 'date' became unsaid", lambda new: new["properties"]["due"].pop("format")),
    ("kind: const 'loan' became 'facility'", lambda new: new["properties"]["kind"].update(const="facility")),
    ("note: default", lambda new: new["properties"]["note"].update(default="none")),
    ("note was optional and is required", lambda new: new["required"].append("note")),
    ("due was required and is optional", lambda new: new["required"].remove("due")),
    (
        "extra is new and required",
        lambda new: (new["properties"].update(extra={"type": "string"}), new["required"].append("extra")),
    ),
    (
        "parts[].extra is new and required",
        lambda new: (
            new["$defs"]["Part"]["properties"].update(extra={"type": "string"}),
            new["$defs"]["Part"]["required"].append("extra"),
        ),
    ),
    ("the event: x-topic 'toy' became 'other'", lambda new: new.update({"x-topic": "other"})),
    ("the event: type 'object' became 'array'", lambda new: new.update(type="array")),
]

LET_PASS: list[Callable[[Schema], object]] = [
    len,
    lambda new: new["properties"].update(extra={"type": "string", "default": ""}),
    lambda new: new["$defs"]["Part"]["properties"].update(extra={"type": "string", "default": ""}),
    lambda new: new["properties"]["due"].update(description="the last day", title="Due"),
    lambda new: new["required"].reverse(),
    _rename,
]


@pytest.mark.parametrize(("told", "change"), PLANTED, ids=lambda case: case if isinstance(case, str) else "")
def test_a_planted_break_is_named(told: str, change: Callable[[Schema], object]) -> None:
    found = breaks(OLD, changed(change))
    assert len(found) == 1, found
    assert found[0].startswith(told)


@pytest.mark.parametrize("change", LET_PASS)
def test_an_optional_field_and_better_words_are_let_pass(change: Callable[[Schema], object]) -> None:
    assert breaks(OLD, changed(change)) == []


def test_a_type_that_is_gone_is_a_break_and_a_file_that_promised_nothing_is_none() -> None:
    assert breaks(OLD, None) == ["the type is gone, but its events stay in the journal"]
    assert breaks({}, None) == breaks({}, OLD) == []


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The account is closed."""

    facility_id: str
    amount: Money
    outcome: Literal["repaid", "written_off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedWithNote:
    """The account is closed."""

    facility_id: str
    amount: Money
    outcome: Literal["repaid", "written_off"]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedShort:
    """The account is closed."""

    facility_id: str
    outcome: Literal["repaid", "written_off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedNarrow:
    """The account is closed."""

    facility_id: str
    amount: Money
    outcome: Literal["repaid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedByNumber:
    """The account is closed."""

    facility_id: str
    amount: Decimal
    outcome: Literal["repaid", "written_off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedByWhom:
    """The account is closed."""

    facility_id: str
    amount: Money
    outcome: Literal["repaid", "written_off"]
    actor: str


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the generator in a folder of its own for a catalogue of these (version, class)."""

    def run(*versions: tuple[int, type]) -> int:
        catalogue = tuple(Kind("toy", "account.closed", version, body) for version, body in versions)
        monkeypatch.setattr(generate, "kinds", lambda: catalogue)
        return generate.main([], tmp_path)

    return run


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (ClosedShort, "amount was removed"),
        (ClosedNarrow, "outcome: const"),
        (ClosedNarrow, "outcome: enum"),
        (ClosedByNumber, "amount: type"),
        (ClosedByWhom, "actor is new and required"),
    ],
)
def test_the_generator_refuses_to_overwrite_a_type_that_would_break(
    publish: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str], body: type, told: str
) -> None:
    assert publish((1, Closed)) == 0
    before = (tmp_path / "account.closed.v1.json").read_bytes()
    assert publish((1, body), (2, Closed)) == 1
    said = capsys.readouterr().err
    assert f"libs/events/schemas: account.closed.v1: {told}" in said
    assert "version=2" in said
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"account.closed.v1.json": before}


def test_the_generator_refuses_to_forget_a_type(
    publish: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish((1, Closed)) == 0
    assert publish((2, Closed)) == 1
    assert "account.closed.v1: the type is gone" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["account.closed.v1.json"]


def test_the_generator_writes_an_optional_field_and_a_second_version_beside_the_first(
    publish: Callable[..., int], tmp_path: Path
) -> None:
    assert publish((1, Closed)) == 0
    assert publish((1, ClosedWithNote)) == 0
    assert "note" in json.loads((tmp_path / "account.closed.v1.json").read_text())["properties"]
    assert publish((1, ClosedWithNote), (2, ClosedShort)) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["account.closed.v1.json", "account.closed.v2.json"]


def test_the_committed_schemas_promise_something_and_the_code_keeps_it() -> None:
    """Each lets itself be broken: taking away any field is noticed, so the gate is open nowhere."""
    assert generate.broken() == []
    for kind in kinds():
        promised = generate.schema_object(kind)
        for name in promised["properties"]:
            short = {**promised, "properties": {n: s for n, s in promised["properties"].items() if n != name}}
            assert breaks(promised, short) == [f"{name} was removed"], kind.type
