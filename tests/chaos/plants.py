"""Planted bugs, one for each count of the auditor: put into a replica's process by the test, never into the code.

`make chaos PLANT=name` runs a few lives on replicas that have the bug; the auditor has to find it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

EVERY = 4
"""A bug that strikes now and then strikes each fourth time."""


@dataclass(frozen=True, slots=True)
class Plant:
    """One bug: how to put it, and the counts of which at least one has to see it."""

    put: Callable[[], None]
    caught_by: tuple[str, ...]


class _Now:
    """True each `every`th time it is asked."""

    def __init__(self, every: int = EVERY) -> None:
        self._every, self._asked = every, 0

    def __call__(self) -> bool:
        self._asked += 1
        return self._asked % self._every == 0


def answer_without_effect() -> None:
    """A command is answered with success and then rolled back."""
    from libs.runtime import http  # noqa: PLC0415 - the replica's own copy, patched before the service is loaded

    first, now = http.RequestDoor._first, _Now(12)

    class Undone(Exception):
        """Rolls back."""

    async def forgetful(self: Any, command: Any, keys: Any, status: int, key: str, fingerprint: str) -> Any:
        parts = self.parts
        if "/investigations" not in self.request.url.path or not now():
            return await first(self, command, keys, status, key, fingerprint)
        held: list[Any] = []

        class Spoiled:
            """The parts of the service, whose transactions come to nothing."""

            def __getattr__(self, name: str) -> Any:
                return getattr(parts, name)

            def transaction(self) -> Any:
                from contextlib import asynccontextmanager  # noqa: PLC0415 - used here only

                @asynccontextmanager
                async def nothing() -> Any:
                    async with parts.transaction() as unit:
                        yield unit
                        raise Undone

                return nothing()

        self.parts = Spoiled()

        async def keeping(tx: Any) -> Any:
            held.append(await command(tx))
            return held[0]

        try:
            await first(self, keeping, keys, status, key, fingerprint)
        except Undone:
            self.parts = parts
            from pydantic_core import to_json  # noqa: PLC0415 - used here only

            return http.Response(to_json(held[0]), status_code=status, headers={"content-type": "application/json"})

    http.RequestDoor._first = forgetful  # type: ignore[method-assign]


def publish_before_commit() -> None:
    """Events go to the broker before their transaction commits, and now and then it does not."""
    from aiokafka import AIOKafkaProducer  # noqa: PLC0415 - the replica only

    from libs.runtime import tx  # noqa: PLC0415 - see above

    flush, now, producers = tx.Unit.flush, _Now(10), []

    async def early(self: Any, answer: Any = None) -> None:
        events = list(self._events)
        await flush(self, answer)
        if events and not producers:
            producers.append(AIOKafkaProducer(bootstrap_servers=os.environ["KAFKA_BOOTSTRAP"]))
            await producers[0].start()
        for event in events:
            await producers[0].send_and_wait(
                os.environ.get("TOPIC_PREFIX", "") + event["topic"],
                value=event["payload"].encode(),
                key=event["key"].encode(),
                headers=[(name, value.encode()) for name, value in event["headers"].items()],
            )
        if events and answer and now():
            raise ConnectionResetError("planted: the commit fails after the events went out")

    tx.Unit.flush = early  # type: ignore[method-assign]


def commit_positions_early() -> None:
    """The position moves before the effects are committed, and now and then they never are."""
    from libs.runtime import consumer  # noqa: PLC0415 - see above

    once, now = consumer.Consumer._once, _Now(30)

    async def early(self: Any, arrivals: Any, culprits: Any) -> None:
        if not now():
            await once(self, arrivals, culprits)
            return
        rows = [(arrival.topic, arrival.part, arrival.offset) for arrival in arrivals]
        async with self.parts.transaction() as unit:
            for row in rows:
                await unit.sql(
                    'INSERT INTO position VALUES ($1, $2, $3) ON CONFLICT (topic, part) DO UPDATE SET "offset" = $3',
                    *row,
                )

    consumer.Consumer._once = early  # type: ignore[method-assign]


def forget_the_marks() -> None:
    """Neither inbox nor cursor remember anything, and everything is delivered twice, as at least once allows."""
    from libs.runtime import consumer, inbound  # noqa: PLC0415 - see above

    async def never(*_: object) -> bool:
        return False

    async def take(self: Any, arrival: Any, culprits: Any) -> None:
        self.marks.reach(arrival)
        if arrival.meta is None or arrival.event_id in culprits:
            return
        await self.apply(arrival, arrival.meta)
        self.marks.inbox.clear()

    consumer.pass_by = never  # type: ignore[assignment]
    inbound.Intake.take = take  # type: ignore[method-assign]
    _send_twice()


def _send_twice() -> None:
    from libs.runtime import relay  # noqa: PLC0415 - see above

    send = relay.Relay._send

    async def twice(self: Any, producer: Any, rows: Any) -> Any:
        await send(self, producer, rows)
        return await send(self, producer, rows)

    relay.Relay._send = twice  # type: ignore[method-assign]


def apply_backwards() -> None:
    """A batch is applied from its end, whatever the sequences say."""
    from libs.runtime import consumer, inbound  # noqa: PLC0415 - see above

    apply = consumer.Consumer.apply

    async def backwards(self: Any, arrivals: Any) -> None:
        await apply(self, list(reversed(arrivals)))

    async def take(self: Any, arrival: Any, culprits: Any) -> None:
        self.marks.reach(arrival)
        if arrival.meta and arrival.event_id not in culprits and arrival.event_id not in self._seen:
            await self.apply(arrival, arrival.meta)

    consumer.Consumer.apply = backwards  # type: ignore[method-assign]
    inbound.Intake.take = take  # type: ignore[method-assign]


def skip_a_sequence() -> None:
    """Now and then a number of a key's sequence is given to nobody."""
    from libs.runtime import tx  # noqa: PLC0415 - see above

    add, now = tx.Unit.add_event, _Now(60)

    def skipping(self: Any, key: str, topic: str, event_id: str, headers: Any, payload: str) -> None:
        if now():
            self._seq[key] += 1
        add(self, key, topic, event_id, headers, payload)

    tx.Unit.add_event = skipping  # type: ignore[method-assign]


