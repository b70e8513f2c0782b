"""Core banking over HTTP: pay once under our reference, and ask by that reference before any second try."""

from __future__ import annotations

from typing import Any

import httpx

from libs.runtime.calls import Answer

NOT_FOUND = 404
CLIENT_ERROR = 400
NOT_YET = (408, 425, 429)  # says nothing about the payment: to be asked again, never taken for a no


async def disburse(http: httpx.AsyncClient, reference: str, request: dict[str, Any]) -> Answer:
    """POST /disbursements: 2xx is paid, 4xx is a definite no."""
    response = await http.post("/disbursements", json={"reference": reference, **request})
    if response.status_code in NOT_YET:
        response.raise_for_status()
    return Answer(response.status_code, _body(response))


async def inquire(http: httpx.AsyncClient, reference: str, request: dict[str, Any]) -> Answer | None:  # noqa: ARG001 - the shape of every inquiry
    """GET /disbursements/{reference}: what became of it, or None when core banking has never heard of it."""
    response = await http.get(f"/disbursements/{reference}")
    if response.status_code == NOT_FOUND:
        return None
    response.raise_for_status()
    return Answer(response.status_code, _body(response))


def _body(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer; a refusal may come without one, a success may not (ValueError: still unknown)."""
    try:
        body = response.json()
    except ValueError:
        if response.status_code >= CLIENT_ERROR:
            return {}
        raise
    if not isinstance(body, dict):
        raise ValueError("core banking answered with something that is not an object")  # noqa: TRY004 - unknown, not a bug
    return body
