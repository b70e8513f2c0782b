"""The database edge: one engine per process, and which failures are worth another try."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]  # ships no types
from sqlalchemy import PoolProxiedConnection, event
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

T = TypeVar("T")
# serialization failure, deadlock, lock timeout, too many connections, disk full, shutdown, idle-in-transaction
TRANSIENT_STATES = ("40001", "40P01", "55P03", "53", "57P", "25P03", "08")
# a migration changed a table under a prepared statement; the driver forgets the statement and the next try is good
STALE_PLAN = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)
# somebody else was quicker than a unit that only watched its keys: at the key's version, or in the inbox
OVERTAKEN = (asyncpg.NotNullViolationError, asyncpg.UniqueViolationError)
UNSTORABLE_STATES = ("22021", "22P05")
POOL_WAIT_SECONDS_MAX = 10
"""For a connection of the pool."""
CONNECT_SECONDS_MAX = 5
STATEMENT_SECONDS_MAX = 30
"""A line cut in silence looks like a statement that never ends."""
LOCK_SECONDS_MAX = 15
"""For a key that another transaction holds."""
RETRY_SECONDS_MAX = 5.0
"""Between two tries of what failed for a passing reason."""
GOODBYE_SECONDS_MAX = 2.0


def open_engine(url: str, *, schema: str, pool_size: int, idle_ms: int = 8_000) -> AsyncEngine:
    """An engine whose connections live in `schema`; a transaction left idle loses its locks after `idle_ms`."""
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS_MAX,
        pool_use_lifo=True,  # the same few connections are used again, with their statements prepared
        hide_parameters=True,  # an error's text would quote what a statement was given
        json_deserializer=str,  # JSON stays text: a shelf validates it straight into its own types
        connect_args={
            "timeout": CONNECT_SECONDS_MAX,
            "command_timeout": STATEMENT_SECONDS_MAX,
            "server_settings": {
                "search_path": schema,
                "application_name": f"silverbear.{schema}",
                "idle_in_transaction_session_timeout": str(idle_ms),
                "lock_timeout": f"{LOCK_SECONDS_MAX}s",
                "plan_cache_mode": "force_generic_plan",
            },
        },
    )
    event.listen(engine.sync_engine, "checkout", _refuse_dead)
    return engine


def _refuse_dead(dbapi: Any, _record: Any, _proxy: Any) -> None:
    """A database that restarted left the whole pool dead: else each connection would fail one request more."""
    if dbapi.driver_connection.is_closed():
        raise InvalidatePoolError


async def _lend(engine: AsyncEngine) -> PoolProxiedConnection:
    """A connection of the pool. Why there is none is told in the driver's words, as everything is from then on."""
    try:
        return await engine.raw_connection()
    except engine.dialect.loaded_dbapi.Error as error:
        raise error.__cause__ or error from None


@asynccontextmanager
async def borrowed(engine: AsyncEngine) -> AsyncIterator[Any]:
    """A bare asyncpg connection of the engine's pool, each statement its own transaction.

    The driver itself halves the cost of a statement, and the pool alone that of having a connection.
    """
    lent = await _lend(engine)
    driver: Any = lent.driver_connection
    try:
        yield driver
    except BaseException as error:
        await _undo(driver, error)
        raise
    finally:
        if driver.is_closed():
            lent.invalidate()  # never lent again
        else:
            lent.close()


@asynccontextmanager
async def transaction(engine: AsyncEngine, begin: str = "BEGIN") -> AsyncIterator[Any]:
    """One transaction on a borrowed connection, committed on leaving without an error.

    `begin` may go on to take a lock in the same round trip. Empty, it is left to whoever works here to begin one, or
    none if a statement that is its own transaction does.
    """
    async with borrowed(engine) as driver:
        if begin:
            await driver.execute(begin)
        yield driver
        if (begin or driver.is_in_transaction()) and await driver.execute("COMMIT") != "COMMIT":
            raise RuntimeError("a statement failed and the command went on: nothing was committed")


