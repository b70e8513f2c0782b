"""The door for people: one page per question an operator asks, rendered on the server, readable without a script."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from libs.events.catalogue import kinds
from libs.kernel.errors import NotFound
from libs.runtime.auth import Unauthenticated
from libs.runtime.http import OutOfReach
from libs.runtime.paging import Cursor, after
from services.console.api.v1 import read_story
from services.console.api.visitor import (
    SEE_OTHER,
    TOKEN_COOKIE,
    Guest,
    PageRoute,
    Visitor,
    form_of,
    inside,
    remember_told,
    show,
    told_to,
)
from services.console.domain.facility import Stage
from services.console.domain.health import overview, readers, topics_of
from services.console.views import lists, neighbours

router = APIRouter(include_in_schema=False, route_class=PageRoute)
PAGE_ROWS = 50


@asynccontextmanager
async def _house(guest: Visitor) -> AsyncIterator[neighbours.Neighbours]:
    async with neighbours.open_client(guest.request.app) as http:
        yield neighbours.Neighbours(http, guest.parts.settings.console_services, guest.token)


@router.get("/")
async def services(guest: Guest) -> Response:
    """What is wrong, then every service: ready or not, what it still has to send, to read and to have looked at."""
    async with _house(guest) as house:
        everybody = await house.health()
    return show(guest.request, "services", seen=overview(everybody), guest=guest)


@router.get("/topics")
async def topics(guest: Guest) -> Response:
    """Every topic: how far each reader is behind; every event type: how often it was told, and who acts on it."""
    counted = await guest.see(lists.counts)
    async with _house(guest) as house:
        everybody = await house.health()
    rows = [(kind, counted.types[kind.type]) for kind in kinds() if kind.type in counted.types]
    facts = {"counts": counted, "rows": rows, "readers": readers(everybody), "topics": topics_of(everybody)}
    return show(guest.request, "topics", guest=guest, names=[service.name for service in everybody], **facts)


@router.get("/parked")
async def parked(guest: Guest) -> Response:
    """What every service could not apply, with its reason, and the way to look closer."""
    guest.require("operator")
    async with _house(guest) as house:
        shelves = await house.parked()
    return show(guest.request, "parked", shelves=shelves, told=told_to(guest.request), guest=guest)


@router.get("/parked/key")
async def parked_key(
    guest: Guest,
    service: Annotated[str, Query(max_length=32)] = "",
    key: Annotated[str, Query(min_length=1, max_length=200)] = "-",
) -> Response:
    """Every parked or waiting event of one key at one service, and what an operator can do about it."""
    guest.require("operator")
    async with _house(guest) as house:
        if service not in house.urls:
            raise NotFound("not_found", "no such service")
        shelf = await house.parked_at(service, key)
    return show(guest.request, "parked_key", shelf=shelf, key=key, told=told_to(guest.request), guest=guest)


@router.post("/parked/redrive")
async def redrive(guest: Guest) -> Response:
    """Have one service apply a key's parked events again, in the visitor's own name."""
    guest.require("operator")
    form = await form_of(guest.request, "confirmed")
    service, key = form.get("service", ""), form.get("key", "")
    async with _house(guest) as house:
        if service not in house.urls or not key:
            raise NotFound("not_found", "no such service")
        answer = await house.redrive(service, key)
    return _answered(guest, answer, service, key)


@router.post("/parked/discard")
async def discard(guest: Guest) -> Response:
    """Have one service drop a parked event for good, with the reason that its log keeps."""
    guest.require("operator")
    form = await form_of(guest.request, "confirmed")
    service, key, event_id, reason = (form.get(name, "") for name in ("service", "key", "event_id", "reason"))
    async with _house(guest) as house:
        if service not in house.urls or not event_id:
            raise NotFound("not_found", "no such service")
        answer = await house.discard(service, event_id, reason.strip())
    return _answered(guest, answer, service, key)


def _answered(guest: Visitor, answer: neighbours.Answered, service: str, key: str) -> Response:
    """Back to the list when it was done, to the key when it was not; either page says once what came of it."""
    done = answer.code in ("redriven", "discarded")
    query = "" if done else "/key?" + urlencode({"service": service, "key": key})
    response = RedirectResponse(f"/parked{query}", status_code=SEE_OTHER)
    return remember_told(guest.request, response, service, key, answer.code, answer.detail)


@router.get("/facilities")
async def facilities(
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
    counted = await guest.see(lambda tx: lists.stages(tx, reach))
    stages = [(choice, counted[choice]) for choice in Stage if choice in counted]
    facts = {"lines": page.items, "more": more, "stage": stage, "stages": stages, "q": reference, "after": place}
    facts["at_risk"] = await guest.see(lambda tx: lists.cover_at_risk(tx, reach))
    facts["contested"] = await guest.see(lists.contested) if reach is None else 0
    return show(guest.request, "facilities", guest=guest, **facts)


@router.get("/facilities/{facility_id}")
async def facility(guest: Guest, facility_id: Annotated[str, Path(max_length=64)]) -> Response:
    """One facility's story, from the first word to the last; another branch's is as if it were not there."""
    try:
        seen = await guest.see(lambda tx: read_story(tx, facility_id), key=facility_id)
    except OutOfReach as error:
        raise NotFound("not_found", f"no facility {facility_id}") from error
    return show(guest.request, "story", story=seen, guest=guest)


@router.get("/sign-in")
async def sign_in(
    request: Request,
    why: Annotated[str, Query(max_length=16)] = "",
    back: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """Where a visitor hands over a token."""
    return show(request, "sign_in", why=why if why in ("role", "token") else "", back=inside(back))


@router.post("/sign-in")
async def signed_in(request: Request) -> Response:
    """Keep the token in the browser if it is a good one, and go where the visitor wanted to."""
    form = await form_of(request)
    token, back = form.get("token", "").strip(), inside(form.get("back", ""))
    try:
        await request.app.state.tokens.caller(f"Bearer {token}")
    except Unauthenticated:
        return show(request, "sign_in", status=401, why="token", back=back)
    response = RedirectResponse(back, status_code=SEE_OTHER)
    secure = request.url.scheme == "https"
    response.set_cookie(TOKEN_COOKIE, token, httponly=True, samesite="strict", secure=secure)
    return response


@router.post("/sign-out")
async def signed_out(request: Request) -> Response:
    """Forget the token."""
    await form_of(request)
    response = RedirectResponse("/sign-in", status_code=SEE_OTHER)
    response.delete_cookie(TOKEN_COOKIE)
    return response
