"""Real PostgreSQL for every test that asks: one server a session, one database a test, built by the migrations.

Fixtures: `database` (administrator's URL of a fresh database in which every service's schema exists) and
`bench`: `async with bench(service) as b:` gives a tests.harness.bench.Bench of that service on a database of its own.
DATABASE_URL and KAFKA_BOOTSTRAP use servers that exist already; `kafka` is a real broker.
"""

from __future__ import annotations

import asyncio
import gc
import os
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import hypothesis
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local import kafka as broker
from deploy.local import postgres
from libs.runtime import migrate
from libs.runtime.service import Service
from tests.harness.bench import Bench

gc.disable()  # until all is collected: what is made by then stays, and would be looked through again and again

# How long an example takes says something of the machine, not of the rule.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("here")

EVERYBODY_OUT = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
# Most tables are empty, and to truncate one makes its files anew: done where much is in it, or a trigger guards it.
EMPTY = """
DO $$ DECLARE named text; filled boolean; BEGIN
  FOR named IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tablename <> 'alembic_version'
  LOOP
    EXECUTE 'SELECT EXISTS (SELECT FROM ' || named || ')' INTO filled;
    IF filled AND (
      pg_relation_size(named::regclass) > 1000000 OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = named::regclass)
    ) THEN EXECUTE 'TRUNCATE ' || named;
    ELSIF filled THEN EXECUTE 'DELETE FROM ' || named;
    END IF;
  END LOOP;
  FOR named IN SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences WHERE last_value IS NOT NULL LOOP
    EXECUTE 'ALTER SEQUENCE ' || named || ' RESTART';
  END LOOP;
END $$
"""


LONGEST = tuple(
    f"tests/{name}.py"
    for name in (
        "journeys/test_american",
        "journeys/test_branch",
        "journeys/test_shuffled",
        "hostile/test_interface",
        "chaos/test_short_run",  # not beside the first: two whole platforms at once have a core each at best
    )
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: two workers end together only when no long file is left for the end."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(order)))


def pytest_collection_finish() -> None:
    """What modules and tests are made of is never garbage."""
    gc.enable()
    gc.freeze()


def named(url: str, database: str) -> str:
    """The same server's URL for another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end from anywhere, also inside a running event loop (in a thread of its own)."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


async def administer(url: str, *statements: str) -> None:
    """Run statements outside any transaction as the administrator."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as conn:
            for statement in statements:
                await conn.exec_driver_sql(statement)
    finally:
        await engine.dispose()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The administrator's URL of a running PostgreSQL."""
    if "DATABASE_URL" in os.environ:
        yield os.environ["DATABASE_URL"]
        return
    with postgres.running(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[broker.Server | None]:
    """A running Apache Kafka of our own, to be killed and started again at will; None with KAFKA_BOOTSTRAP."""
    if "KAFKA_BOOTSTRAP" in os.environ:
        yield None
        return
    with broker.serving(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="session")
def kafka(kafka_server: broker.Server | None) -> str:
    """The bootstrap address of a running Apache Kafka; KAFKA_BOOTSTRAP uses one that exists already."""
    return kafka_server.bootstrap if kafka_server else os.environ["KAFKA_BOOTSTRAP"]


@pytest.fixture(scope="session")
def templates(server: str) -> Callable[[tuple[str, ...]], str]:
    """Name a database with these services' schemas at their newest version, built once a session, to be copied."""
    built: dict[tuple[str, ...], str] = {}

    def template(services: tuple[str, ...]) -> str:
        if services not in built:
            name = f"template_{uuid.uuid4().hex[:12]}"
            run(administer(server, f"CREATE DATABASE {name}"))
            run(migrate.provision(named(server, name), services))
            with ThreadPoolExecutor(1) as pool:  # alembic runs an event loop of its own
                for service in services:
                    pool.submit(migrate.upgrade, service, named(server, name)).result()
            built[services] = name
        return built[services]

    return template


@pytest.fixture(scope="session")
def shelf_of_copies(server: str, templates: Callable[[tuple[str, ...]], str]) -> dict[tuple[str, ...], list[str]]:
    """Databases that tests gave back, by the services in them."""
    return {}


@pytest.fixture
def copies(
    server: str, templates: Callable[[tuple[str, ...]], str], shelf_of_copies: dict[tuple[str, ...], list[str]]
) -> Iterator[Callable[..., str]]:
    """Lend empty databases with the schemas of the named services (all without names), each to one test at a time.

    A database given back is emptied before it is lent again: quicker than a new copy for each test.
    """
    lent: list[tuple[tuple[str, ...], str]] = []

    def copy(*services: str) -> str:
        wanted = services or migrate.SERVICES
        waiting = shelf_of_copies.setdefault(wanted, [])
        if waiting:
            name = waiting.pop()
            run(administer(named(server, name), EVERYBODY_OUT, EMPTY))
        else:
            name = f"test_{uuid.uuid4().hex[:12]}"
            run(administer(server, f"CREATE DATABASE {name} TEMPLATE {templates(wanted)}"))
        lent.append((wanted, name))
        return named(server, name)

    yield copy
    for wanted, name in lent:
        shelf_of_copies[wanted].append(name)


@pytest.fixture
def database(copies: Callable[..., str]) -> str:
    """The administrator's URL of a fresh database with every service's schema."""
    return copies()


@pytest.fixture
def bench(copies: Callable[..., str], tmp_path: Path) -> Callable[..., Bench]:
    """Make a Bench of a service on a fresh database; extra keywords are settings (profile="us-sba")."""

    def make(service: Service, **settings: object) -> Bench:
        return Bench(service, copies(service.name), tmp_path, **settings)

    return make
