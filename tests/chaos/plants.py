"""Planted bugs, one for each count of the auditor: put into a replica's process by the test, never into the code.

`make chaos PLANT=name` runs a few lives on replicas that have the bug; the auditor has to find it.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

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


def swap(owner: Any, name: str, planted: Any) -> Any:
    """Put `planted` in the place of `owner.name` and return what was there; what no longer fits fails loudly."""
    sound = getattr(owner, name)
    taken, takes = (len(inspect.signature(each).parameters) for each in (sound, planted))
    if taken != takes and not _takes_anything(planted):
        raise TypeError(f"{name} takes {taken} arguments, what is planted {takes}")
    setattr(owner, name, planted)
    return sound


def _takes_anything(function: Any) -> bool:
    kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
    return inspect.Parameter.VAR_POSITIONAL in kinds


def answer_without_effect() -> None:
    """A command is answered with success and then rolled back."""
    from libs.runtime import http  # noqa: PLC0415 - the replica's own copy, patched before the service is loaded

    now = _Now(12)

    class Undone(Exception):
        """Rolls back."""

    async def forgetful(self: Any, command: Any, locks: Any, status: int, fingerprint: str) -> Any:
        if "/investigations" not in self.request.url.path or not now():
            return await first(self, command, locks, status, fingerprint)
        done: list[Any] = []

        async def undone(tx: Any) -> Any:
            done.append(await command(tx))
            raise Undone

        try:
            return await first(self, undone, locks, status, fingerprint)
        except Undone:
            return http.Response(to_json(done[0]), status_code=status, headers={"content-type": "application/json"})

    first = swap(http.CommandDoor, "_first", forgetful)


def publish_before_commit() -> None:
    """Events go to the broker before their transaction commits, and now and then it does not."""
    from aiokafka import AIOKafkaProducer  # noqa: PLC0415 - the replica only

    from libs.runtime import answers, tx  # noqa: PLC0415 - see above

    now, producers = _Now(10), []

    async def early(self: Any, beside: tuple[str, ...] = (), values: tuple[Any, ...] = ()) -> None:
        events = list(self._events)
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
        if events and {answers.STORE, answers.STORE_WITHIN} & set(beside) and now():
            raise ConnectionResetError("planted: the commit fails after the events went out")
        await flush(self, beside, values)

    flush = swap(tx.Unit, "flush", early)


def commit_positions_early() -> None:
    """The position moves before the effects are committed, and now and then they never are."""
    from libs.runtime import consumer  # noqa: PLC0415 - see above

    now = _Now(30)

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

    once = swap(consumer.Consumer, "_once", early)


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

    swap(consumer, "pass_by", never)
    swap(inbound.Intake, "take", take)
    _send_twice()


def _send_twice() -> None:
    from libs.runtime import sender  # noqa: PLC0415 - see above

    async def twice(self: Any, rows: Any) -> Any:
        await send(self, rows)
        return await send(self, rows)

    send = swap(sender.Sender, "deliver", twice)


def apply_backwards() -> None:
    """A batch is applied from its end, whatever the sequences say."""
    from libs.runtime import consumer, inbound  # noqa: PLC0415 - see above

    async def backwards(self: Any, arrivals: Any) -> None:
        await apply(self, list(reversed(arrivals)))

    async def take(self: Any, arrival: Any, culprits: Any) -> None:
        self.marks.reach(arrival)
        if arrival.meta and arrival.event_id not in culprits and arrival.event_id not in self._seen:
            await self.apply(arrival, arrival.meta)

    apply = swap(consumer.Consumer, "apply", backwards)
    swap(inbound.Intake, "take", take)


def skip_a_sequence() -> None:
    """Now and then a number of a key's sequence is given to nobody."""
    from libs.runtime import tx  # noqa: PLC0415 - see above

    now = _Now(60)

    def skipping(self: Any, key: str, topic: str, event_id: str, headers: Any, payload: str) -> None:
        if now():
            self._seq[key] += 1
        add(self, key, topic, event_id, headers, payload)

    add = swap(tx.Unit, "add_event", skipping)


def pay_without_asking() -> None:
    """A payment whose answer was lost is sent again without asking what became of it."""
    from libs.runtime import calls  # noqa: PLC0415 - see above

    async def hasty(self: Any, outbound: Any, line: Any, row: Any, request: Any) -> Any:
        answer = await ask(self, outbound, line, {**row, "before": "pending"}, request)
        if row["before"] == "pending":
            raise ConnectionResetError("planted: the answer is lost")
        return answer

    ask = swap(calls.Caller, "_ask", hasty)


def keep_capacity() -> None:
    """A cover that ends gives nothing back to its agreement."""
    from services.guarantee import store  # noqa: PLC0415 - see above

    async def never_back(tx: Any, lines: Any, before: Any, after: Any) -> None:
        if after.held >= before.held:
            await move(tx, lines, before, after)

    move = swap(store, "move", never_back)


def unbalance_the_ledger() -> None:
    """Now and then a leg of a posting is a cent short."""
    from dataclasses import replace  # noqa: PLC0415 - used here only

    from libs.kernel.money import CENT, Money  # noqa: PLC0415 - see above
    from services.incentive.domain import ledger  # noqa: PLC0415 - see above

    now = _Now()

    def short(*values: Any, **named: Any) -> Any:
        first, *rest = post(*values, **named)
        cent = Money(CENT, first.currency)
        return (replace(first, amount=first.amount - cent), *rest) if now() else (first, *rest)

    post = swap(ledger, "post", short)


def forget_a_timer() -> None:
    """Now and then a timer is not set."""
    from libs.runtime import tx  # noqa: PLC0415 - see above

    now = _Now(10)

    def forgetful(self: Any, timer: Any) -> None:
        if timer["kind"] != "pay.vest" or not now():
            add(self, timer)

    add = swap(tx.Unit, "add_timer", forgetful)


def invent_an_effect() -> None:
    """Now and then an event is told once more under another id, for a cause that never was."""
    from libs.runtime import ids, tx  # noqa: PLC0415 - see above

    now = _Now()

    def inventive(self: Any, key: str, topic: str, event_id: str, headers: Any, payload: str) -> None:
        add(self, key, topic, event_id, headers, payload)
        if headers["ce_type"] in ("provision.changed.v1", "investigation.opened.v1") and now():
            other = ids.uuid7()
            again = {**headers, "ce_id": other, "ce_causationid": ids.uuid7()}
            add(self, key, topic, other, again, json.dumps(json.loads(payload)))

    add = swap(tx.Unit, "add_event", inventive)


def park_for_nothing() -> None:
    """Now and then the console parks an event that it could have applied."""
    from libs.runtime import inbound  # noqa: PLC0415 - see above

    now = _Now(200)

    async def take(self: Any, arrival: Any, culprits: Any) -> None:
        if self.parts.name == "console" and arrival.meta and now():
            culprits = {**culprits, arrival.meta.id: "planted"}
        await sound(self, arrival, culprits)

    sound = swap(inbound.Intake, "take", take)


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
    "park_for_nothing": Plant(park_for_nothing, ("left_over",)),
}
