"""The door for people: one page per question an operator asks, rendered on the server, readable without a script."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic_core import to_json

from libs.events.catalogue import kinds
from libs.kernel.errors import NotFound
from libs.runtime import ops, parking
from libs.runtime.auth import Unauthenticated
from libs.runtime.http import OutOfReach
from libs.runtime.paging import Cursor, after
from services.console.api.redrive import redrive_here, redrive_there
from services.console.api.v1 import read_story
from services.console.api.visitor import SEE_OTHER, TOKEN_COOKIE, Guest, Visitor, form_of, lang_of, remember_lang
from services.console.domain.facility import Stage
from services.console.domain.health import Health, attention, lag, read_health, readers
from services.console.views import lists, neighbours
from services.console.views.pages import OTHER, render

router = APIRouter(include_in_schema=False)
PAGE_ROWS = 50
TOLD_CHARACTERS_MAX = 500
OWN_NAME = "console"


def _others(request: Request) -> Mapping[str, str]:
    urls: dict[str, str] = request.app.state.parts.settings.console_services
    return {name: url for name, url in urls.items() if name != OWN_NAME}


def _show(request: Request, page: str, *, status: int = 200, **facts: Any) -> Response:
    """The page in the visitor's language, with the same address in the other one."""
    lang = lang_of(request)
    switch = str(request.url.include_query_params(lang=OTHER[lang].value).replace(scheme="", netloc=""))
    response = render(page, lang, status=status, switch=switch, **facts)
    return remember_lang(request, response)


async def _everybody(request: Request, guest: Visitor) -> tuple[Health, ...]:
    """The other services' accounts of themselves, asked in the operator's name, and this one's own."""
    async with neighbours.open_client() as http:
        others = await neighbours.ask_all(http, _others(request), guest.token)
    own = json.loads(to_json(await ops.account(request)))
    readiness = "ready" if request.app.state.consumer.ready.is_set() else "not_ready"
    return (*others, read_health(OWN_NAME, readiness, own))


@router.get("/")
async def services(request: Request, guest: Guest) -> Response:
    """Every service: ready or not, what it still has to send, to read and to have looked at (operator)."""
    guest.require("operator")
    everybody = await _everybody(request, guest)
    rows = [(service, attention(service), lag(service, everybody)) for service in everybody]
    return _show(request, "services", rows=rows)


@router.get("/topics")
async def topics(request: Request, guest: Guest) -> Response:
    """Every event type: how often it was told, and which services act on it."""
    seen = await guest.see(lists.counts)
    rows = [(kind, seen.types[kind.type]) for kind in kinds() if kind.type in seen.types]
    listening = readers(await _everybody(request, guest)) if "operator" in guest.caller.roles else {}
    return _show(request, "topics", counts=seen, rows=rows, readers=listening)


@router.get("/parked")
async def parked(
    request: Request, guest: Guest, told: Annotated[str, Query(max_length=TOLD_CHARACTERS_MAX)] = ""
) -> Response:
    """What every service could not apply, with its reason, and the way to send it again."""
    guest.require("operator")
    async with neighbours.open_client() as http:
        others = await neighbours.list_parked(http, _others(request), guest.token)
    own = neighbours.Parked(OWN_NAME, tuple(map(asdict, await parking.list_parked(guest.parts))))
    return _show(request, "parked", shelves=(*others, own), told=told)


@router.post("/parked/redrive")
async def redrive(request: Request, guest: Guest) -> Response:
    """Have one service apply a key's parked events again, in the visitor's own name."""
    guest.require("operator")
    form = await form_of(request)
    service, key, others = form.get("service", ""), form.get("key", ""), _others(request)
    if service == OWN_NAME:
        told = await redrive_here(guest.parts, key)
    elif service in others:
        async with neighbours.open_client() as http:
            told = await redrive_there(http, others[service], key, guest.token)
    else:
        raise NotFound("not_found", "no such service")
    query = urlencode({"told": f"{service} {key} – {told}"[:TOLD_CHARACTERS_MAX]})
    return RedirectResponse(f"/parked?{query}", status_code=SEE_OTHER)


@router.get("/facilities")
async def facilities(
    request: Request,
    guest: Guest,
    cursor: Cursor = "",
    stage: Annotated[str, Query(max_length=32)] = "",
    q: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The facilities, page by page; of one stage, or found by id or external reference."""
    stage = stage if stage in tuple(Stage) else ""
    reference, reach, place = q.strip(), guest.caller.reach, after(cursor)
    if reference:
        page = await guest.see(lambda tx: lists.found(tx, reference=reference, limit=PAGE_ROWS, reach=reach))
    else:
        page = await guest.see(lambda tx: lists.facilities(tx, after=place, stage=stage, limit=PAGE_ROWS, reach=reach))
    more = urlencode({"cursor": page.next, "stage": stage}) if page.next else ""
    facts = {"lines": page.items, "more": more, "stage": stage, "stages": tuple(Stage), "q": reference}
    return _show(request, "facilities", **facts)


@router.get("/facilities/{facility_id}")
async def facility(request: Request, guest: Guest, facility_id: Annotated[str, Path(max_length=64)]) -> Response:
    """One facility's story, from the first word to the last."""
    try:
        seen = await guest.see(lambda tx: read_story(tx, facility_id), key=facility_id)
    except (NotFound, OutOfReach):
        return _show(request, "not_found", status=404, facility_id=facility_id)
    return _show(request, "story", story=seen)


@router.get("/sign-in")
async def sign_in(request: Request, why: Annotated[str, Query(max_length=16)] = "") -> Response:
    """Where a visitor hands over a token."""
    return _show(request, "sign_in", why=why if why == "role" else "")


@router.post("/sign-in")
async def signed_in(request: Request) -> Response:
    """Keep the token in the browser if it is a good one."""
    token = (await form_of(request)).get("token", "").strip()
    try:
        await request.app.state.tokens.caller(f"Bearer {token}")
    except Unauthenticated:
        return _show(request, "sign_in", status=401, why="token")
    response = RedirectResponse("/facilities", status_code=SEE_OTHER)
    secure = request.url.scheme == "https"
    response.set_cookie(TOKEN_COOKIE, token, httponly=True, samesite="strict", secure=secure)
    return response


@router.post("/sign-out")
async def signed_out() -> Response:
    """Forget the token."""
    response = RedirectResponse("/", status_code=SEE_OTHER)
    response.delete_cookie(TOKEN_COOKIE)
    return response
