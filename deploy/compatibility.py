"""What a new HTTP interface would break for callers of a released one.

A request may ask for less and an answer may say more; the other way round breaks somebody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

Schema = Mapping[str, Any]
Direction = Literal["request", "response"]

_LEAST = ("minLength", "minimum", "exclusiveMinimum", "minItems")
_MOST = ("maxLength", "maximum", "exclusiveMaximum", "maxItems")


def breaks(old: Schema, new: Schema) -> list[str]:
    """What `new` breaks for callers of `old`, two OpenAPI documents, one line each; none when it only adds."""
    return list(_Pair(old, new).differences())


class _Pair:
    """Two documents side by side; a `$ref` is followed in the document it stands in."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._open: set[tuple[str, str, Direction]] = set()

    def differences(self) -> Iterator[str]:
        """Every breaking difference, by path and method."""
        for path, methods in self._old["paths"].items():
            for method, was in methods.items():
                place = f"{method.upper()} {path}"
                now = self._new["paths"].get(path, {}).get(method)
                if now is None:
                    yield f"{place} was removed"
                    continue
                yield from self._parameters(place, was, now)
                yield from self._body(place, was, now)
                yield from self._answers(place, was, now)

    def _parameters(self, place: str, was: Schema, now: Schema) -> Iterator[str]:
        before = {(each["in"], each["name"]): each for each in was.get("parameters", ())}
        after = {(each["in"], each["name"]): each for each in now.get("parameters", ())}
        for key, each in before.items():
            if key not in after:
                yield f"{place} {key[1]}: the parameter was removed"
            else:
                yield from self._compare(f"{place} {key[1]}", each["schema"], after[key]["schema"], "request")
        for key, each in after.items():
            if each.get("required") and not before.get(key, {}).get("required"):
                yield f"{place} {key[1]}: the parameter is newly required"

    def _body(self, place: str, was: Schema, now: Schema) -> Iterator[str]:
        before, after = was.get("requestBody", {}), now.get("requestBody", {})
        if after.get("required") and not before.get("required"):
            yield f"{place}: a body is newly required"
        yield from self._contents(f"{place} request", before, after, "request")

    def _answers(self, place: str, was: Schema, now: Schema) -> Iterator[str]:
        for status, answer in was["responses"].items():
            if status not in now["responses"]:
                if status.startswith("2"):  # which refusals there are is for the caller to bear, whatever their number
                    yield f"{place} {status}: the answer was removed"
                continue
            yield from self._contents(f"{place} {status}", answer, now["responses"][status], "response")

    def _contents(self, place: str, was: Schema, now: Schema, way: Direction) -> Iterator[str]:
        after = now.get("content", {})
        for kind, content in was.get("content", {}).items():
            if kind not in after:
                yield f"{place}: {kind} was removed"
            else:
                yield from self._compare(place, content.get("schema", {}), after[kind].get("schema", {}), way)

    def _compare(self, at: str, old: Schema, new: Schema, way: Direction) -> Iterator[str]:
        names = (old.get("$ref", ""), new.get("$ref", ""), way)
        if names in self._open:
            return
        if names[0] and names[1]:
            self._open.add(names)
        was, now = _followed(self._old, old), _followed(self._new, new)
        if "anyOf" in was or "anyOf" in now:
            yield from self._alternatives(at, was, now, way)
        else:
            yield from self._value(at, was, now, way)
        self._open.discard(names)

    def _value(self, at: str, was: Schema, now: Schema, way: Direction) -> Iterator[str]:
        yield from self._fields(at, was, now, way)
        yield from _limits(at, was, now, way)
        if way == "request" and now.get("additionalProperties") is False is not was.get("additionalProperties"):
            yield f"{at}: further fields are newly refused"
        for word in ("items", "additionalProperties"):
            if isinstance(was.get(word), Mapping) and isinstance(now.get(word), Mapping):
                yield from self._compare(f"{at}[]", was[word], now[word], way)

    def _alternatives(self, at: str, was: Schema, now: Schema, way: Direction) -> Iterator[str]:
        before, after = was.get("anyOf", [was]), now.get("anyOf", [now])
        promised, offered = (before, after) if way == "request" else (after, before)
        root, other_root = (self._old, self._new) if way == "request" else (self._new, self._old)
        known = {_followed(other_root, each).get("type") for each in offered}
        for each in promised:
            kind = _followed(root, each).get("type")
            if kind not in known:
                yield f"{at}: {kind} is {'no longer taken' if way == 'request' else 'newly answered'}"
        for each in before:
            for other in after:
                if _followed(self._old, each).get("type") == _followed(self._new, other).get("type"):
                    yield from self._compare(at, each, other, way)

    def _fields(self, at: str, was: Schema, now: Schema, way: Direction) -> Iterator[str]:
        before, after = was.get("properties", {}), now.get("properties", {})
        needed, needs = set(was.get("required", ())), set(now.get("required", ()))
        for name in before:
            place = f"{at} {name}"
            if name not in after:
                yield f"{place} was removed"
                continue
            if way == "response" and name in needed - needs:
                yield f"{place} was always there and is optional"
            yield from self._compare(place, before[name], after[name], way)
        if way == "request":
            yield from (f"{at} {name} is newly required" for name in after if name in needs - needed)


def _limits(at: str, was: Schema, now: Schema, way: Direction) -> Iterator[str]:
    """What of one value is taken less of, or answered more of."""
    old_type, new_type = was.get("type"), now.get("type")
    if old_type != new_type:
        yield f"{at}: type {old_type} became {new_type}"
    held, holder = (was, now) if way == "request" else (now, was)  # what the one allows, the other must allow
    values, allowed = _values(held), _values(holder)
    if allowed is not None and (values is None or not values <= allowed):
        yield f"{at}: {_told(_values(was))} became {_told(_values(now))}"
    for word in ("format",) if way == "response" else ("format", "pattern"):
        if word in holder and holder[word] != held.get(word):
            yield f"{at}: {word} {was.get(word)} became {now.get(word)}"
    if way == "response":
        return
    for word in (*_LEAST, *_MOST):
        before, after = was.get(word), now.get(word)
        if after is not None and (before is None or (after > before if word in _LEAST else after < before)):
            yield f"{at}: {word} {before} became {after}"


def _followed(root: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _values(schema: Schema) -> set[Any] | None:
    """The only values there are, or None when any is one."""
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None


def _told(values: set[Any] | None) -> str:
    return "any value" if values is None else "|".join(sorted(map(str, values)))
