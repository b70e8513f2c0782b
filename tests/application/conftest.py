"""A story on a fresh bench of the application service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from services.application.main import service
from tests.application.story import Story
from tests.harness.bench import Bench


@pytest.fixture
async def story(bench: Callable[..., Bench]) -> AsyncIterator[Story]:
    async with bench(service) as made:
        yield Story(made)
