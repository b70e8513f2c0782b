"""What an interface's document says beyond its routes: problems, tokens, the headers that doors read and set."""

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


class Interface(FastAPI):
    """A FastAPI application whose document tells a caller everything that its doors do."""

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


def _set_headers(responses: dict[str, Any], headers: dict[str, Any]) -> None:
    for status, response in responses.items():
        if status.startswith("2"):
            response["headers"] = {**response.get("headers", {}), **headers}
