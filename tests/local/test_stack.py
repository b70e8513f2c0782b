"""The stack on a user's own servers: a database that an earlier run has used is refused, not waited on for ever."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local.process import ChildFailed
from deploy.local.stack import refuse_used


async def test_an_empty_database_is_taken_and_a_used_one_refused(database: str) -> None:
    await refuse_used(database)
    engine = create_async_engine(database.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.begin() as conn:
        await conn.exec_driver_sql("INSERT INTO rating.position (topic, part, \"offset\") VALUES ('application', 0, 7)")
    await engine.dispose()
    with pytest.raises(ChildFailed, match="holds an earlier run"):
        await refuse_used(database)
