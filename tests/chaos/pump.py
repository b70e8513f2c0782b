"""A steady stream of small commands on a thread of its own, which writes down every answer as a client saw it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import uvloop

from tests.chaos.cluster import Platform

TIMEOUT_SECONDS = 20.0
WAITING_MAX = 2_000
CURE_SECONDS = 240.0
ACTOR = "clerk"
BAD_REQUEST = 400


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
        self._places = [url.removeprefix("http://") for url in platform.stack.urls["application"]]
        self._token = platform.stack.issuer.token(ACTOR, "customer_manager", org="branch")
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
        if self._workers:
            await asyncio.gather(*(self._work() for _ in range(self._workers)))
            return
        waiting: set[asyncio.Task[None]] = set()
        begun, sent = time.monotonic(), 0
        while not self._stop.is_set():
            due = int((time.monotonic() - begun) * self._rate)
            for _ in range(min(due - sent, WAITING_MAX - len(waiting))):
                task = asyncio.create_task(self._command())
                waiting.add(task)
                task.add_done_callback(waiting.discard)
            sent = due
            await asyncio.sleep(0.01)
        await asyncio.gather(*waiting)

    async def _work(self) -> None:
        while not self._stop.is_set():
            await self._command()

    async def _command(self) -> None:
        ref = uuid.uuid4().hex
        command = {"service": "application", "path": "/v1/referrals", "actor": ACTOR, "key": ref}
        sent: dict[str, Any] = {"at": "sent", **command}
        self.journal.append(sent)
        begun, tries = time.monotonic(), 0
        while time.monotonic() - begun < CURE_SECONDS:
            status, body = await self._try(ref)
            if 0 < status < BAD_REQUEST:
                sent["answer"] = json.loads(body)
                self.journal.append({"at": "answered", **command, "answer": sent["answer"]})
                return
            tries += 1
            if not self._repeat:
                return
            await asyncio.sleep(min(2.0, 0.1 * 2**tries))
        self.uncured += 1

    async def _try(self, ref: str) -> tuple[int, bytes]:
        self._turn += 1
        host, _, port = self._places[self._turn % len(self._places)].rpartition(":")
        person = {"name": "Li Wei", "id_number": "330203198001010013", "phone": "13800000000"}
        content = {"external_ref": ref, "channel": "walk-in", "branch": "branch", "borrower": person, "consent": True}
        body = json.dumps(content).encode()
        head = (
            f"POST /v1/referrals HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {self._token}\r\n"
            f"idempotency-key: {ref}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        begun, stage = time.monotonic(), "not taken"
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                reader, writer = await asyncio.open_connection(host, int(port))
                stage = "cut off"
                try:
                    writer.write(head.encode() + body)
                    status, headers, text = _parsed(await reader.read(-1))
                finally:
                    writer.close()
        except (OSError, ValueError) as error:  # a timeout is an OSError too
            code = f"{stage}: {type(error).__name__}"
            self.answers.append(Answer(begun, 0, code, time.monotonic() - begun, retry_after=False))
            return 0, b""
        code = ""
        if status >= BAD_REQUEST:
            code = json.loads(text)["code"] if "application/problem+json" in headers else "no problem document"
        after = "retry-after:" in headers
        self.answers.append(Answer(begun, status, code, time.monotonic() - begun, retry_after=after))
        return status, text


def _parsed(answer: bytes) -> tuple[int, str, bytes]:
    """Status, headers in small letters and body of one whole answer; ValueError for a piece of one."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        raise ValueError("no whole answer")
    first, _, rest = head.decode("latin-1").lower().partition("\r\n")
    length = [line for line in rest.split("\r\n") if line.startswith("content-length:")]
    if length and int(length[0].partition(":")[2]) != len(body):
        raise ValueError("no whole answer")
    return int(first.split()[1]), rest, body


def tally(answers: Sequence[Answer]) -> dict[str, int]:
    """How often each status and code came."""
    return dict(sorted(Counter(f"{each.status} {each.code}".strip() for each in answers).items()))


def bad(answers: Sequence[Answer], *, allowed: Sequence[int]) -> dict[str, int]:
    """Answers with another status than a success or those allowed, and refusals that do not say when to come back."""
    wrong = [
        each
        for each in answers
        if not (each.status and each.status < BAD_REQUEST) and not (each.status in allowed and each.retry_after)
    ]
    return tally(wrong)


def percentile(answers: Sequence[Answer], share: float) -> float:
    """The latency in seconds that `share` (0 to 1) of the answers do not exceed."""
    ordered = sorted(each.seconds for each in answers)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