async def _undo(driver: Any, error: BaseException) -> None:
    """Roll back, or drop the connection, on which the server rolls back: no open transaction is ever lent again.

    Who was cancelled, perhaps during BEGIN, or had no answer in time, waits for no answer to ROLLBACK either: on a
    line cut in silence there is none.
    """
    if not isinstance(error, Exception) or isinstance(error, (TimeoutError, asyncpg.InternalClientError)):
        driver.terminate()
    elif driver.is_in_transaction():
        try:
            await driver.execute("ROLLBACK")
        except Exception:  # noqa: BLE001 - the first failure is the one to tell
            driver.terminate()


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later: connection lost, deadlock, lock timeout, shutdown, disk full."""
    if isinstance(error, (FileNotFoundError, PermissionError)):
        return False  # a missing file is a mistake of ours, not of the network
    if isinstance(error, (OSError, PoolTimeout, asyncio.TimeoutError, asyncpg.InternalClientError, *STALE_PLAN)):
        return True
    if isinstance(error, (InterfaceError, asyncpg.InterfaceError)):
        return "closed" in str(error)  # the driver also says so of a value it cannot encode: that never heals
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        state = str(getattr(error.orig, "sqlstate", "") or getattr(error.orig, "pgcode", "") or "")
        return state.startswith(TRANSIENT_STATES) or isinstance(error.orig, OSError)
    return isinstance(error, asyncpg.PostgresError) and str(error.sqlstate).startswith(TRANSIENT_STATES)


def is_unstorable(error: BaseException) -> bool:
    """Whether PostgreSQL cannot hold a text it was given: U+0000 in a value or in JSON."""
    state = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", "")
    return state in UNSTORABLE_STATES


def backoff(attempt: int, *, cap_seconds: float = RETRY_SECONDS_MAX) -> float:
    """Seconds to wait before try `attempt` (1, 2, …): doubling from 50 ms, capped, with jitter."""
    return float(min(cap_seconds, 0.05 * 2 ** min(attempt, 10)) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter


async def patiently(work: Callable[[], Awaitable[T]], *, on_retry: Callable[[BaseException], None]) -> T:
    """Run `work` until it succeeds or fails for good; transient faults wait and retry without limit."""
    attempt = 0
    while True:
        try:
            return await work()
        except Exception as error:
            if not is_transient(error):
                raise
            attempt += 1
            on_retry(error)
            await asyncio.sleep(backoff(attempt))


@asynccontextmanager
async def listening(
    engine: AsyncEngine,
    channel: str,
    rung: Callable[[], object],
    *,
    after: Callable[[Any], Awaitable[None]] | None = None,
) -> AsyncIterator[Any]:
    """A dedicated bare connection on which NOTIFY `<schema>.<channel>` calls `rung`; good for an advisory lock.

    Each statement is its own transaction. The connection is closed at the end, never reused: a session's locks and
    listeners end with it. `after` comes before it listens: each NOTIFY wakes every connection of the database that
    listens to anything, so who only waits for a lead should not.
    """
    lent = await _lend(engine)
    driver: Any = lent.driver_connection
    try:
        if after is not None:
            await after(driver)
        schema = await driver.fetchval("SELECT current_schema()")
        await driver.add_listener(f"{schema}.{channel}", lambda *_: rung())
        yield driver
    finally:
        lent.invalidate()


async def briefly(ending: Awaitable[object]) -> None:
    """Await the end of a client, `GOODBYE_SECONDS_MAX` at most: where nobody answers any more it would take minutes."""
    try:
        await asyncio.wait_for(ending, GOODBYE_SECONDS_MAX)
    except TimeoutError:
        return


async def woken(wake: asyncio.Event, *, seconds: float) -> None:
    """Wait until `wake` is set, `seconds` at most."""
    try:
        await asyncio.wait_for(wake.wait(), seconds)
    except TimeoutError:
        return
