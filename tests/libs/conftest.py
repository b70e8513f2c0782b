"""The toy services' databases: one template a session, one copy a test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local.stack import create_topics
from libs.runtime.migrate import role_url
from libs.runtime.settings import Settings
from tests.conftest import administer, named, run
from tests.harness import toy
from tests.harness.bench import Bench
from tests.harness.live import Node


@pytest.fixture(scope="session")
def toy_template(server: str) -> str:
    """The name of a database in which both toys' schemas exist."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    run(administer(server, f"CREATE DATABASE {name}"))
    run(toy.build(named(server, name)))
    return name


@pytest.fixture
def toy_database(server: str, toy_template: str) -> Iterator[str]:
    """The administrator's URL of a fresh database with both toys' schemas."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    run(administer(server, f"CREATE DATABASE {name} TEMPLATE {toy_template}"))
    yield named(server, name)
    run(administer(server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def toy_bench(toy_database: str, tmp_path: Path) -> Callable[..., Bench]:
    """Make a Bench of a toy: `async with toy_bench("rating") as bench`."""

    def make(name: str, **settings: object) -> Bench:
        return Bench(toy.toy(name), toy_database, tmp_path, **settings)

    return make


@pytest.fixture(autouse=True)
def not_mended() -> Iterator[None]:
    """Every test starts with poison that is poison."""
    toy.MENDED.clear()
    yield
    toy.MENDED.clear()


@pytest.fixture
def topics(kafka: str) -> str:
    """The prefix of a fresh set of topics."""
    prefix = f"t{uuid.uuid4().hex[:8]}."
    run(create_topics(kafka, prefix))
    return prefix


@pytest.fixture
def live(toy_database: str, kafka: str, topics: str, tmp_path: Path) -> Callable[..., Node]:
    """Make a Node of a toy on the real broker: `async with live("rating") as node`."""

    def make(name: str, **settings: object) -> Node:
        known = {
            "database_url": role_url(toy_database, name),
            "kafka_bootstrap": kafka,
            "topic_prefix": topics,
            "jwks_path": tmp_path / "jwks.json",
            "session_timeout_ms": 1_500,
            "pool_size": 8,
        }
        return Node(toy.toy(name), Settings.model_validate({**known, **settings}))

    return make
