"""The operators' door on real PostgreSQL: parked events are looked at, sent again or discarded, each order once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import date

from tests.harness.bench import Bench
from tests.harness.toy import MENDED, referral

DAY = date(2026, 1, 5)
Make = Callable[..., Bench]


async def test_poison_parks_its_key_only_and_redrive_applies_the_rest_in_order(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        await bench.open(DAY)
        batch = [referral("f1", "a"), referral("f1", "poison"), referral("f2", "x"), referral("f1", "b")]
        await bench.react(*batch, on=DAY)
        await bench.react(referral("f1", "c"), referral("f2", "y"), on=DAY)
        dump = await bench.dump()
        assert [json.loads(line)["seen"] for line in dump["tally"]] == [["a"], ["x", "y"]]
        assert await bench.parked() == ["toy_poison: poison", "behind a parked event", "behind a parked event"]
        listed = (await bench.get("/v1/ops/parked")).json()["items"]
        assert [(row["key"], row["waiting"], row["status"]) for row in listed] == [("f1", 2, "parked")]
        assert len((await bench.get("/v1/ops/parked/f1")).json()["items"]) == 3
        failing = await bench.post("/v1/ops/parked/f1/redrive", None, role="operator")
        assert (failing.status_code, failing.json()["code"]) == (409, "toy_poison")
        MENDED.set()
        done = await bench.post("/v1/ops/parked/f1/redrive", None, role="operator")
        assert done.json() == {"applied": 3}
        dump = await bench.dump()
        assert json.loads(dump["tally"][0])["seen"] == ["a", "poison", "b", "c"]
        await bench.react(referral("f1", "d"), on=DAY)
        assert await bench.parked() == []


async def test_a_discarded_event_is_gone_and_what_waited_goes_on(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        await bench.open(DAY)
        await bench.react(referral("f1", "poison"), referral("f1", "b"), on=DAY)
        rows = (await bench.get("/v1/ops/parked/f1")).json()["items"]
        path = f"/v1/ops/discarded/{rows[0]['event_id']}"
        assert (await bench.post(path, {"reason": "x"}, role="operator")).status_code == 422
        assert (await bench.post(path, {"reason": "test data"}, role="clerk")).status_code == 403
        assert (await bench.post(path, {"reason": "test data"}, role="operator")).status_code == 200
        again = await bench.post(path, {"reason": "test data"}, role="operator")
        assert (again.status_code, again.json()["code"]) == (404, "not_parked")
        done = await bench.post("/v1/ops/parked/f1/redrive", None, role="operator")
        assert done.json() == {"applied": 1}
        dump = await bench.dump()
        assert json.loads(dump["tally"][0])["seen"] == ["b"]


async def test_an_operators_order_is_answered_once_per_key_however_many_repeat_it(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        await bench.open(DAY)
        await bench.react(referral("f1", "poison"), referral("f1", "b"), on=DAY)
        path = "/v1/ops/parked/f1/redrive"
        failing = await bench.post(path, None, role="operator", key="one")
        assert (failing.status_code, failing.json()["code"]) == (409, "toy_poison")
        MENDED.set()
        again = await bench.post(path, None, role="operator", key="one")
        assert (again.text, again.headers["idempotency-replayed"]) == (failing.text, "true")
        answers = await asyncio.gather(*(bench.post(path, None, role="operator", key="two") for _ in range(10)))
        assert {answer.text for answer in answers} == {'{"applied":2}'}
        assert sum("idempotency-replayed" in answer.headers for answer in answers) == 9
        assert json.loads((await bench.dump())["tally"][0])["seen"] == ["poison", "b"]
        other = await bench.post("/v1/ops/parked/f2/redrive", None, role="operator", key="two")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        bare = await bench.http.post(path, headers=bench.bearer("someone", "operator"))
        assert (bare.status_code, bare.json()["code"]) == (400, "idempotency_key_invalid")
