"""A caller sees its own write through another service, and those who wait cost nothing and are not too many."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import date

from tests.harness.bench import Bench
from tests.harness.live import Node
from tests.harness.toy import referral

DAY = date(2026, 1, 5)
Make = Callable[..., Bench]
PATH = "/tallies/f1"


def never() -> str:
    """An event that will not come."""
    return f"referral.received.v1/{uuid.uuid4()}"


async def test_a_caller_sees_its_own_write_through_another_service_on_kafka(
    toy_bench: Make, live: Callable[..., Node]
) -> None:
    async with (
        toy_bench("application") as writing,
        toy_bench("rating") as reading,  # another process than the one that consumes
        live("application") as sender,
        live("rating") as reader,
    ):
        await writing.open(DAY)
        await reader.stand_at(DAY)
        sender.relay()
        await reader.consume()
        for count in range(1, 11):
            body = {"facility_id": "f1", "name": str(count), "branch": "b1"}
            answer = await writing.post("/referrals", body, role="officer")
            told = answer.headers["silverbear-events"]
            seen = await reading.get(f"{PATH}?after_event={told}", org="b1")
            assert (seen.status_code, len(seen.json()["seen"])) == (200, count), seen.text


async def test_own_events_and_those_that_nobody_acts_on_here_are_not_waited_for(toy_bench: Make) -> None:
    async with toy_bench("rating", wait_seconds_max=60) as bench:
        await bench.open(DAY)
        await bench.react(referral("f1", "a"), on=DAY)
        for kind in ("information.verified.v1", "loan.closed.v1"):
            answer = await bench.get(f"{PATH}?after_event={kind}/{uuid.uuid4()},{kind}/{uuid.uuid4()}")
            assert answer.status_code == 200
        for junk in ("x", "x/y", "referral.received.v1", "referral.received.v1/", "%00/1"):
            answer = await bench.get(f"{PATH}?after_event={junk}")
            assert (answer.status_code, answer.json()["code"]) == (422, "event_unknown"), junk


async def test_an_event_that_does_not_come_is_a_problem_and_one_that_comes_ends_the_wait(toy_bench: Make) -> None:
    async with toy_bench("rating", wait_seconds_max=0.2) as bench:
        await bench.open(DAY)
        late = await bench.get(f"{PATH}?after_event={never()}")
        assert (late.status_code, late.json()["code"], late.headers["retry-after"]) == (503, "event_not_applied", "1")
    async with toy_bench("rating", wait_seconds_max=30) as bench:
        arrival = bench.arrival(referral("f1", "a"), "f1", DAY)
        waiting = asyncio.create_task(bench.get(f"{PATH}?after_event=referral.received.v1/{arrival.event_id}"))
        while not bench.parts.waiting.count:
            await asyncio.sleep(0.01)
        await bench.deliver(arrival)
        answer = await waiting
        assert (answer.status_code, answer.json()["seen"]) == (200, ["a"])
        assert bench.parts.waiting.count == 0


async def test_those_who_wait_hold_no_connection_and_are_only_so_many(toy_bench: Make) -> None:
    async with toy_bench("rating", wait_seconds_max=1.5, waiters_max=40, pool_size=4) as bench:
        await bench.open(DAY)
        await bench.react(referral("f1", "a"), on=DAY)
        waiting = [asyncio.create_task(bench.get(f"{PATH}?after_event={never()}")) for _ in range(50)]
        while bench.parts.waiting.count < 40:
            await asyncio.sleep(0.01)
        assert (await bench.get(PATH)).status_code == 200, "the pool of four is free"
        codes = Counter(answer.json()["code"] for answer in await asyncio.gather(*waiting))
        assert codes == {"event_not_applied": 40, "too_many_waiting": 10}
