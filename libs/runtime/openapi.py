"""What an interface's document says beyond its routes: problems, tokens, the headers that doors read and set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI

from libs.runtime.problems import MEDIA_TYPE, TITLES, Problem

REFUSALS = (400, 401, 403, 404, 409, 413, 422, 429, 431, 503)
_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": TITLES[status], "content": _PROBLEM} for status in REFUSALS
}
_TEXT = {"schema": {"type": "string"}}
_COMMANDS = {
    "Idempotency-Replayed": {"description": "`true` when this is the first answer to the key once more.", **_TEXT},
    "Silverbear-Events": {"description": "What was published: `type/id`, by commas; see `after_event`.", **_TEXT},
}
_PARTNERS = {
    "RateLimit-Limit": {"description": "How many requests a partner may make in a minute.", **_TEXT},
    "RateLimit-Remaining": {"description": "How many are left of this minute.", **_TEXT},
    "RateLimit-Reset": {"description": "In how many seconds the next minute begins.", **_TEXT},
}
_READS = {"ETag": {"description": "The version of what is shown.", **_TEXT}}


def by_scope(scope: str) -> dict[str, Any]:
    """What a door that partners may use says of itself: which scope their token needs (OpenAPI 3.1, any scheme)."""
    return {"security": [{"bearer": [scope]}]}


@dataclass(frozen=True, slots=True)
class Link:
    """A call that an answer leads to: "METHOD /path"; `given` and `body` hold OpenAPI's expressions."""

    where: str
    given: Mapping[str, str]
    """Its parameters in the path and the query, by name."""
    body: Mapping[str, Any]
    """The fields of its body that are known by then."""


Links = Mapping[str, Sequence[Link]]
"""Where the answer of each "METHOD /path" leads."""


class Interface(FastAPI):
    """A FastAPI application whose document tells a caller everything that its doors do."""

    links: Links = MappingProxyType({})

    def openapi(self) -> dict[str, Any]:
        """The document, put together once."""
        if self.openapi_schema is None:
            document = super().openapi()
            components = document.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
            for name, schema in components["schemas"].items():
                schema["title"] = name  # pages with different rows are all called Page: generated code would take one
            components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
            for path, methods in document["paths"].items():
                for operation in methods.values():
                    _tell(path, operation)
            _link(document["paths"], self.links)
        return super().openapi()


def _tell(path: str, operation: dict[str, Any]) -> None:
    """Add to one operation what its parameters imply."""
    if not path.startswith("/health/"):
        operation.setdefault("security", [{"bearer": []}])
    responses = operation["responses"]
    told = {parameter["name"]: parameter for parameter in operation.get("parameters", ())}
    if operation.get("security", [{}])[0].get("bearer"):
        _set_headers(responses, _PARTNERS)
    if "Idempotency-Key" in told:
        told["Idempotency-Key"]["required"] = True
        responses |= {str(status): {"description": TITLES[status], "content": _PROBLEM} for status in (412, 428)}
        _set_headers(responses, _COMMANDS)
    if "If-None-Match" in told:
        responses["304"] = {"description": "It has not changed since the caller saw it"}
        _set_headers(responses, _READS)


def _link(paths: dict[str, Any], links: Links) -> None:
    """Say in each answer where it leads; a route or parameter that is not there is a KeyError."""
    for source, ways in links.items():
        for status, response in _operation(paths, source)["responses"].items():
            if status.startswith("2"):
                told = [_told(way, _operation(paths, way.where)) for way in ways]
                response["links"] = {link["operationId"].partition("_v1_")[0]: link for link in told}


def _operation(paths: dict[str, Any], where: str) -> dict[str, Any]:
    method, _, path = where.partition(" ")
    operation: dict[str, Any] = paths[path][method.lower()]
    return operation


def _told(link: Link, target: dict[str, Any]) -> dict[str, Any]:
    places = {parameter["name"]: parameter["in"] for parameter in target["parameters"]}
    told: dict[str, Any] = {"operationId": target["operationId"]}
    if link.given:
        told["parameters"] = {f"{places[name]}.{name}": value for name, value in link.given.items()}
    if link.body:
        told["requestBody"] = dict(link.body)
    return told


def _set_headers(responses: dict[str, Any], headers: dict[str, Any]) -> None:
    for status, response in responses.items():
        if status.startswith("2"):
            response["headers"] = {**response.get("headers", {}), **headers}
