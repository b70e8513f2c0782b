"""A service process: its doors wired to the runtime, started and drained in order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import structlog
from fastapi import APIRouter, FastAPI
from sqlalchemy import MetaData

from libs.events import catalogue
from libs.events.envelope import kind_of
from libs.runtime import logs
from libs.runtime.auth import TokenDoor
from libs.runtime.calls import Caller, Outbound
from libs.runtime.consumer import Consumer
from libs.runtime.database import open_engine
from libs.runtime.gate import BodyLimit, Gate
from libs.runtime.janitor import Janitor
from libs.runtime.keyring import Keyring
from libs.runtime.metrics import router as metrics_router
from libs.runtime.openapi import Interface, Links
from libs.runtime.ops import router as ops_router
from libs.runtime.policies import PolicyBook, read_profile
from libs.runtime.problems import install
from libs.runtime.relay import Relay
from libs.runtime.settings import Settings, read_settings
from libs.runtime.telemetry import Telemetry, Watch
from libs.runtime.traces import traces_of
from libs.runtime.tx import Booking
from libs.runtime.wiring import Parts, Purge, Reactions, Timers, Worker

__all__ = ["Reactions", "Service", "Timers"]

DRAIN_SECONDS_MAX = 2.5
"""For the batch and the calls under way at the end; then they are cut off and rolled back."""
CUT_SECONDS_MAX = 1.0


class Service:
    """The wiring of one service; `app` is what uvicorn runs."""

    def __init__(  # noqa: PLR0913 - a word per door, all by keyword
        self,
        *,
        name: str,
        metadata: MetaData,
        reads: Sequence[str],
        reactions: Reactions,
        timers: Timers,
        partners: Mapping[str, Outbound],
        routers: Sequence[APIRouter],
        needs: Sequence[str] = (),
        journal: str = "",
        booking: Booking | None = None,
        callers: Sequence[Callable[[Parts], Worker]] = (),
        purges: Sequence[Purge] = (),
        links: Links | None = None,
        settings: Settings | None = None,
    ) -> None:
        unknown = set(reads) - set(catalogue.TOPICS)
        if unknown:
            raise ValueError(f"{name} reads topics that nobody publishes: {sorted(unknown)}")
        self.name, self.metadata, self.reads = name, metadata, tuple(reads)
        self.reactions = {kind_of(body).type: reaction for body, reaction in reactions.items()}
        self.timers, self.partners, self._settings = timers, partners, settings
        self.needs, self.journal = tuple(needs), journal
        self.callers, self.purges, self._booking = tuple(callers), tuple(purges), booking
        self.app = Interface(
            title=f"Silverbear {name}",
            version="1",
            lifespan=self._lifespan,
            redirect_slashes=False,  # a path either is a door or is not; nobody is sent to a host of his own naming
        )
        self.app.state.needs = self.needs
        self.app.links = links or {}
        self.app.add_middleware(BodyLimit)
        self.app.add_middleware(Gate)
        self.app.add_middleware(Watch)
        install(self.app)
        for router in (ops_router, metrics_router, *routers):
            self.app.open(router)

    def parts(self, settings: Settings) -> Parts:
        """The live parts of one process of this service; the caller closes them."""
        return Parts(
            name=self.name,
            settings=settings,
            engine=open_engine(
                settings.database_url, schema=self.name, pool_size=settings.pool_size, idle_ms=settings.idle_ms
            ),
            policies=PolicyBook(read_profile(settings.profile)),
            reads=self.reads,
            reactions=self.reactions,
            timers=self.timers,
            partners=self.partners,
            keyring=Keyring(settings.keyring_path) if settings.keyring_path else None,
            journal=self.journal,
            booking=self._booking,
            purges=self.purges,
            log=structlog.get_logger().bind(service=self.name),
            telemetry=Telemetry(self.name, traces_of(settings, self.name)),
        )

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        settings = self._settings or read_settings(*self.needs)
        logs.configure(service=self.name, replica=settings.replica, level=settings.log_level)
        parts = self.parts(settings)
        consumer = Consumer(parts)
        app.state.parts, app.state.consumer = parts, consumer
        app.state.tokens = TokenDoor(settings)
        reading = asyncio.create_task(consumer.run(), name="consumer")
        workers: list[Worker] = []
        if settings.relay:
            workers.append(Relay(parts))
        if settings.calls and self.partners:
            workers.append(Caller(parts))
        if settings.calls:
            workers += [caller(parts) for caller in self.callers]
        tasks = [reading, *(asyncio.create_task(worker.run(), name=type(worker).__name__) for worker in workers)]

        tasks.append(asyncio.create_task(Janitor(parts).run(), name="janitor"))

        def drain() -> None:
            parts.draining = True
            tasks[-1].cancel()
            reading.cancel()  # the batch under way is rolled back and read again by another member of the group
            for worker in workers:
                worker.close()

        app.state.drain = drain
        try:
            yield
        finally:
            drain()
            _, late = await asyncio.wait(tasks, timeout=DRAIN_SECONDS_MAX)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=CUT_SECONDS_MAX)
            with suppress(TimeoutError):
                await asyncio.wait_for(parts.close(), CUT_SECONDS_MAX)
            await asyncio.to_thread(parts.telemetry.traces.close)
