"""Requests made from a service's own OpenAPI document: sound ones, and sound ones with one thing broken.

Seeded chance draws them, so a run can be repeated. A text may be something the seeded data calls by the field's name.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any
from urllib.parse import quote

Schema = dict[str, Any]
Known = Mapping[str, Sequence[str]]

WORDS = "words"  # under this name stand the things known by no name of their own
DAY = date(2025, 9, 1)
ODD_DAYS = ("0001-01-01", "9999-12-31", "1900-01-01", "2199-12-31", "1970-01-01", "2024-02-29")
ODD_TEXTS = (
    "\x00",
    "a\x00b",
    " ",
    "\u202e",
    "😀",
    "'; --",
    "../..",
    "%00",
    "{}",
    "\\u0000",
    "０",
    "\x7f\x1b[2J",
    "",
    "x" * 65,
)
NUMBERS = ("0", "0.01", "1E+11", "1E-2", "-0", "0E+999999", "0E-999999", "1E-999999", "0.000001", "٣", "1_0", " 1 ")
NO_NUMBERS = ("1e999", "NaN", "Infinity", "-1", "9" * 50, "1E+999999", "0x1", "")
JUNK: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 2**31, 2**63, 10**40, 1e308, float("nan"), float("inf"), float("-inf")),
    *("", "\x00", "\ud800", "x" * 70_000, "2025-13-40", "9999-12-31T23:59:59Z", *NUMBERS, *NO_NUMBERS),
    *([], {}, [[]], [None] * 1_000, {"amount": {}}, {"\ud800": 1}, {"a\x00": 1}),
)
RAW = (b"", b"null", b"[]", b"{", b'"x"', b"\xff\xfe", b"{}{}", b"[" * 60_000, b'{"a":' * 5_000, b"9" * 5_000, b"\x00")
ODD_ONE_IN = 60  # texts and numbers; a body has dozens
BROKEN_ONE_IN = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it will be sent."""

    door: str
    url: str
    content: bytes = b""


class Shapes:
    """Draws requests for the operations of one OpenAPI document."""

    def __init__(self, document: Schema, chance: Random, known: Known) -> None:
        self.document, self.chance, self.known = document, chance, known
        self.operations: dict[str, Schema] = {
            f"{method.upper()} {path}": operation
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

    def request(self, door: str) -> Asked:
        """A request at "METHOD /path"; its parameters and its body are sound, mostly."""
        operation = self.operations[door]
        url, query = door.partition(" ")[2], []
        for parameter in operation.get("parameters", []):
            name = parameter["name"]
            text = self._parameter(parameter["schema"], name)
            if parameter["in"] == "path":
                url = url.replace(f"{{{name}}}", quote(text or "x", safe=""))
            elif parameter["in"] == "query" and self.chance.random() < 0.5:
                query.append(f"{name}={quote(text, safe='')}")
        content = self._content(operation) if "requestBody" in operation else b""
        return Asked(door, f"{url}?{'&'.join(query)}" if query else url, content)

    def _parameter(self, schema: Schema, name: str) -> str:
        if self._now_and_then(10):
            return self.chance.choice([*ODD_TEXTS, *NO_NUMBERS, "x" * 3_000])
        value = self.sound(schema, name)
        return "" if value is None else str(value)

    def _content(self, operation: Schema) -> bytes:
        if self._now_and_then(20):
            return self.chance.choice(RAW)
        body = self.sound(operation["requestBody"]["content"]["application/json"]["schema"])
        return json.dumps(self.broken(body) if self._now_and_then(BROKEN_ONE_IN) else body).encode()

    def sound(self, schema: Schema, name: str = "") -> Any:
        """A value for a field called `name` that fits the schema, mostly: the finer rules are not all in it."""
        schema, chance = self.resolved(schema), self.chance
        match schema:
            case {"const": value}:
                return value
            case {"enum": values}:
                return chance.choice(values)
            case {"anyOf": [{"type": "number"} as bounds, {"type": "string"}]}:
                return self._number(bounds)
            case {"anyOf": choices}:
                return self.sound(chance.choice(choices), name)
            case {"type": "object"}:
                needed, parts = schema.get("required", []), schema.get("properties", {})
                chosen = [field for field in parts if field in needed or chance.random() < 0.5]
                return {field: self.sound(parts[field], field) for field in chosen}
            case {"type": "array"}:
                count = chance.randint(schema.get("minItems", 0), min(schema.get("maxItems", 3), 3))
                return [self.sound(schema["items"], name) for _ in range(count)]
            case {"type": "integer"}:
                least, most = int(schema.get("minimum", -1)), int(schema.get("maximum", 2**63))
                return chance.choice([least, chance.randint(least, min(least + 24, most)), chance.randint(least, most)])
            case {"type": "boolean" | "null" as kind}:
                return None if kind == "null" else chance.random() < 0.5
            case {"type": "string"}:
                return self._text(schema, name)
        raise AssertionError(f"no value for {schema}")

    def _text(self, schema: Schema, name: str) -> str:
        chance = self.chance
        if schema.get("format") == "date":
            near = (DAY + timedelta(days=chance.randint(-400, 800))).isoformat()
            return chance.choice(ODD_DAYS) if self._now_and_then(10) else near
        if schema.get("pattern") == "^[A-Z]{3}$":
            return chance.choice(["USD", "EUR"]) if self._now_and_then(ODD_ONE_IN) else "CNY"
        if self._now_and_then(ODD_ONE_IN):
            return chance.choice(ODD_TEXTS)
        word = chance.choice(self.known.get(name) or self.known[WORDS])
        return word if re.search(schema.get("pattern", ""), word) else "abc"

    def _number(self, bounds: Schema) -> str:
        if self._now_and_then(ODD_ONE_IN):
            return self.chance.choice(NUMBERS)
        small = bounds.get("maximum", bounds.get("exclusiveMaximum", 2)) <= 1
        large = ["1", "1000", "1000000.00", str(self.chance.randint(1, 2_000_000))]
        return self.chance.choice(["0", "0.2", "0.5", "0.8"] if small else large)

    def _now_and_then(self, one_in: int) -> bool:
        return self.chance.randrange(one_in) == 0

    def broken(self, sound: Any) -> Any:
        """The value with junk in one place, or one part gone, or one too many."""
        value, chance = copy.deepcopy(sound), self.chance
        *way, last = chance.choice([place for place in _places(value) if place] or [("",)])
        inner, junk = value, chance.choice(JUNK)
        for step in way:
            inner = inner[step]
        if not inner:
            return junk
        match chance.choice(["replace", "replace", "remove", "add"]), inner:
            case "remove", _:
                del inner[last]
            case "add", dict():
                inner[chance.choice(["extra", "\ud800", "\x00", "x" * 5_000])] = junk
            case _:
                inner[last] = junk
        return value

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
