"""What an interface's document says beyond its routes: problems, tokens, the headers that doors read and set."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

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


Dependency = TypeVar("Dependency", bound=Callable[..., Any])
_HEADERS: dict[Any, Sequence[dict[str, Any]]] = {}
"""What each dependency reads of a request's headers."""


def header(name: str, description: str, *, required: bool = False, **schema: Any) -> dict[str, Any]:
    """A header that a door reads, as a document names it; its value is a text, with these bounds."""
    told = {"type": "string", **schema, "title": name}
    return {"name": name, "in": "header", "required": required, "schema": told, "description": description}


def reads_headers(*headers: dict[str, Any]) -> Callable[[Dependency], Dependency]:
    """Have the document name the headers that a dependency reads by itself.

    As parameters of the dependency FastAPI would look them up and validate them for every request, for nothing.
    """

    def remember(dependency: Dependency) -> Dependency:
        _HEADERS[dependency] = headers
        return dependency

    return remember


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

    def open(self, router: APIRouter) -> None:
        """Let callers in by the doors of a router.

        Its routes are taken over one by one: in a router that is included FastAPI looks for each route twice, at
        several times the cost.
        """
        for route in router.routes:
            if not isinstance(route, APIRoute):
                raise TypeError(f"{route} is not a route: hand over each router by itself")
            route.responses = {**PROBLEMS, **route.responses}
            self.router.routes.append(route)

    def openapi(self) -> dict[str, Any]:
        """The document, put together once."""
        if self.openapi_schema is None:
            document = super().openapi()
            components = document.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
            for name, schema in components["schemas"].items():
                schema["title"] = name  # pages with different rows are all called Page: generated code would take one
            components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
            for route in self.routes:
                if isinstance(route, APIRoute) and route.include_in_schema:
                    _name_headers(document["paths"][route.path_format], route)
            for path, methods in document["paths"].items():
                for operation in methods.values():
                    _tell(path, operation)
            _link(document["paths"], self.links)
        return super().openapi()


def _name_headers(methods: dict[str, Any], route: APIRoute) -> None:
    headers = [told for dependency in _dependencies(route.dependant) for told in _HEADERS.get(dependency, ())]
    for method in sorted(route.methods or ()) if headers else ():
        methods[method.lower()].setdefault("parameters", []).extend(headers)


def _dependencies(dependant: Dependant) -> Iterator[Any]:
    for needed in dependant.dependencies:
        yield needed.call
        yield from _dependencies(needed)


def _tell(path: str, operation: dict[str, Any]) -> None:
    """Add to one operation what its parameters imply."""
    if not path.startswith("/health/"):
        operation.setdefault("security", [{"bearer": []}])
    responses = operation["responses"]
    told = {parameter["name"]: parameter for parameter in operation.get("parameters", ())}
    if operation.get("security", [{}])[0].get("bearer"):
        _set_headers(responses, _PARTNERS)
    if "Idempotency-Key" in told:
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
