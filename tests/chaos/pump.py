"""A steady stream of small commands on a thread of its own, which writes down every answer as a client saw it."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import uvloop

from tests.chaos.cluster import Platform

TIMEOUT_SECONDS = 20.0
WAITING_MAX = 2_000
CURE_SECONDS = 240.0
ACTOR = "clerk"


@dataclass(frozen=True, slots=True)
class Answer:
    """One try: when it was sent (monotonic), its status (0: no answer), the problem's code, and how long it took."""

    at: float
    status: int
    code: str
    seconds: float
    retry_after: bool


class Pump:
    """Referrals at `rate` a second (0: as fast as `workers` of them go), each repeated until it is acknowledged."""

    def __init__(self, platform: Platform, *, rate: float, workers: int = 0, repeat: bool = True) -> None:
        self._urls = [f"{url}/v1/referrals" for url in platform.stack.urls["application"]]
        token = platform.stack.issuer.token(ACTOR, "customer_manager", org="branch")
        self._headers = {"authorization": f"Bearer {token}"}
        self._rate, self._workers, self._repeat = rate, workers, repeat
        self.answers: list[Answer] = []
        self.journal: list[dict[str, Any]] = []
        self.uncured = 0
        self._stop = threading.Event()
        self._turn = 0
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()), name="pump")

    def __enter__(self) -> Pump:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=WAITING_MAX, max_keepalive_connections=100)
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False, limits=limits) as http:
            if self._workers:
                await asyncio.gather(*(self._work(http) for _ in range(self._workers)))
                return
            waiting: set[asyncio.Task[None]] = set()
            begun, sent = time.monotonic(), 0
            while not self._stop.is_set():
                due = int((time.monotonic() - begun) * self._rate)
                for _ in range(min(due - sent, WAITING_MAX - len(waiting))):
                    task = asyncio.create_task(self._command(http))
                    waiting.add(task)
                    task.add_done_callback(waiting.discard)
                sent = due
                await asyncio.sleep(0.01)
            await asyncio.gather(*waiting)

    async def _work(self, http: httpx.AsyncClient) -> None:
        while not self._stop.is_set():
            await self._command(http)

    async def _command(self, http: httpx.AsyncClient) -> None:
        ref = uuid.uuid4().hex
        command = {"service": "application", "path": "/v1/referrals", "actor": ACTOR, "key": ref}
        sent: dict[str, Any] = {"at": "sent", **command}
        self.journal.append(sent)
        begun, tries = time.monotonic(), 0
        while time.monotonic() - begun < CURE_SECONDS:
            response = await self._try(http, ref)
            if response is not None and response.status_code < httpx.codes.BAD_REQUEST:
                sent["answer"] = response.json()
                self.journal.append({"at": "answered", **command, "answer": sent["answer"]})
                return
            tries += 1
            if not self._repeat:
                return
            await asyncio.sleep(min(2.0, 0.1 * 2**tries))
        self.uncured += 1

    async def _try(self, http: httpx.AsyncClient, ref: str) -> httpx.Response | None:
        self._turn += 1
        url = self._urls[self._turn % len(self._urls)]
        person = {"name": "Li Wei", "id_number": "330203198001010013", "phone": "13800000000"}
        body = {"external_ref": ref, "channel": "walk-in", "branch": "branch", "borrower": person, "consent": True}
        begun = time.monotonic()
        try:
            response = await http.post(url, json=body, headers={**self._headers, "idempotency-key": ref})
        except httpx.TransportError as error:
            self.answers.append(Answer(begun, 0, type(error).__name__, time.monotonic() - begun, retry_after=False))
            return None
        code = ""
        if response.status_code >= httpx.codes.BAD_REQUEST:
            is_problem = response.headers.get("content-type", "").startswith("application/problem+json")
            code = str(response.json()["code"]) if is_problem else "no problem document"
        after = "retry-after" in response.headers
        self.answers.append(Answer(begun, response.status_code, code, time.monotonic() - begun, retry_after=after))
        return response


def tally(answers: Sequence[Answer]) -> dict[str, int]:
    """How often each status and code came."""
    return dict(sorted(Counter(f"{each.status} {each.code}".strip() for each in answers).items()))


def bad(answers: Sequence[Answer], *, allowed: Sequence[int]) -> dict[str, int]:
    """Answers with another status than a success or those allowed, and refusals that do not say when to come back."""
    wrong = [
        each
        for each in answers
        if not (each.status and each.status < httpx.codes.BAD_REQUEST)
        and not (each.status in allowed and each.retry_after)
    ]
    return tally(wrong)


def percentile(answers: Sequence[Answer], share: float) -> float:
    """The latency in seconds that `share` (0 to 1) of the answers do not exceed."""
    ordered = sorted(each.seconds for each in answers)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
