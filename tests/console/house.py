"""The other services as far as the console asks them, and a page as a person reads it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import httpx
from fastapi import FastAPI

from services.console.views import neighbours

HOSTILE = "<script>alert(1)</script>\"'&"
STATUS: dict[str, Any] = {
    "service": "rating",
    "open_date": "2025-09-01",
    "paused": "",
    "outbox": {"depth": 3, "parked": 0, "oldest_seconds": 12.9},
    "parked": {"parked": 1, "waiting": 2},
    "calls": {"pending": 0, "unknown": 0, "failed": 0},
    "timers": {"count": 4, "next_due": "2025-10-01"},
    "reads": ["application"],
    "handles": ["referral.received.v1"],
    "positions": {"application": {"0": 10}},
    "published": {"rating": {"0": 7}},
}
ROW = {
    "id": 1,
    "key": "f-9/../x",
    "status": "parked",
    "topic": "application",
    "event_id": "e-1",
    "type": "loan.cured.v1",
    "reason": HOSTILE,
    "arrived": "2026-01-01T00:00:00Z",
    "waiting": 2,
}


SHOWN = {**ROW, "headers": {"ce_type": "loan.cured.v1", "note": HOSTILE}, "payload": f'{{"loan_id": "{HOSTILE[:8]}"}}'}


class House:
    """The other services as far as the console asks them: rating answers, guarantee never does."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        self.seen.append((request.method, path, request.headers.get("authorization", "")))
        if request.url.host != "rating":
            raise httpx.ConnectError("nobody listens")
        answers: dict[tuple[str, str], Any] = {
            ("GET", "/health/ready"): {"status": "ready"},
            ("GET", "/v1/ops/status"): STATUS,
            ("GET", "/v1/ops/parked?limit=200"): {"items": [ROW], "next": ""},
            ("GET", "/v1/ops/parked/f-9%2F..%2Fx?limit=200"): {"items": [SHOWN], "next": ""},
            ("POST", "/v1/ops/parked/f-9%2F..%2Fx/redrive"): {"applied": 3},
            ("POST", "/v1/ops/discarded/e-1"): {"discarded": "e-1"},
        }
        return httpx.Response(200, json=answers[request.method, path])


def answered_by(others: Callable[[httpx.Request], httpx.Response]) -> Callable[[FastAPI], httpx.AsyncClient]:
    """The console's client as it is, except that `others` answer for every address but the console's own."""
    real = neighbours.open_client

    def client(app: FastAPI) -> httpx.AsyncClient:
        opened = real(app)
        opened._transport = httpx.MockTransport(others)
        return opened

    return client


def text_of(page: httpx.Response) -> str:
    """A page as it reads: without tags, spaces joined."""
    body = re.sub(r"<style>.*?</style>", "", page.text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())