def pay_without_asking() -> None:
    """A payment whose answer was lost is sent again without asking what became of it."""
    from libs.runtime import calls  # noqa: PLC0415 - see above

    ask = calls.Caller._ask

    async def hasty(self: Any, outbound: Any, row: Any, request: Any) -> Any:
        answer = await ask(self, outbound, {**row, "before": "pending"}, request)
        if row["before"] == "pending":
            raise ConnectionResetError("planted: the answer is lost")
        return answer

    calls.Caller._ask = hasty  # type: ignore[method-assign]


def keep_capacity() -> None:
    """A cover that ends gives nothing back to its agreement."""
    from services.guarantee import store  # noqa: PLC0415 - see above

    async def nothing(*_: object) -> None:
        return None

    store.free_cover = nothing


def unbalance_the_ledger() -> None:
    """Now and then a leg of a posting is a cent short."""
    from dataclasses import replace  # noqa: PLC0415 - used here only

    from libs.kernel.money import CENT, Money  # noqa: PLC0415 - see above
    from services.incentive.domain import ledger  # noqa: PLC0415 - see above

    post, now = ledger.post, _Now()

    def short(*values: Any, **named: Any) -> Any:
        first, *rest = post(*values, **named)
        cent = Money(CENT, first.currency)
        return (replace(first, amount=first.amount - cent), *rest) if now() else (first, *rest)

    ledger.post = short


def forget_a_timer() -> None:
    """Now and then a timer is not set."""
    from libs.runtime import tx  # noqa: PLC0415 - see above

    add, now = tx.Unit.add_timer, _Now(10)

    def forgetful(self: Any, timer: Any) -> None:
        if timer["kind"] != "pay.vest" or not now():
            add(self, timer)

    tx.Unit.add_timer = forgetful  # type: ignore[method-assign]


def invent_an_effect() -> None:
    """Now and then an event is told once more under another id, for a cause that never was."""
    from libs.runtime import tx  # noqa: PLC0415 - see above

    add, now = tx.Unit.add_event, _Now()

    def inventive(self: Any, key: str, topic: str, event_id: str, headers: Any, payload: str) -> None:
        add(self, key, topic, event_id, headers, payload)
        if headers["ce_type"] in ("provision.changed.v1", "investigation.opened.v1") and now():
            other = tx.uuid7()
            again = {**headers, "ce_id": other, "ce_causationid": tx.uuid7()}
            add(self, key, topic, other, again, json.dumps(json.loads(payload)))

    tx.Unit.add_event = inventive  # type: ignore[method-assign]


PLANTS: dict[str, Plant] = {
    "answer_without_effect": Plant(answer_without_effect, ("lost_commands",)),
    "publish_before_commit": Plant(publish_before_commit, ("effects_without_cause", "sequence_faults")),
    "invent_an_effect": Plant(invent_an_effect, ("effects_without_cause",)),
    "commit_positions_early": Plant(commit_positions_early, ("lost_events",)),
    "forget_the_marks": Plant(forget_the_marks, ("applied_twice",)),
    "apply_backwards": Plant(apply_backwards, ("out_of_order",)),
    "skip_a_sequence": Plant(skip_a_sequence, ("sequence_faults",)),
    "unbalance_the_ledger": Plant(unbalance_the_ledger, ("ledger_unbalanced",)),
    "pay_without_asking": Plant(pay_without_asking, ("disbursed_twice",)),
    "keep_capacity": Plant(keep_capacity, ("capacity_leaks",)),
    "forget_a_timer": Plant(forget_a_timer, ("dump_differences",)),
}
