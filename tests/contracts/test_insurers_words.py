"""Insurers find their words: each stands in the guide beside routes that exist, and at those routes in the document."""

from __future__ import annotations

import re

from services.guarantee.main import service
from tests.house.rules import ROOT

WORDS = ("投保", "核保", "承保", "批改", "退保", "报案", "理赔", "追偿")
_ROUTE = re.compile(r"`((?:GET|POST) /v1/[^`]+)`")


def guided(text: str) -> dict[str, set[str]]:
    """The routes that the guide names in the row of each word."""
    found = {}
    for line in text.splitlines():
        word = line.removeprefix("| ").partition(" |")[0]
        if line.startswith("| ") and word in WORDS:
            found[word] = set(_ROUTE.findall(line))
    return found


def told() -> dict[str, set[str]]:
    """The routes whose description has each word."""
    found: dict[str, set[str]] = {}
    for path, methods in service.app.openapi()["paths"].items():
        for method, operation in methods.items():
            for word in WORDS:
                if word in operation["description"]:
                    found.setdefault(word, set()).add(f"{method.upper()} {path}")
    return found


def test_every_word_of_the_insurers_stands_at_the_same_routes_in_the_guide_and_in_the_document() -> None:
    guide = guided((ROOT / "docs" / "partners.md").read_text("utf-8"))
    assert tuple(guide) == WORDS
    assert all(guide.values())
    assert told() == guide


def test_a_route_that_does_not_exist_would_be_seen() -> None:
    assert guided("| 报案 | notice | `POST /v1/nowhere` |") == {"报案": {"POST /v1/nowhere"}}
    assert "POST /v1/nowhere" not in told()["报案"]
