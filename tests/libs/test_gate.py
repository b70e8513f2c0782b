"""The gate: under a burst the latency of those inside stays bounded, and the others are told to come again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date

from libs.runtime.gate import HEAD_BYTES_MAX
from tests.harness.bench import Bench
from tests.harness.live import until

DAY = date(2026, 1, 5)
Make = Callable[..., Bench]


async def test_more_requests_than_the_gate_lets_in_are_sent_away_and_may_come_again(toy_bench: Make) -> None:
    async with toy_bench("application", requests_max=8, waiters_max=4) as bench:
        await bench.open(DAY)
        async with bench.parts.transaction() as unit:
            await unit.lock(["f1"])  # everybody inside waits for this key
            posts = [
                asyncio.create_task(
                    bench.post("/referrals", {"facility_id": "f1", "name": str(n)}, role="officer", key=str(n))
                )
                for n in range(20)
            ]

            async def sent_away() -> bool:
                return sum(post.done() for post in posts) == 12

            await until(sent_away, "those beyond the limit have their answer while the others wait")
            for post in posts:
                if post.done():
                    answer = post.result()
                    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
                    assert answer.headers["retry-after"] == "1"
            assert (await bench.http.get("/health/live")).status_code == 200
        answers = await asyncio.gather(*posts)
        assert sorted(answer.status_code for answer in answers) == [201] * 8 + [503] * 12
        refused = [str(n) for n, answer in enumerate(answers) if answer.status_code == 503]
        for name in refused:
            body = {"facility_id": "f1", "name": name}
            assert (await bench.post("/referrals", body, role="officer", key=name)).status_code == 201
        assert sorted((await bench.get("/tallies/f1")).json()["seen"], key=int) == [str(n) for n in range(20)]


async def test_a_request_that_takes_too_long_is_rolled_back_and_its_key_stays_free(toy_bench: Make) -> None:
    async with toy_bench("application", request_seconds_max=0.5) as bench:
        await bench.open(DAY)
        body = {"facility_id": "f1", "name": "a"}
        async with bench.parts.transaction() as unit:
            await unit.lock(["f1"])
            slow = await bench.post("/referrals", body, role="officer", key="k")
            assert (slow.status_code, slow.json()["code"]) == (503, "too_slow")
            assert slow.headers["retry-after"] == "1"
        bench.parts.settings.request_seconds_max = 20
        again = await bench.post("/referrals", body, role="officer", key="k")
        assert again.status_code == 201
        assert "idempotency-replayed" not in again.headers
        assert (await bench.get("/tallies/f1")).json()["seen"] == ["a"]


async def test_a_process_that_ends_lets_nobody_in_and_says_that_it_is_not_ready(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        bench.consumer.ready.set()
        assert (await bench.http.get("/health/ready")).status_code == 200
        bench.parts.draining = True
        for answer in (
            await bench.http.get("/health/ready"),
            await bench.get("/v1/ops/parked"),
            await bench.post("/referrals", {"facility_id": "f1", "name": "a"}, role="officer"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "draining")
            assert answer.headers["retry-after"]
        assert (await bench.http.get("/health/live")).status_code == 200


async def test_a_head_without_measure_is_refused(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        big = await bench.http.get("/tallies/f1", headers={"x": "y" * HEAD_BYTES_MAX})
        assert (big.status_code, big.json()["code"]) == (431, "head_too_large")
