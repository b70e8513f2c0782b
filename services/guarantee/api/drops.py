"""The door for files: a partner's lists as CSV in a folder of its own, answered beside with what the interface says.

A file becomes the request that the partner could have sent, under a key of its name and its digest, and goes through
the same doors in its name: so the same is checked, a file counts once, and what was done before a process died is only
told again. `DROP_FOLDER` holds a folder for each partner; without it there is no such door.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.kernel.errors import Invalid
from libs.runtime.auth import ACTING_FOR, PARTNER, Caller
from libs.runtime.database import woken
from libs.runtime.faults import reach
from libs.runtime.logs import fault
from libs.runtime.problems import problem_body
from libs.runtime.tray import Tray, held, name_of, parties_in
from libs.runtime.wiring import Parts
from services.guarantee.api import scopes
from services.guarantee.domain.bordereau import rows_of

POLL_SECONDS = 1.0
QUIET_SECONDS = 60.0
"""Between two complaints about the same folder."""
AGAIN = 503
"""The service cannot take it just now."""
SUBJECT = "drop-folder"
CONFIRMED, WHY = ("facility_id", "loan_id", "accepted"), ("reason",)
EXPOSED, GROUP = ("as_of", "obligor", "amount", "currency"), ("related_group",)
_LIST = re.compile(r"(statement|filings)-(\d{4}-\d{2})(?:~([^~]+))?\.csv")
_BATCH = re.compile(r"(confirmations|exposures)-[^~]+\.csv")
Request = dict[str, Any]


class Drops:
    """The worker of one process; of several, one at a time holds a partner's folder."""

    def __init__(self, parts: Parts, app: ASGIApp) -> None:
        self.parts, self._app = parts, app
        self._wake = asyncio.Event()
        self._closing = False
        self._told: dict[str, float] = {}

    def close(self) -> None:
        """Let `run` end after the file under way."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Look into the folders until closed."""
        root = self.parts.settings.drop_folder
        while root is not None and not self._closing:
            await self.sweep(root)
            await woken(self._wake, seconds=POLL_SECONDS)

    async def sweep(self, root: Path) -> int:
        """Answer all files that wait; returns how many. A folder that cannot be used does not hold up the others."""
        answered = 0
        try:
            for partner in await asyncio.to_thread(parties_in, root):
                answered += await self._sweep_one(root, partner)
        except OSError as error:
            self._complain("", error)
        return answered

    async def _sweep_one(self, root: Path, partner: str) -> int:
        answered = 0
        try:
            with held(root, partner) as tray:
                while not self._closing:
                    taken = await asyncio.to_thread(tray.next, self.parts.settings.drop_settle_seconds)
                    if not taken or not await self._answer(tray, partner, taken):
                        break
                    answered += 1
        except BlockingIOError:  # another process is at it
            return answered
        except Exception as error:  # noqa: BLE001 - whatever one partner's files do, the others' are looked at
            self._complain(partner, error)
        return answered

    async def _answer(self, tray: Tray, partner: str, taken: str) -> bool:
        """Answer one file; False while it has to wait."""
        content = await asyncio.to_thread(tray.read, taken, self.parts.settings.list_bytes_max)
        status, text = await self._said(partner, name_of(taken), content)
        if status == AGAIN:
            return False
        reach("drops.before_result", self.parts.settings.fault)
        await asyncio.to_thread(tray.answer, taken, text)
        self.parts.log.info("file_answered", partner=partner, file=name_of(taken), status=status)
        return True

    async def _said(self, partner: str, name: str, content: bytes | None) -> tuple[int, str]:
        """What the interface says to the file."""
        if content is not None and len(content) > self.parts.settings.list_bytes_max:
            return 413, problem_body(413, "body_too_large")
        try:
            request = await asyncio.to_thread(request_of, partner, name, content)
        except Invalid as error:
            return error.status, problem_body(error.status, error.code, error.detail, **error.facts)
        granted = frozenset({scopes.REPORTS_WRITE, scopes.COVERS_ANSWER})
        caller = Caller(subject=SUBJECT, roles=frozenset({PARTNER}), party=partner, scopes=granted)
        key = {"idempotency-key": f"{name}@{hashlib.sha256(content or b'').hexdigest()}"}
        transport = httpx.ASGITransport(app=_acting_for(caller, self._app), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://drops") as http:
            answer = await http.post(**{**request, "headers": {**request.get("headers", {}), **key}})
        return answer.status_code, answer.text

    def _complain(self, partner: str, error: Exception) -> None:
        if time.monotonic() - self._told.get(partner, -QUIET_SECONDS) >= QUIET_SECONDS:
            self._told[partner] = time.monotonic()
            self.parts.log.warning("drop_folder_unusable", partner=partner, error=fault(error))


def request_of(partner: str, name: str, content: bytes | None) -> Request:
    """The request that a file stands for, by its name; raises Invalid for what is no list that we take."""
    if content is None:
        raise Invalid("list_unreadable", "this is no plain file")
    if listed := _LIST.fullmatch(name):
        about, month, party = listed.groups()
        path = f"/v1/partners/{partner}/lists/{about}/{month}"
        params = {"party": party} if party else {}
        return {"url": path, "params": params, "content": content, "headers": {"content-type": "text/csv"}}
    if batch := _BATCH.fullmatch(name):
        if batch[1] == "confirmations":
            return {"url": "/v1/batch-confirmations", "json": {"rows": _rows(content, CONFIRMED, WHY)}}
        rows = [_exposure(row) for row in _rows(content, EXPOSED, GROUP)]
        return {"url": f"/v1/partners/{partner}/exposure-lists", "json": {"rows": rows}}
    raise Invalid("list_unreadable", "its name says no list: statement-, filings-, confirmations- or exposures-")


def _rows(content: bytes, columns: tuple[str, ...], optional: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        return list(rows_of(content.decode(), columns, optional))
    except UnicodeDecodeError as error:
        raise Invalid("list_unreadable", "a list is UTF-8 text") from error


def _exposure(row: dict[str, str]) -> Request:
    kept = {name: cell for name, cell in row.items() if name not in ("amount", "currency")}
    return {**kept, "outside": {"amount": row["amount"], "currency": row["currency"]}}


def _acting_for(caller: Caller, app: ASGIApp) -> ASGIApp:
    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, ACTING_FOR: caller}, receive, send)

    return inside
