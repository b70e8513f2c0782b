"""Who looks at the pages: the same token as at the other doors, kept by the browser in a cookie no script can read."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, HTTPException, Request, Response

from libs.kernel.errors import Invalid, NotAllowed
from libs.runtime.auth import Caller, Unauthenticated
from libs.runtime.reading import ReadingDoor
from services.console.api.v1 import READERS
from services.console.domain.words import Lang

TOKEN_COOKIE = "silverbear_token"  # noqa: S105 - a cookie's name
LANG_COOKIE = "silverbear_lang"
SEE_OTHER = 303
FORM_BYTES_MAX = 8_192


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
        raise HTTPException(SEE_OTHER, headers={"Location": "/sign-in"}) from error
    except NotAllowed as error:
        raise HTTPException(SEE_OTHER, headers={"Location": "/sign-in?why=role"}) from error
    return visitor


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


def remember_lang(request: Request, response: Response) -> Response:
    """Keep a language that was asked for in the address."""
    if request.query_params.get("lang") in tuple(Lang):
        response.set_cookie(LANG_COOKIE, lang_of(request).value, samesite="strict", httponly=True)
    return response


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a posted form; raises Invalid for one that is too large or not text."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            raise Invalid("form_too_large", f"a form has at most {FORM_BYTES_MAX} bytes")
    try:
        return {name: values[0] for name, values in parse_qs(body.decode(), max_num_fields=10).items()}
    except ValueError as error:
        raise Invalid("form_unreadable") from error


Guest = Annotated[Visitor, Depends(visitor_of)]
