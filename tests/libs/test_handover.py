"""From a commit to the relay of the same process: in the order of the key, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from libs.runtime import handover, relay
from libs.runtime.handover import Handover
from libs.runtime.relay import Relay
from tests.harness.live import Node, read_all, until
from tests.libs.test_relay import by_key, publish

Live = Callable[..., Node]


def row(key: str, number: int, payload: str = "{}") -> dict[str, Any]:
    return {"id": number, "key": key, "headers": {"ce_sequence": str(number)}, "payload": payload}


@contextmanager
def read() -> Iterator[Handover]:
    """A handover whose relay leads and has read all that was in the outbox."""
    made = Handover()
    with made.leading():
        made.reading()
        made.read([])
        yield made


def taken(of: Handover, most: int = 100) -> list[tuple[str, int]] | None:
    rows = of.take(most)
    return None if rows is None else [(each["key"], each["id"]) for each in rows]


def test_what_is_next_of_its_key_is_taken_once_and_in_order() -> None:
    with read() as made:
        assert taken(made) == []
        made.give([row("a", 1), row("b", 1), row("a", 2)])
        made.give([row("a", 3), row("a", 2)])
        assert taken(made, 2) == [("a", 1), ("b", 1)]
        assert taken(made) == [("a", 2), ("a", 3)]
        assert taken(made) == []


@pytest.mark.parametrize("known", [True, False])
def test_behind_a_gap_or_of_a_key_that_is_not_known_the_outbox_is_read(known: bool) -> None:
    with read() as made:
        if known:
            made.give([row("a", 1)])
        made.give([row("b", 1), row("a", 3), row("c", 1)])
        assert taken(made) == [*([("a", 1)] if known else []), ("b", 1)]
        assert taken(made) is None
        made.reading()
        made.read([])
        made.give([row("d", 7)])
        assert taken(made) is None, "at once, not only when something else comes"
        made.reading()
        made.read([("a", 2), ("a", 3), ("c", 1)])
        made.give([row("c", 1), row("a", 4)])
        assert taken(made) == [("a", 4)]


def test_what_is_committed_while_the_outbox_is_read_is_sent_once() -> None:
    with read() as made:
        made.look()
        made.give([row("a", 1)])
        assert taken(made) is None
        made.reading()
        made.give([row("a", 1), row("a", 2)])
        made.read([("a", 1)])
        assert taken(made) == [("a", 2)]


def test_nothing_is_taken_before_all_that_was_there_is_read() -> None:
    with read() as made:
        made.reading()
        made.give([row("a", 1)])
        made.reset()
        made.give([row("a", 2)])
        assert taken(made) is None


@pytest.mark.parametrize("again", [Handover.look, Handover.reset])
def test_what_was_handed_over_before_a_doubt_is_read(again: Callable[[Handover], None]) -> None:
    with read() as made:
        made.give([row("a", 1)])
        again(made)
        assert taken(made) is None


def test_after_something_was_not_sent_its_key_is_unknown() -> None:
    with read() as made:
        made.give([row("a", 1)])
        assert taken(made) == [("a", 1)]
        made.reset()
        made.reading()
        made.read([])
        made.give([row("a", 2)])
        assert taken(made) is None


def test_who_does_not_lead_takes_nothing_and_a_new_leader_reads_first() -> None:
    made = Handover()
    made.give([row("a", 1)])
    with made.leading():
        assert taken(made) is None
        made.reading()
        made.read([])
        assert taken(made) == []
    made.reading()
    made.give([row("a", 1)])
    assert taken(made) == []


def test_more_than_it_holds_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "HANDED_ROWS_MAX", 2)
    monkeypatch.setattr(handover, "HANDED_BYTES_MAX", 10)
    monkeypatch.setattr(handover, "KEYS_REMEMBERED_MAX", 2)
    with read() as made:
        made.give([row("a", 1, "12345"), row("a", 2, "12345")])
        assert taken(made) == [("a", 1), ("a", 2)]
        made.give([row("b", 1), row("c", 1)])
        assert taken(made) == [("b", 1), ("c", 1)]
        made.give([row("a", 3)])
        assert taken(made) is None, "it was forgotten how far the key had come"
    for rows in ([row("a", n) for n in (1, 2, 3)], [row("a", 1, "123456"), row("a", 2, "12345")]):
        with read() as made:
            made.give(rows)
            assert taken(made) is None


class Reads:
    """How often the outbox is read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, turn = 0, Relay._turn

        async def counting(relay: Relay, *values: Any, read: bool = True, **named: Any) -> Any:
            self.count += read
            return await turn(relay, *values, read=read, **named)

        monkeypatch.setattr(Relay, "_turn", counting)


async def emptied(node: Node) -> None:
    async def empty() -> bool:
        return await node.rows("SELECT count(*) FROM outbox") == [0]

    await until(empty, "the outbox is empty")


async def test_what_the_relays_own_process_commits_is_published_without_being_read(
    live: Live, kafka: str, topics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with live("application") as node:
        node.relay()
        await publish(node, "first", "a")
        await emptied(node)
        reads = Reads(monkeypatch)
        for number in range(20):
            await asyncio.gather(*(publish(node, f"f{n}", f"{number}a", f"{number}b") for n in range(5)))
        await emptied(node)
        assert reads.count <= 20, "once a second, and not a hundred times"
        assert await by_key(kafka, topics + "application") == {
            "first": [1],
            **{f"f{n}": list(range(1, 41)) for n in range(5)},
        }
        assert len(await read_all(kafka, topics + "application")) == 201, "each once"


async def test_two_processes_on_the_same_keys_keep_their_order(
    live: Live, kafka: str, topics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a look at the outbox each second: whatever is handed over or rung for has to do."""
    monkeypatch.setattr(relay, "POLL_SECONDS", 60)
    async with live("application") as leader, live("application") as other:
        leader.relay()
        await publish(leader, "first", "a")
        await emptied(leader)
        for number in range(30):
            for n in range(4):
                await publish((leader, other)[(number + n) % 2], f"f{n}", str(number))
        await asyncio.gather(*(publish(node, f"f{n}", "x") for node in (leader, other) for n in range(4) for _ in "ab"))
        await publish(other, "last", "x")
        await emptied(leader)
        found = await by_key(kafka, topics + "application")
        assert found == {"first": [1], "last": [1], **{f"f{n}": list(range(1, 35)) for n in range(4)}}


async def test_the_first_event_of_a_key_that_the_relay_does_not_know_is_read_at_once(
    live: Live, kafka: str, topics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "POLL_SECONDS", 60)
    async with live("application") as node:
        node.relay()
        await publish(node, "f1", "a")
        await emptied(node)
        await node.crash("relay")
        node.relay("again")
        await publish(node, "f2", "x")
        await emptied(node)
        await publish(node, "f1", "b")
        await emptied(node)
        assert await by_key(kafka, topics + "application") == {"f1": [1, 2], "f2": [1]}


async def test_what_is_never_handed_over_is_found_in_the_outbox(
    live: Live, kafka: str, topics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with live("application") as node:
        node.relay()
        await publish(node, "f1", "a")
        await emptied(node)
        with monkeypatch.context() as lost:
            lost.setattr(Handover, "give", lambda *_: None)
            await publish(node, "f1", "b")
        await publish(node, "f1", "c")
        await publish(node, "f2", "x")
        await emptied(node)
        assert await by_key(kafka, topics + "application") == {"f1": [1, 2, 3], "f2": [1]}
