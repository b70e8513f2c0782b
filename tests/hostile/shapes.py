"""Requests made from a service's own OpenAPI document: sound ones, and sound ones with one thing broken.

A text may be a placeholder "known:7" for an id of the seeded data; `fill` puts the id in, so that what is drawn does
not depend on ids that differ from run to run.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

Schema = dict[str, Any]
Strategy = st.SearchStrategy[Any]

KNOWN = st.integers(0, 15).map(lambda number: f"known:{number}")
ODD_TEXTS = ("\x00", "a\x00b", " ", "\u202e", "😀", "'; --", "../..", "%00", "{}", "\\u0000", "０", "\x7f\x1b[2J")
NUMBERS = ("0", "0.01", "1E+11", "1E-2", "-0", "0E+999999", "0E-999999", "1E-999999", "0.000001", "٣", "1_0", " 1 ")
NO_NUMBERS = ("1e999", "NaN", "Infinity", "-1", "9" * 50, "1E+999999", "0x1", "")
DAYS = st.one_of(
    st.dates(),
    st.sampled_from([date.min, date.max, date(1970, 1, 1)]),
    st.integers(-400, 800).map(lambda days: date(2025, 9, 1) + timedelta(days=days)),
)
JUNK: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 2**31, 2**63, 10**40, 1e308, float("nan"), float("inf"), float("-inf")),
    *("", "\x00", "\ud800", "x" * 70_000, "2025-13-40", "9999-12-31T23:59:59Z", *NO_NUMBERS),
    *([], {}, [[]], [None] * 1_000, {"amount": {}}, {"\ud800": 1}, {"a\x00": 1}),
)
RAW = (b"", b"null", b"[]", b"{", b'"x"', b"\xff\xfe", b"{}{}", b"[" * 60_000, b'{"a":' * 5_000, b"9" * 5_000, b"\x00")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it will be sent, but for the placeholders."""

    door: str
    path: dict[str, str]
    query: dict[str, str]
    body: Any = None
    raw: bytes | None = None
    actor: str = "someone"

    def url(self, known: Sequence[str]) -> str:
        path = self.door.partition(" ")[2]
        for name, value in self.path.items():
            path = path.replace(f"{{{name}}}", quote(fill(value, known), safe=""))
        query = "&".join(f"{name}={quote(fill(value, known), safe='')}" for name, value in self.query.items())
        return f"{path}?{query}" if query else path

    def content(self, known: Sequence[str]) -> bytes:
        return json.dumps(fill(self.body, known)).encode() if self.raw is None else self.raw


def fill(value: Any, known: Sequence[str]) -> Any:
    """The value with every placeholder replaced."""
    match value:
        case str() if value.startswith("known:"):
            return known[int(value.removeprefix("known:")) % len(known)]
        case dict():
            return {name: fill(part, known) for name, part in value.items()}
        case list():
            return [fill(part, known) for part in value]
    return value


