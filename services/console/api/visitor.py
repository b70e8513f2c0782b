"""Who looks at the pages: the same token as at the other doors, kept by the browser in a cookie no script can read.

A form is taken only from a page of this console: the browser says in `Origin` where it was filled in, and the cookie
is never sent from another site (SameSite=Strict). What fails is told on a page of the console, not as a bare problem.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any
from urllib.parse import parse_qs, quote, unquote, urlencode

from fastapi import Depends, HTTPException, Request, Response
from fastapi.routing import APIRoute

from libs.kernel.errors import Invalid, NotAllowed, Rejection
from libs.runtime.auth import Caller, Unauthenticated
from libs.runtime.reading import ReadingDoor
from services.console.api.v1 import READERS
from services.console.domain.words import Lang
from services.console.views.pages import OTHER, render

TOKEN_COOKIE = "silverbear_token"  # noqa: S105 - a cookie's name
LANG_COOKIE = "silverbear_lang"
TOLD_COOKIE = "silverbear_told"
TOLD_CHARACTERS_MAX = 300
TOLD_SECONDS = 60
SEE_OTHER = 303
FORM_BYTES_MAX = 8_192
HOME = "/"


class Visitor(ReadingDoor):
    """One request for a page."""

    def __init__(self, request: Request, caller: Caller, token: str) -> None:
        super().__init__(request, caller)
        self.token = token


async def visitor_of(request: Request) -> Visitor:
    """Who looks; without a token that may read, the browser is sent to sign in."""
    token = token_of(request)
    try:
        visitor = Visitor(request, await request.app.state.tokens.caller(f"Bearer {token}"), token)
        visitor.require(*READERS)
    except Unauthenticated as error:
        raise _sent_to_sign_in(request, "token" if token else "") from error
    except NotAllowed as error:
        raise _sent_to_sign_in(request, "role") from error
    return visitor


def _sent_to_sign_in(request: Request, why: str) -> HTTPException:
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    asked = {"why": why, "back": inside(wanted) if request.method == "GET" else HOME}
    query = urlencode({name: value for name, value in asked.items() if value not in ("", HOME)})
    return HTTPException(SEE_OTHER, headers={"Location": f"/sign-in?{query}" if query else "/sign-in"})


def inside(address: str) -> str:
    """The address if it is a page of this console, else the first page: nobody is sent elsewhere."""
    plain = address.isascii() and address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else HOME


def token_of(request: Request) -> str:
    """The token in the Authorization header, else the one in the cookie; empty without either."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else request.cookies.get(TOKEN_COOKIE, "")


def lang_of(request: Request) -> Lang:
    """The language asked for in the address, else the one chosen before, else the browser's first."""
    for choice in (request.query_params.get("lang"), request.cookies.get(LANG_COOKIE)):
        if choice in tuple(Lang):
            return Lang(choice)
    return Lang.ZH if request.headers.get("accept-language", "").lower().startswith("zh") else Lang.EN


def show(request: Request, page: str, *, status: int = 200, **facts: Any) -> Response:
    """The page in the visitor's language, with the same address in the other one."""
    lang = lang_of(request)
    switch = str(request.url.include_query_params(lang=OTHER[lang].value).replace(scheme="", netloc=""))
    response = render(page, lang, status=status, switch=switch, **facts)
    if request.query_params.get("lang") in tuple(Lang):
        response.set_cookie(LANG_COOKIE, lang.value, samesite="strict", httponly=True)
    if TOLD_COOKIE in request.cookies:
        response.delete_cookie(TOLD_COOKIE)
    return response


def remember_told(request: Request, response: Response, *words: str) -> Response:
    """Have the next page say once what came of an order; not in its address, where anybody could write anything."""
    told = quote(json.dumps([word[:TOLD_CHARACTERS_MAX] for word in words]))
    secure = request.url.scheme == "https"
    response.set_cookie(TOLD_COOKIE, told, max_age=TOLD_SECONDS, httponly=True, samesite="strict", secure=secure)
    return response


def told_to(request: Request) -> tuple[str, ...]:
    """Service, key, code and detail of the order just carried out; empty without one."""
    try:
        words = json.loads(unquote(request.cookies.get(TOLD_COOKIE, "[]")))
    except ValueError:
        return ()
    well_formed = isinstance(words, list) and len(words) == 4 and all(isinstance(word, str) for word in words)  # noqa: PLR2004 - as many as are written
    return tuple(words) if well_formed else ()


async def form_of(request: Request, *needed: str) -> Mapping[str, str]:
    """The fields of a posted form, which must have `needed`; raises Invalid, and NotAllowed for another site's form."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise NotAllowed("form_of_another_site", "a form is taken only from a page of this console")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            raise Invalid("form_too_large", f"a form has at most {FORM_BYTES_MAX} bytes")
    try:
        form = {name: values[0] for name, values in parse_qs(body.decode(), max_num_fields=10).items()}
    except ValueError as error:
        raise Invalid("form_unreadable") from error
    if not all(form.get(name) for name in needed):
        raise Invalid("form_incomplete", f"the form needs: {', '.join(needed)}")
    return form


class PageRoute(APIRoute):
    """A page's route: what is refused is told on a page, in the visitor's language, with its code and status."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # FastAPI's own is a Coroutine, which this is too
        """The route's handler, with rejections shown."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(request)
            except Rejection as error:
                return show(request, "refused", status=error.status, problem=error)

        return handle


Guest = Annotated[Visitor, Depends(visitor_of)]
