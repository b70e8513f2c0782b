"""Who owns what in the database, and what a password may look like."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from libs.runtime.database import open_engine
from libs.runtime.migrate import OBSERVER, role_url


def test_a_password_of_any_characters_fits_into_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILVERBEAR_ROLE_PASSWORD", "p@ss:w/rd%20#?")
    url = make_url(role_url("postgresql://admin:secret@db.example:5433/bank", "rating"))
    assert (url.username, url.password) == ("silverbear_rating", "p@ss:w/rd%20#?")
    assert (url.host, url.port, url.database) == ("db.example", 5433, "bank")


async def test_the_observer_reads_what_is_in_flight_and_nothing_of_the_business(toy_database: str) -> None:
    engine = open_engine(role_url(toy_database, OBSERVER), schema="clock", pool_size=1)
    try:
        async with engine.connect() as conn:
            for table in ("outbox", "published", "position", "calls", "timers"):
                await conn.exec_driver_sql(f"SELECT count(*) FROM application.{table}")
            for secret in ("thing", "requests", "parked"):
                with pytest.raises(Exception, match="permission denied") as denied:
                    await conn.exec_driver_sql(f"SELECT count(*) FROM application.{secret}")
                assert isinstance(denied.value.__cause__.__cause__, asyncpg.InsufficientPrivilegeError)
                await conn.rollback()
    finally:
        await engine.dispose()
