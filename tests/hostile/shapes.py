"""A sound body for any operation of an OpenAPI document, so that nothing but the caller decides how it is answered."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
TEXTS = {
    "date": "2025-09-01",
    "date-time": "2025-09-01T00:00:00Z",
    "^[A-Z]{3}$": "CNY",
    r"^https?://[^\s]+$": "https://partner/",
}
"""What fits a text of a format or a pattern."""


class Shapes:
    """The operations of one document by "METHOD /path", and plain values for their schemas."""

    def __init__(self, document: Schema) -> None:
        self.document = document
        self.operations: dict[str, Schema] = {
            f"{method.upper()} {path}": operation
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

    def plain(self, schema: Schema) -> Any:
        """One simple value that fits."""
        schema = self.resolved(schema)
        match schema:
            case {"const": value} | {"enum": [value, *_]} | {"examples": [value, *_]}:
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
        return TEXTS.get(schema.get("format") or schema.get("pattern", ""), "abc")

    def resolved(self, schema: Schema) -> Schema:
        """The schema behind a reference."""
        while "$ref" in schema:
            found: Any = self.document
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
        return schema
