"""What a service hands to the runtime, and what the runtime hands to its parts: explicit, no container, no globals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.events.envelope import Meta
from libs.kernel.errors import Rejection
from libs.runtime.bell import Bell
from libs.runtime.calls import Outbound
from libs.runtime.database import OVERTAKEN, is_transient, transaction
from libs.runtime.handover import Handover
from libs.runtime.keyring import Keyring
from libs.runtime.policies import PolicyBook
from libs.runtime.rates import Rates
from libs.runtime.room import Room
from libs.runtime.settings import Settings
from libs.runtime.tables import DAY_LOCK
from libs.runtime.telemetry import Telemetry
from libs.runtime.tx import Booking, NeedsLocks, Tx, Unit
from libs.runtime.waiting import Waiting

# The lock comes before the command's first statement, so that the date it reads is the date it commits under.
BEGIN_WITHIN_A_DAY = f"BEGIN; SELECT pg_advisory_xact_lock_shared({DAY_LOCK})"

T = TypeVar("T")
Reaction = Callable[[Tx, Any, Meta], Awaitable[None]]
Reactions = Mapping[type, Reaction]
Timer = Callable[[Tx, str, str], Awaitable[None]]
Timers = Mapping[str, Timer]
Purge = tuple[str, str]
"""A statement that forgets at most $2 rows older than $1 days, and the setting that says how many days."""


class Worker(Protocol):
    """Background work of one process, besides what the runtime itself does."""

    async def run(self) -> None:
        """Work until closed."""

    def close(self) -> None:
        """Let `run` end after what is under way."""


@dataclass(slots=True, kw_only=True)
class Parts:
    """One running service process: its wiring and its live connections."""

    name: str
    settings: Settings
    engine: AsyncEngine
    policies: PolicyBook
    reads: Sequence[str]
    reactions: Mapping[str, Reaction]
    timers: Timers
    partners: Mapping[str, Outbound]
    keyring: Keyring | None = None
    journal: str = ""
    """What a unit runs with the events it publishes; see Unit.flush."""
    booking: Booking | None = None
    purges: Sequence[Purge] = ()
    opened: asyncio.Condition = field(default_factory=asyncio.Condition)
    open_on: date = date.min
    draining: bool = False
    """This process is ending: nothing new is taken in."""
    bell: Bell = field(init=False)
    waiting: Waiting = field(default_factory=Waiting)
    rates: Rates = field(default_factory=Rates)
    room: Room = field(default_factory=Room)
    handover: Handover = field(default_factory=Handover)
    log: Any = field(default_factory=structlog.get_logger)
    telemetry: Telemetry = field(default_factory=Telemetry)

    def __post_init__(self) -> None:
        self.bell = Bell(self.engine)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Unit]:
        """A transaction of this service: committed on leaving, rolled back on any error."""
        async with self._within("BEGIN") as unit:
            yield unit

    @asynccontextmanager
    async def optimistic(self) -> AsyncIterator[Unit]:
        """The same for keys that others hardly ever change meanwhile: they are watched, not locked (Unit.watch)."""
        async with self._within("") as unit:
            yield unit

    async def attempt(self, where: str, work: Callable[[Unit], Awaitable[T]]) -> T | None:
        """Work in such a unit; None, and nothing is changed, when it has to be done again under locks.

        That is so when somebody else has changed one of its keys meanwhile (then it is counted, as `where`), and after
        any failure: what was read may not fit together then (counted as `doubt`, unless it is a refusal). Raises only
        what passes by itself. `work` gives something.
        """
        try:
            async with self.optimistic() as unit:
                return await work(unit)
        except Exception as error:
            if is_transient(error):
                raise
            if isinstance(error, OVERTAKEN):
                self.telemetry.retried(where)
            elif not isinstance(error, (Rejection, NeedsLocks)):
                self.telemetry.retried("doubt")
            return None

    @asynccontextmanager
    async def command(self) -> AsyncIterator[Unit]:
        """The same for a caller's command: while it is open no day is closed, and while one is closed it waits."""
        async with self._within(BEGIN_WITHIN_A_DAY) as unit:
            yield unit

    @asynccontextmanager
    async def _within(self, begin: str) -> AsyncIterator[Unit]:
        async with transaction(self.engine, begin) as driver:
            unit = Unit(
                driver,
                service=self.name,
                policies=self.policies,
                calendar=self.policies.profile.calendar,
                journal=self.journal,
                booking=self.booking,
            )
            yield unit
        self.handover.give(unit.handed)
        self.bell.ring(unit.rings)
        for tell in unit.committed:
            tell()

    async def close(self) -> None:
        """Let the last ring be heard, and end the connections."""
        await self.bell.close()
        await self.engine.dispose()

    def topic(self, name: str) -> str:
        """The broker's name for a topic of the contract."""
        return self.settings.topic_prefix + name

    async def open_date(self) -> date | None:
        """The business date this service stands at, or None before the first day was opened."""
        async with self.engine.connect() as conn:
            found = (await conn.exec_driver_sql("SELECT open FROM clock WHERE id = 1")).scalar()
        if isinstance(found, date):
            self.open_on = max(self.open_on, found)
            return found
        return None
