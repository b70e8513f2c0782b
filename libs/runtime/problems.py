"""Every error answer is an RFC 9457 problem with a stable code; nothing internal is ever told to a caller."""

import json
from collections.abc import Sequence
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # ships no types
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from libs.kernel.errors import Rejection
from libs.runtime.auth import Unauthenticated
from libs.runtime.database import is_transient, is_unstorable
from libs.runtime.keys import KeysUnavailable
from libs.runtime.logs import fault

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "2"
PLACE_CHARACTERS_MAX = 200


class Problem(BaseModel):
    """The body of every error answer."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""


TITLES = {
    400: "The request cannot be read",
    401: "Authentication is needed",
    403: "This actor may not do this",
    404: "Not found",
    405: "Method not allowed",
    409: "The present state does not admit this",
    412: "What you looked at has changed",
    413: "The body is too large",
    422: "The request is invalid",
    428: "Say what you looked at",
    429: "Too many requests",
    431: "The headers are too large",
    500: "Internal error",
    503: "Try again shortly",
}
DATABASE_ERRORS = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
# What the framework itself refuses, before any door is reached.
HTTP_CODES = {400: "bad_request", 404: "no_such_route", 405: "method_not_allowed", 413: "body_too_large"}


def problem(
    status: int, code: str, detail: str = "", *, headers: dict[str, str] | None = None, **facts: Any
) -> Response:
    """A problem answer."""
    return Response(
        problem_body(status, code, detail, **facts), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )


def problem_body(status: int, code: str, detail: str = "", **facts: Any) -> str:
    """The JSON text of a problem."""
    content = {
        "type": f"urn:silverbear:problem:{code}",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "code": code,
        "detail": detail,
        **facts,
    }
    return json.dumps(content, ensure_ascii=False)


def rejected(error: Rejection) -> Response:
    """A rejection of the rules as a problem."""
    body = problem_body(error.status, error.code, error.detail, **error.facts)
    return Response(body, status_code=error.status, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Render every failure of `app` as a problem."""
    _install_refusals(app)
    _install_failures(app)


def _install_refusals(app: FastAPI) -> None:
    @app.exception_handler(Rejection)
    async def on_rejection(_: Request, error: Rejection) -> Response:
        return rejected(error)

    @app.exception_handler(Unauthenticated)
    async def on_unauthenticated(_request: Request, _error: Unauthenticated) -> Response:
        return problem(401, "unauthenticated", headers={"WWW-Authenticate": "Bearer"})

    @app.exception_handler(KeysUnavailable)
    async def on_no_keys(_request: Request, _error: KeysUnavailable) -> Response:
        headers = {"Retry-After": RETRY_AFTER_SECONDS}
        return problem(503, "keys_unavailable", "the issuer's keys cannot be read", headers=headers)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> Response:
        fields = [{"at": _place(e["loc"]), "why": str(e["msg"])} for e in error.errors()[:20]]
        return problem(422, "invalid_request", "the body or a parameter does not fit the contract", errors=fields)

    @app.exception_handler(HTTPException)
    async def on_http(_: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code < 400:  # noqa: PLR2004 - a redirection is no error
            return Response(status_code=error.status_code, headers=headers)
        return problem(error.status_code, HTTP_CODES.get(error.status_code, "bad_request"), headers=headers)


def _install_failures(app: FastAPI) -> None:
    log = structlog.get_logger()

    for kind in DATABASE_ERRORS:
        app.add_exception_handler(kind, _on_database)

    @app.exception_handler(Exception)
    async def on_failure(_: Request, error: Exception) -> Response:
        log.error("request_failed", error=fault(error))
        return problem(500, "internal_error")


async def _on_database(_: Request, error: Exception) -> Response:
    if is_unstorable(error):
        return problem(422, "unstorable_text", "text may not hold the character U+0000")
    if not is_transient(error):
        raise error  # a failure of ours: logged with its stack
    structlog.get_logger().warning("request_unavailable", error=fault(error))
    return problem(503, "unavailable", "the database cannot be reached", headers={"Retry-After": RETRY_AFTER_SECONDS})


def _place(loc: Sequence[str | int]) -> str:
    """Where in a request the fault lies; a field's name is the caller's own text and may not even be Unicode."""
    return ".".join(map(str, loc))[:PLACE_CHARACTERS_MAX].encode(errors="backslashreplace").decode()
