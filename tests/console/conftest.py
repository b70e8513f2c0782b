"""A console on a database of its own, and the services it asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from services.console.main import service
from services.console.views import neighbours
from tests.console.house import House, answered_by
from tests.harness.bench import Bench


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    house = House()
    monkeypatch.setattr(neighbours, "open_client", answered_by(house))
    return house


@pytest.fixture
async def console(bench: Callable[..., Bench]) -> AsyncIterator[Bench]:
    urls = {"rating": "http://rating:1/", "guarantee": "http://guarantee:1"}
    async with bench(service, console_services=urls) as opened:
        yield opened
