"""What a caller saw, and what is there now: entity tags, conditions, first answers, lists, and what is forgotten."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx

from libs.runtime.janitor import Janitor
from tests.harness.bench import Bench
from tests.harness.toy import referral

DAY, NEXT = date(2026, 1, 5), date(2026, 1, 6)
Make = Callable[..., Bench]
PATH = "/tallies/f1"


def body(name: str = "a", facility_id: str = "f1", branch: str = "b1") -> dict[str, str]:
    return {"facility_id": facility_id, "name": name, "branch": branch}


async def refer(bench: Bench, name: str = "a", **more: Any) -> httpx.Response:
    return await bench.post("/referrals", body(name), role="officer", **more)


async def replace(bench: Bench, name: str, **more: Any) -> httpx.Response:
    return await bench.post("/replacements", body(name), role="officer", **more)


async def tag(bench: Bench) -> str:
    return str((await bench.get(PATH)).headers["etag"])


async def test_a_tag_changes_with_what_it_stands_for_and_with_the_day(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        await refer(bench)
        first = await tag(bench)
        assert first == await tag(bench), "looking changes nothing"
        same = await bench.get(PATH, if_none_match=f'"x", W/{first}')
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first)
        await refer(bench, "b")
        changed = await bench.get(PATH, if_none_match=first)
        assert (changed.status_code, changed.json()["seen"]) == (200, ["a", "b"])
        await bench.open(NEXT)
        assert (await bench.get(PATH, if_none_match=changed.headers["etag"])).status_code == 200


async def test_an_event_that_only_changes_state_changes_the_tag_too(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        await bench.open(DAY)
        await bench.react(referral("f1", "a"), on=DAY)
        first = await tag(bench)
        await bench.react(referral("f1", "b"), on=DAY)
        assert await tag(bench) != first


async def test_a_repeat_and_a_refusal_change_no_tag(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        await refer(bench, key="k")
        first = await tag(bench)
        assert (await refer(bench, key="k")).headers["idempotency-replayed"] == "true"
        assert (await refer(bench, "refused")).status_code == 409
        assert await tag(bench) == first


async def test_a_stale_if_match_is_refused_and_a_repeat_of_a_good_one_is_not(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        await refer(bench)
        seen = await tag(bench)
        first = await refer(bench, "b", key="k", if_match=seen)
        again = await refer(bench, "b", key="k", if_match=seen)
        assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
        stale = await refer(bench, "c", key="k2", if_match=seen)
        assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
        other = await refer(bench, "c", key="k2", if_match=await tag(bench))
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        assert (await refer(bench, "c", if_match=await tag(bench))).status_code == 201
        assert (await refer(bench, "d", if_match="*")).status_code == 201
        assert (await bench.get(PATH)).json()["seen"] == ["a", "b", "c", "d"]
        absent = await bench.post("/referrals", body(facility_id="new"), role="officer", if_match="*")
        assert absent.status_code == 412


async def test_what_overwrites_must_say_what_it_saw_unless_nothing_was_there(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        assert (await replace(bench, "a")).status_code == 200
        blind = await replace(bench, "b")
        assert (blind.status_code, blind.json()["code"]) == (428, "if_match_needed")
        seen = await tag(bench)
        answers = await asyncio.gather(*(replace(bench, str(number), if_match=seen) for number in range(20)))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 19}
        (won,) = (number for number, answer in enumerate(answers) if answer.status_code == 200)
        assert (await bench.get(PATH)).json()["seen"] == [str(won)]


async def test_a_command_tells_what_it_published_and_so_does_its_repeat(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        answers = [await refer(bench, key="k") for _ in range(2)]
        for answer in answers:
            assert answer.headers["silverbear-events"] == f"referral.received.v1/{answer.json()['event']}"
        quiet = await bench.post("/reminders", body("r"), role="officer")
        assert "silverbear-events" not in quiet.headers


async def test_what_does_not_fit_the_contract_leaves_its_key_free_and_a_rejection_uses_it(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        unfit = await bench.post("/referrals", {"name": "a"}, role="officer", key="k")
        forbidden = await bench.post("/referrals", body(), role="clerk", key="k")
        foreign = await bench.post("/referrals", body(branch="b2"), role="officer", key="k")
        assert [answer.status_code for answer in (unfit, forbidden, foreign)] == [422, 403, 403]
        assert (await refer(bench, "refused", key="k")).status_code == 409
        assert (await refer(bench, "a", key="k")).json()["code"] == "idempotency_key_reused"
        assert (await refer(bench, "a", key="k2")).status_code == 201


async def test_a_key_belongs_to_the_branch_it_was_born_in_and_so_do_its_events(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        await bench.post("/referrals", body(branch="b1/west"), role="officer", org="b1")
        await refer(bench, "b", org="b1")
        async with bench.parts.engine.connect() as conn:
            owners = await conn.exec_driver_sql("SELECT DISTINCT headers->>'ce_org' FROM outbox ORDER BY 1")
            assert [org for (org,) in owners] == ["b1", "b1/west"], "a new owner holds from then on"
        assert (await bench.get(PATH, org="b1/west")).status_code == 403
        assert (await bench.get(PATH, org="b1")).status_code == 200


async def test_a_facility_whose_branch_is_not_known_yet_is_the_head_offices_alone(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        await bench.post("/payments", body(branch=""), role="officer")
        await bench.post("/referrals", body(branch=""), role="officer")
        assert [(await bench.get(PATH, org=org)).status_code for org in ("b1", "")] == [404, 200]
        await bench.post("/referrals", body(branch="b1"), role="officer")
        assert (await bench.get(PATH, org="b1")).status_code == 200


async def test_pages_of_parked_keys_neither_repeat_nor_hide_one_while_others_come_and_go(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        await bench.open(DAY)
        for number in range(5):
            await bench.react(referral(f"f{number}", "poison"), on=DAY)
        found, cursor = [], ""
        while True:
            page = (await bench.get(f"/v1/ops/parked?limit=2&cursor={cursor}")).json()
            found += [row["key"] for row in page["items"]]
            if len(found) == 2:
                event = (await bench.get("/v1/ops/parked/f0")).json()["items"][0]["event_id"]
                await bench.post(f"/v1/ops/discarded/{event}", {"reason": "in between"}, role="operator")
                await bench.react(referral("late", "poison"), on=DAY)
            cursor = page["next"]
            if not cursor:
                break
        assert found == ["f0", "f1", "f2", "f3", "f4", "late"]
        for junk in ("x", "MTIz!", "LTE=", "OTk5OTk5OTk5OTk5OTk5OTk5OTk="):
            answer = await bench.get(f"/v1/ops/parked?cursor={junk}")
            assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid"), junk


async def test_old_answers_and_done_calls_are_forgotten_and_nothing_else(toy_bench: Make) -> None:
    async with toy_bench("application", requests_days_kept=30, calls_days_kept=400) as bench:
        await bench.open(DAY)
        for name in ("old", "new"):
            await refer(bench, name, key=name)
            await bench.post("/payments", body(name), role="officer", key=f"pay {name}")
        await bench.answer("pay", 201)
        await bench.post("/payments", body("open"), role="officer")
        async with bench.parts.engine.begin() as conn:
            await conn.exec_driver_sql(
                "UPDATE requests SET created = now() - interval '31 days' WHERE idempotency_key = 'old'"
            )
            await conn.exec_driver_sql("UPDATE calls SET next_at = now() - interval '401 days'")
        assert await Janitor(bench.parts).sweep() == 2
        assert await Janitor(bench.parts).sweep() == 0
        assert "idempotency-replayed" in (await refer(bench, "new", key="new")).headers
        assert "idempotency-replayed" not in (await refer(bench, "old", key="old")).headers
        assert [reference for _, reference, _ in await bench.calls()] == ["new", "open"]
