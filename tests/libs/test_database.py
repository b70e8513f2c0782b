"""The database edge: a cancelled transaction leaves nothing behind, and only what can heal is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import date

import asyncpg
import pytest

from libs.runtime.database import borrowed, is_transient, listening, open_engine, transaction
from libs.runtime.tx import Cause, Tx
from tests.harness.bench import Bench
from tests.harness.live import until
from tests.harness.toy import note

DAY = date(2026, 1, 5)
SSL_REQUEST = (80877103).to_bytes(4)
"""What a client asks first: whether the line can be sealed."""
Make = Callable[..., Bench]


async def test_a_transaction_cancelled_at_any_moment_leaves_no_connection_inside_it(toy_bench: Make) -> None:
    """Whoever borrowed such a connection next would work inside a transaction that nobody commits."""
    async with toy_bench("rating", pool_size=4) as bench:

        async def work(name: str) -> None:
            async with bench.parts.transaction() as unit:
                await unit.lock([name])
                await note(Tx(unit, Cause(actor="t"), DAY), name, "done")
                await unit.flush()

        await work("warm")
        for steps in range(40):
            task = asyncio.create_task(work(f"cancelled {steps}"))
            for _ in range(steps):
                await asyncio.sleep(0.0002)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await work(f"after {steps}")

        async def clean() -> bool:
            async with bench.parts.engine.connect() as conn:
                found = await conn.exec_driver_sql(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()"
                )
                return found.scalar() == 0

        await until(clean, "no transaction is left open")
        await bench.parts.engine.dispose()  # what was never committed is gone now
        names = "".join((await bench.dump())["tally"])
        assert [steps for steps in range(40) if f'"after {steps}"' not in names] == []


async def test_a_database_that_is_starting_up_is_asked_again() -> None:
    async def refuse(heard: asyncio.StreamReader, said: asyncio.StreamWriter) -> None:
        if (await heard.readexactly(8)).endswith(SSL_REQUEST):
            said.write(b"N")
            await heard.readexactly(8)
        told = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
        said.write(b"E" + (len(told) + 4).to_bytes(4) + told)
        said.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        engine = open_engine(f"postgresql://a:b@127.0.0.1:{port}/c", schema="rating", pool_size=1)
        for lend in (borrowed(engine), transaction(engine), listening(engine, "outbox", asyncio.Event())):
            with pytest.raises(asyncpg.CannotConnectNowError) as found:
                await lend.__aenter__()
            assert is_transient(found.value)


@pytest.mark.parametrize(
    ("error", "heals"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (OSError("Multiple exceptions"), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (asyncpg.DeadlockDetectedError(), True),
        (asyncpg.SerializationError(), True),
        (asyncpg.LockNotAvailableError(), True),
        (asyncpg.AdminShutdownError(), True),
        (asyncpg.CannotConnectNowError(), True),
        (asyncpg.TooManyConnectionsError(), True),
        (asyncpg.DiskFullError(), True),
        (asyncpg.IdleInTransactionSessionTimeoutError(), True),
        (asyncpg.InvalidCachedStatementError(), True),
        (FileNotFoundError("policy"), False),
        (asyncpg.DataError("invalid input for query argument $1"), False),
        (asyncpg.InterfaceError("the server expects 1 argument for this query, 2 were passed"), False),
        (asyncpg.UniqueViolationError(), False),
        (asyncpg.UndefinedTableError(), False),
        (KeyError("x"), False),
        (ValueError("x"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_only_what_can_heal_is_tried_again(error: Exception, heals: bool) -> None:
    assert is_transient(error) is heals
