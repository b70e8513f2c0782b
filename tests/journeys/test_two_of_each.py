"""Two processes of every service, and one of each killed on the way: the same books, to the cent."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from deploy.demo.replay import Progress
from deploy.local import demo, stack
from tests.harness.platform import play, playing
from tests.journeys.test_replay import check_journal, check_lengths

LIVES = 25
SEED = 3
FASTER = {"SESSION_TIMEOUT_MS": "3000"}
"""A dead member's partitions are given away after this."""


class Killer:
    """Kills one process of each service, first or second in turn, once a third of the lives has ended."""

    def __init__(self, platform: stack.Stack) -> None:
        self._platform = platform
        self.victims = [f"{service}-{1 + number % 2}" for number, service in enumerate(stack.SERVICES)]
        self.done_then = -1

    def look(self, progress: Progress) -> None:
        """Called after each day; the blow falls in the middle of the next one."""
        if self.done_then < 0 and progress.done >= LIVES // 3:
            self.done_then = progress.done
            asyncio.get_running_loop().call_later(0.05, self._strike)

    def _strike(self) -> None:
        for name in self.victims:
            self._platform.children[name].process.send_signal(signal.SIGKILL)
            if name.endswith("-1"):
                self._platform.urls[name.partition("-")[0]].reverse()  # who asks only one asks the one that is left


def test_two_of_each_and_one_of_each_killed_on_the_way_end_with_the_same_books(
    copies: Callable[..., str], kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", copies())
    monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka)
    names = [f"{service}-{number}" for service in stack.SERVICES for number in (1, 2)]
    with playing("cn-branch", tmp_path, replicas=2, extra=dict.fromkeys(names, FASTER)) as platform:
        for url in (url for urls in platform.urls.values() for url in urls):
            assert httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200
        killer = Killer(platform)
        run = play(platform, demo.read_portfolio("", LIVES, SEED), show=killer.look)
        assert 0 < killer.done_then < LIVES
        ended = {name: child.process.poll() for name, child in platform.children.items()}
        assert {name for name, code in ended.items() if code is not None} == set(killer.victims)
        assert {ended[name] for name in killer.victims} == {-signal.SIGKILL}
    check_journal(run)
    check_lengths(run)
    for ref, story in run.stories.items():
        assert any(entry.type in ("loan.closed.v1", "application.refused.v1") for entry in story), ref
    assert len(run.stories) == LIVES
