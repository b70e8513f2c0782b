"""Every `$ref` of a JSON document, and what it leads to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def references(value: Any) -> Iterator[str]:
    """Each `$ref` in the document, from the top down; a field that happens to be called so is none."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def followed(document: Any, reference: str) -> Any:
    """What a reference of this document leads to; raises KeyError when it leads nowhere."""
    if not reference.startswith("#/"):
        raise KeyError(reference)
    for part in reference.removeprefix("#/").split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document


def dangling(document: Any) -> list[str]:
    """The references that lead nowhere, or out of the document."""
    found = []
    for reference in references(document):
        try:
            followed(document, reference)
        except (KeyError, TypeError):
            found.append(reference)
    return found
