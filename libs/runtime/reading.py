"""The door for questions: who may see it, is it true here yet, has it changed since the caller last saw it."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from pydantic_core import to_json

from libs.kernel.errors import NotFound
from libs.runtime.auth import Caller
from libs.runtime.etags import etag, matches
from libs.runtime.http import Command, RequestDoor, caller_of
from libs.runtime.openapi import header, reads_headers
from libs.runtime.parties import require_party
from libs.runtime.tx import Tx, Unit

KeyOf = Callable[[Tx], Awaitable[str]]
EVENTS_CHARACTERS_MAX = 4_000
NOT_MODIFIED = 304

_STANDS_SQL = """
SELECT (SELECT open FROM clock WHERE id = 1) AS open, s.version, COALESCE(s.org, '') AS org
FROM (SELECT $1::text AS key) k LEFT JOIN stream s USING (key)
"""


class ReadingDoor(RequestDoor):
    """A request that only reads."""

    def __init__(self, request: Request, caller: Caller, after_event: str = "") -> None:
        super().__init__(request, caller)
        self._after_event = after_event

    async def query(self, read: Command, *, key: str | KeyOf = "") -> Response:
        """Answer 200 with what `read` finds in one transaction, or 304 when the caller has seen that already.

        `key` (or a read that finds it) names the one facility, or other key, that the answer is about: callers whom it
        is no business of are refused, and its version is the ETag. Without a key the ETag is that of the text.
        """
        if late := await self.parts.waiting.until_applied(self.parts, self._after_event):
            return late
        async with self.parts.transaction() as unit:
            stands = await self._stands(unit, "" if callable(key) else key)
            tx = Tx(unit, self._cause(), stands["open"] or date.min)
            if callable(key):
                stands = await self._stands(unit, await key(tx))
            tag = ""
            if key:
                self._check_reach(stands["org"])
                tag = etag(stands["version"] or 0, tx.date)
                if self._seen(tag):
                    return Response(status_code=NOT_MODIFIED, headers={"etag": tag})
            body = to_json(await read(tx))
        tag = tag or f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if self._seen(tag):
            return Response(status_code=NOT_MODIFIED, headers={"etag": tag})
        return Response(body, media_type="application/json", headers={"etag": tag})

    async def see(self, read: Command, *, key: str = "") -> Any:
        """What `read` finds in one transaction, without a date; `key` as for query."""
        async with self.parts.transaction() as unit:
            if key:
                self._check_reach((await self._stands(unit, key))["org"])
            return await read(Tx(unit, self._cause(), date.min))

    async def _stands(self, unit: Unit, key: str) -> dict[str, Any]:
        return (await unit.sql(_STANDS_SQL, key))[0]

    def _check_reach(self, org: str) -> None:
        """Until its branch is known here, a facility is the head office's alone; a partner's own are for the view."""
        if self.caller.party:
            return
        if org:
            self.require_reach(org)
        elif not self.caller.everywhere:
            raise NotFound("not_found", "nothing of this name is known here")

    def _seen(self, tag: str) -> bool:
        return matches(self.request.headers.get("if-none-match", ""), tag)


class PartnerDoor(ReadingDoor):
    """A read that a partner may ask for too; the view shows a partner (`caller.party`) its own things only."""

    admits_parties = True

    def __init__(self, request: Request, caller: Caller, after_event: str = "") -> None:
        super().__init__(request, caller, after_event)
        require_party(caller)


AfterEvent = Annotated[
    str,
    Query(
        max_length=EVENTS_CHARACTERS_MAX,
        description=(
            "Answer only once these events have taken effect here: the `Silverbear-Events` of a command's answer,"
            " `type/id` by commas. 503 `event_not_applied` when that takes too long, 503 `too_many_waiting` when too"
            " many wait."
        ),
    ),
]
_IF_NONE_MATCH = header("If-None-Match", "The ETag of what the caller has seen: 304 when nothing has changed.")


@reads_headers(_IF_NONE_MATCH)
async def _reading(request: Request, after_event: AfterEvent = "") -> ReadingDoor:
    return ReadingDoor(request, await caller_of(request), after_event)


@reads_headers(_IF_NONE_MATCH)
async def _partner(request: Request, after_event: AfterEvent = "") -> PartnerDoor:
    return PartnerDoor(request, await caller_of(request), after_event)


ReadDoor = Annotated[ReadingDoor, Depends(_reading)]
PartnerReadDoor = Annotated[PartnerDoor, Depends(_partner)]
