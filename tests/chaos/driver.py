"""Drives whole loan lives on a thread of its own, and keeps a journal of every command sent and acknowledged."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import httpx
import uvloop

from deploy.demo import generator
from deploy.demo.branch import Branch
from deploy.demo.client import Client, Unexpected
from deploy.demo.lives import Life
from deploy.demo.replay import Progress, Replay
from deploy.local import demo
from libs.runtime import migrate
from libs.runtime.database import open_engine
from libs.runtime.scheduler import NotQuiet, Scheduler
from tests.chaos.cluster import Platform
from tests.chaos.schedule import Pace

PATIENCE_SECONDS = 10  # shorter than a stopped replica stays stopped: another one is asked meanwhile
REFUSED_TOKENS_MAX = 20
QUIET_SECONDS = 240.0
HOLD_SECONDS_MAX = 10.0
"""Before one day: some faults wait for work to strike."""


class Journaled(Client):
    """A client that writes down what it sends and what was acknowledged.

    A replica whose clock is wrong may take a good token for one from the future (401): another one is asked.
    """

    def __init__(self, platform: Platform) -> None:
        super().__init__(platform.stack.urls, platform.stack.issuer)
        self.journal: list[dict[str, Any]] = []
        self.turned_away = 0
        for pool in (self._http, *self._pools.values()):
            pool.timeout = httpx.Timeout(PATIENCE_SECONDS)

    async def post(
        self, service: str, path: str, body: dict[str, Any], *, actor: str, role: str, org: str, key: str
    ) -> dict[str, Any]:
        """POST a command; raises Unexpected as the client does."""
        command = {"service": service, "path": path, "actor": actor, "key": key}
        sent: dict[str, Any] = {"at": "sent", **command}
        self.journal.append(sent)
        answer = await super().post(service, path, body, actor=actor, role=role, org=org, key=key)
        sent["answer"] = answer  # a referral's facility is known only now
        self.journal.append({"at": "answered", **command, "answer": answer})
        return answer

    async def _answered(self, service: str, path: str, send: Any) -> dict[str, Any]:
        for _ in range(REFUSED_TOKENS_MAX):
            try:
                return await super()._answered(service, path, send)
            except Unexpected as refusal:
                if f"{service} {path}: 401 " not in str(refusal):
                    raise
                self.turned_away += 1
                await asyncio.sleep(0.2)
        raise Unexpected(f"{service} {path}: every replica refuses the token")


class Patient(Scheduler):
    """A scheduler that is started again when the services do not come to rest for a while: faults last longer.

    While the lives are `ahead` of the faults it puts the next day off for a moment: each fault is to meet its work.
    """

    ahead: Callable[[], bool] = staticmethod(lambda: False)

    async def open_day(self, day: date) -> None:
        """Open the day, however often it takes."""
        held = time.monotonic() + HOLD_SECONDS_MAX
        while self.ahead() and time.monotonic() < held:
            await asyncio.sleep(0.1)
        begun = time.monotonic()
        while True:
            try:
                return await super().open_day(day)
            except NotQuiet:
                if time.monotonic() - begun > QUIET_SECONDS:
                    raise


@dataclass(slots=True)
class Driven:
    """How far the lives are; `failure` says why the driver stopped before the end."""

    lives: int
    progress: Progress
    begun: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    failure: str = ""
    journal: list[dict[str, Any]] = field(default_factory=list)
    turned_away: int = 0
    acknowledged: int = 0


class Driver:
    """The lives on a running platform; start() returns at once, wait() when all have ended."""

    def __init__(self, platform: Platform, lives: tuple[Life, ...], seed: int, pace: Pace) -> None:
        self.platform, self.lives, self.seed, self.pace = platform, lives, seed, pace
        self.driven = Driven(len(lives), Progress(len(lives)))
        self._thread = threading.Thread(target=self._run, name="driver", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def wait(self) -> Driven:
        """Wait for the end."""
        self._thread.join()
        return self.driven

    def _run(self) -> None:
        try:
            uvloop.run(self._drive())
        except Exception as error:  # noqa: BLE001 - whatever stops the lives is part of the result
            self.driven.failure = f"{type(error).__name__}: {error}"[:2000]
        self.driven.seconds = time.monotonic() - self.driven.begun

    async def _drive(self) -> None:
        platform, driven = self.platform, self.driven
        client = Journaled(platform)
        driven.journal = client.journal
        observer = open_engine(
            migrate.role_url(platform.stack.admin_url, migrate.OBSERVER), schema="clock", pool_size=4
        )
        parts = demo.clock_parts(platform.stack)
        try:
            async with Patient(parts, observer, await platform.readers()) as scheduler:
                branch = Branch("cn-branch", min(life.applied_on for life in self.lives))
                moves = generator.indices(self.lives, self.seed)
                stand_in = platform.stack.stand_ins["partner"]
                replay = Replay(self.lives, moves, branch, client, scheduler, stand_in, self._show)
                driven.progress = replay.progress
                scheduler.ahead = lambda: self.pace.is_ahead(len(client.journal))
                await replay.run()
        finally:
            driven.turned_away = client.turned_away
            await client.close()
            await observer.dispose()
            await parts.engine.dispose()

    def _show(self, progress: Progress) -> None:
        self.driven.progress = progress
