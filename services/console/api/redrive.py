"""Has a service apply a key's parked events again: only because a person asked, and in that person's own name."""

from urllib.parse import quote

import httpx

from libs.runtime import parking
from libs.runtime.inbound import reason_of
from libs.runtime.wiring import Parts
from services.console.views.neighbours import OK, bearer

REDRIVE_SECONDS_MAX = 30.0


async def redrive_there(http: httpx.AsyncClient, url: str, key: str, token: str) -> str:
    """Have one service apply a key's parked events again; returns what came of it, in the service's own words."""
    address = f"{url.rstrip('/')}/ops/parked/{quote(key, safe='')}/redrive"
    try:
        answer = await http.post(address, headers=bearer(token), timeout=REDRIVE_SECONDS_MAX)
        body = answer.json()
        return f"applied: {body['applied']}" if answer.status_code == OK else f"{body['code']}: {body['detail']}"
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return "unreachable"


async def redrive_here(parts: Parts, key: str) -> str:
    """Apply the console's own parked events of a key again; returns what came of it."""
    try:
        return f"applied: {await parking.redrive(parts, key)}"
    except Exception as error:  # noqa: BLE001 - the operator needs the handler's own words
        return f"still failing: {reason_of(error)}"
