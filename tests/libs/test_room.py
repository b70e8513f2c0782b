"""When a process looks how full its outbox is."""

from __future__ import annotations

import time

import pytest

from libs.runtime.room import LOOK_SECONDS, Room


def test_a_process_looks_first_when_its_room_is_used_up_and_when_it_has_not_looked_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    room = Room()
    assert room.unknown
    room.seen(3)
    room.taken(2)
    assert not room.unknown
    room.taken(1)
    assert room.unknown
    room.seen(1_000)
    now += LOOK_SECONDS
    assert not room.unknown
    now += 0.001
    assert room.unknown
    room.seen(0)
    assert room.unknown
