"""Each service's HTTP interface: where its routes are, what each says of itself, and how it says no."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from fastapi.routing import iter_route_contexts

from deploy.contracts import SERVICES
from libs.runtime.http import KEY_CHARACTERS_MAX
from libs.runtime.problems import MEDIA_TYPE, Problem
from libs.runtime.service import Service
from tests.contracts.pointers import dangling

Document = dict[str, Any]
PLACES = re.compile(r"/(v1|health)/.+")
OF_THE_MOMENT = "/v1/ops/"  # what operators look at is this process now: it has no version, and waits for nothing
FRAMEWORK = {"/metrics", "/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
PAGES = {
    "/",
    "/topics",
    "/parked",
    "/parked/key",
    "/parked/redrive",
    "/parked/discard",
    "/facilities",
    "/facilities/{facility_id}",
    "/sign-in",
    "/sign-out",
}
REFUSALS = ("400", "401", "403", "404", "409", "422")


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Method, path and description of each operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def undescribed(document: Document) -> list[str]:
    """Operations without a summary or without a sentence."""
    return [
        f"{method} {path}"
        for method, path, operation in operations(document)
        if not operation.get("summary") or not operation.get("description", "").strip()
    ]


def without_refusals(document: Document) -> list[str]:
    """Operations that leave out how they say no."""
    return [
        f"{method} {path} {status}"
        for method, path, operation in operations(document)
        for status in REFUSALS
        if [*operation["responses"].get(status, {}).get("content", {})] != [MEDIA_TYPE]
    ]


def without_key(document: Document) -> list[str]:
    """Commands that do not say that they take an idempotency key, of which lengths, and what happens without it."""
    found = []
    for method, path, operation in operations(document):
        if method != "POST" or not path.startswith("/v1/"):
            continue
        named = [each for each in operation.get("parameters", []) if each["name"] == "Idempotency-Key"]
        told = [each for each in named if each["in"] == "header" and "400" in each.get("description", "")]
        schema = {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS_MAX}
        if not told or not schema.items() <= told[0]["schema"].items():
            found.append(f"{method} {path}")
    return found


def unguarded(document: Document) -> list[str]:
    """Operations that do not say that they need a token, though only the health of a process is open."""
    return [
        f"{method} {path}"
        for method, path, operation in operations(document)
        if not path.startswith("/health/") and [list(way) for way in operation.get("security", [])] != [["bearer"]]
    ]


def misplaced(service: Service) -> list[str]:
    """Routes outside the places where a caller looks for them, the hidden ones too."""
    known = FRAMEWORK | (PAGES if service.name == "console" else set())
    paths = [str(route.path) for route in iter_route_contexts(service.app.routes)]
    assert len(paths) > len(FRAMEWORK)
    return [path for path in paths if path not in known and not PLACES.fullmatch(path)]


@pytest.fixture(params=SERVICES, ids=lambda service: service.name)
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.param
    return found


@pytest.fixture
def document(service: Service) -> Document:
    return copy.deepcopy(service.app.openapi())


def test_no_route_is_outside_its_place(service: Service) -> None:
    assert misplaced(service) == []
    documented = {path for _, path, _ in operations(service.app.openapi())}
    assert documented == {
        str(route.path) for route in iter_route_contexts(service.app.routes) if PLACES.fullmatch(str(route.path))
    }


def test_every_operation_has_a_summary_and_a_sentence(service: Service, document: Document) -> None:
    found = undescribed(document)
    assert found == []
    assert all(operation["summary"] for _, _, operation in operations(document))


def test_every_operation_documents_its_refusals_as_problems(document: Document) -> None:
    assert without_refusals(document) == []
    problem = document["components"]["schemas"]["Problem"]
    assert set(problem["properties"]) == set(Problem.model_fields)
    assert {"type", "title", "status", "code"} <= set(problem["required"])


def test_every_operation_but_health_says_that_it_needs_a_token(document: Document) -> None:
    assert unguarded(document) == []
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_every_question_can_wait_and_tells_its_version(document: Document) -> None:
    for method, path, operation in operations(document):
        if method == "GET" and path.startswith("/v1/") and not path.startswith(OF_THE_MOMENT):
            names = {parameter["name"] for parameter in operation["parameters"]}
            assert {"after_event", "If-None-Match"} <= names, path
            assert "304" in operation["responses"], path
            assert "ETag" in operation["responses"]["200"]["headers"], path


def test_every_command_documents_its_idempotency_key(document: Document) -> None:
    assert without_key(document) == []


def test_every_reference_leads_somewhere_and_every_schema_is_one(document: Document) -> None:
    assert dangling(document) == []
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


def test_operations_have_names_of_their_own(document: Document) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


def test_planted_faults_are_caught() -> None:
    spoilt: Document = {
        "paths": {
            "/v1/loans": {
                "post": {"summary": "Lend", "responses": {"400": {"content": {"application/json": {}}}}},
                "get": {"summary": "Show", "description": " ", "responses": {}, "parameters": []},
            }
        }
    }
    assert undescribed(spoilt) == ["POST /v1/loans", "GET /v1/loans"]
    assert without_refusals(spoilt)[0] == "POST /v1/loans 400"
    assert unguarded(spoilt) == ["POST /v1/loans", "GET /v1/loans"]
    assert len(without_refusals(spoilt)) == 2 * len(REFUSALS)
    assert without_key(spoilt) == ["POST /v1/loans"]
    key = {"name": "Idempotency-Key", "in": "header", "description": "or 400", "schema": {"type": "string"}}
    spoilt["paths"]["/v1/loans"]["post"]["parameters"] = [key]
    assert without_key(spoilt) == ["POST /v1/loans"]
    key["schema"] = {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS_MAX, "title": "Key"}
    assert without_key(spoilt) == []
    assert not PLACES.fullmatch("/internal/loans")
    assert not PLACES.fullmatch("/v2/loans")