class Shapes:
    """Strategies for the operations of one OpenAPI document."""

    def __init__(self, document: Schema) -> None:
        self.document = document

    def operations(self) -> dict[str, Schema]:
        """"METHOD /path" → operation."""
        return {
            f"{method.upper()} {path}": operation
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        }

    def requests(self) -> Strategy:
        """Any request: half of them sound."""
        return st.one_of([self._request(door, operation) for door, operation in self.operations().items()])

    def _request(self, door: str, operation: Schema) -> Strategy:
        places: dict[str, dict[str, Strategy]] = {"path": {}, "query": {}, "header": {}}
        for parameter in operation.get("parameters", []):
            text = self.sound(parameter["schema"]).map(lambda value: "" if value is None else str(value))
            junk = st.sampled_from([*ODD_TEXTS, *NO_NUMBERS[:-1], "x" * 3_000])
            places[parameter["in"]][parameter["name"]] = st.one_of(text, text, text, junk)
        path = st.fixed_dictionaries(places["path"]).filter(lambda values: all(values.values()))
        rest: dict[str, Strategy] = {}
        if "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            rest["body"] = st.one_of(self.sound(schema), self.sound(schema), self.broken(schema), self.broken(schema))
            rest["raw"] = st.one_of([st.none()] * 12 + [st.sampled_from(RAW)])
        query = st.fixed_dictionaries({}, optional=places["query"])
        return st.builds(Asked, st.just(door), path, query, actor=KNOWN, **rest)

    def sound(self, schema: Schema) -> Strategy:
        """Values that fit the schema, mostly (a number's or a text's finer rules are not all in it)."""
        schema = self.resolved(schema)
        match schema:
            case {"const": value}:
                return st.just(value)
            case {"enum": values}:
                return st.sampled_from(values)
            case {"anyOf": [{"type": "number"}, {"type": "string"}]}:
                return st.one_of(st.decimals(0, 2_000_000, places=2).map(str), st.sampled_from(NUMBERS))
            case {"anyOf": choices}:
                return st.one_of([self.sound(choice) for choice in choices])
            case {"type": "object"}:
                parts = {name: self.sound(part) for name, part in schema.get("properties", {}).items()}
                needed = set(schema.get("required", []))
                return st.fixed_dictionaries(
                    {name: part for name, part in parts.items() if name in needed},
                    optional={name: part for name, part in parts.items() if name not in needed},
                )
            case {"type": "array"}:
                most = min(schema.get("maxItems", 3), 3)
                return st.lists(self.sound(schema["items"]), min_size=schema.get("minItems", 0), max_size=most)
            case {"type": "integer"}:
                return st.integers(int(schema.get("minimum", -1)), int(schema.get("maximum", 2**63)))
            case {"type": "boolean"}:
                return st.booleans()
            case {"type": "null"}:
                return st.none()
            case {"type": "string", "format": "date"}:
                return DAYS.map(date.isoformat)
            case {"type": "string", "pattern": "^[A-Z]{3}$"}:
                return st.sampled_from(["CNY", "CNY", "CNY", "USD", "XXX"])
            case {"type": "string", "pattern": pattern}:
                return st.one_of(KNOWN, st.from_regex(pattern, fullmatch=True))
            case {"type": "string"}:
                text = st.text(min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 20), 20))
                return st.one_of(KNOWN, KNOWN, text, st.sampled_from(ODD_TEXTS))
        raise AssertionError(f"no strategy for {schema}")

    @st.composite
    @staticmethod
    def _one_broken(draw: st.DrawFn, sound: Strategy) -> Any:
        value = copy.deepcopy(draw(sound))
        place = draw(st.sampled_from(list(_places(value))))
        junk = draw(st.sampled_from(JUNK))
        if not place:
            return junk
        *way, last = place
        inner = value
        for step in way:
            inner = inner[step]
        match draw(st.sampled_from(["replace", "replace", "remove", "add"])), inner:
            case "remove", _:
                del inner[last]
            case "add", dict():
                inner[draw(st.sampled_from(["extra", "\ud800", "\x00", "x" * 5_000]))] = junk
            case _:
                inner[last] = junk
        return value

    def broken(self, schema: Schema) -> Strategy:
        """Values that fit but for one place."""
        return Shapes._one_broken(self.sound(schema))

    def plain(self, schema: Schema) -> Any:
        """One simple value that fits."""
        schema = self.resolved(schema)
        match schema:
            case {"const": value} | {"enum": [value, *_]}:
                return value
            case {"anyOf": [{"type": "number"}, {"type": "string"}]}:
                return "0.50"
            case {"anyOf": [choice, *_]}:
                return self.plain(choice)
            case {"type": "object"}:
                return {name: self.plain(schema["properties"][name]) for name in schema.get("required", [])}
            case {"type": "array"}:
                return [self.plain(schema["items"])] * schema.get("minItems", 0)
            case {"type": "integer"}:
                return int(schema.get("minimum", 1))
            case {"type": "boolean"}:
                return True
            case {"type": "string", "format": "date"}:
                return "2025-09-01"
            case {"type": "string", "pattern": "^[A-Z]{3}$"}:
                return "CNY"
        return "abc"

    def resolved(self, schema: Schema) -> Schema:
        """The schema behind a reference."""
        while "$ref" in schema:
            found: Any = self.document
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
        return schema


def _places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value, the whole first."""
    yield way
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in parts:
        yield from _places(part, (*way, step))
