"""What a new schema of a published type would break: between two schemas only optional fields may be added.

Both directions count. Readers of yesterday read tomorrow's events, and tomorrow's readers read the whole journal, so
what narrows a type and what widens it are the same fault, and the remedy is the same: the next version beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_ANNOTATIONS = frozenset({"$defs", "$id", "$schema", "title", "description", "examples", "properties", "required"})
_NESTED = frozenset({"items", "additionalProperties"})
_LISTS = frozenset({"prefixItems", "anyOf", "oneOf", "allOf"})


def breaks(old: Schema, new: Schema | None) -> list[str]:
    """What `new` breaks for readers and for the journal, one line each; none when it only adds optional fields.

    `new` is None when the type is gone. A schema that describes no object promised nothing and cannot be broken.
    """
    if old.get("type") != "object":
        return []
    if new is None:
        return ["the type is gone, but its events stay in the journal"]
    return list(_Pair(old, new).differences())


class _Pair:
    """Two schemas side by side; a `$ref` is followed in the schema it stands in."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._seen: set[tuple[str, str]] = set()

    def differences(self) -> Iterator[str]:
        """Every breaking difference, from the top down."""
        return self._compare("", self._old, self._new)

    def _compare(self, at: str, old: Schema, new: Schema) -> Iterator[str]:
        names = (old.get("$ref", ""), new.get("$ref", ""))
        if all(names):
            if names in self._seen:
                return
            self._seen.add(names)
        old, new = _followed(self._old, old), _followed(self._new, new)
        yield from self._fields(at, old, new)
        for word in sorted((old.keys() | new.keys()) - _ANNOTATIONS):
            yield from self._keyword(at, word, old, new)

    def _fields(self, at: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed, needs = set(old.get("required", ())), set(new.get("required", ()))
        for name in before:
            place = f"{at}.{name}" if at else name
            if name not in after:
                yield f"{place} was removed"
                continue
            if name in needs - needed:
                yield f"{place} was optional and is required: events in the journal lack it"
            if name in needed - needs:
                yield f"{place} was required and is optional: its readers rely on it"
            yield from self._compare(place, before[name], after[name])
        for name in after:
            if name not in before and name in needs:
                yield f"{at}.{name}".lstrip(".") + " is new and required: events in the journal lack it"

    def _keyword(self, at: str, word: str, old: Schema, new: Schema) -> Iterator[str]:
        was, is_ = old.get(word), new.get(word)
        if word in _NESTED and isinstance(was, Mapping) and isinstance(is_, Mapping):
            yield from self._compare(f"{at}[]", was, is_)
        elif word in _LISTS and isinstance(was, list) and isinstance(is_, list) and len(was) == len(is_):
            for number, (each_was, each_is) in enumerate(zip(was, is_, strict=True)):
                yield from self._compare(f"{at}[{number}]", each_was, each_is)
        elif _said(word, was) != _said(word, is_):
            yield f"{at or 'the event'}: {word} {_shown(was)} became {_shown(is_)}"


def _followed(root: Schema, schema: Schema) -> Schema:
    """The definition that a `$ref` names, or the schema itself."""
    while "$ref" in schema:
        found: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _said(word: str, value: Any) -> Any:
    """What counts of a keyword's value: the order of an enumeration does not."""
    return sorted(map(repr, value)) if word in ("enum", "type") and isinstance(value, list) else value


def _shown(value: Any) -> str:
    return "unsaid" if value is None else repr(value)
