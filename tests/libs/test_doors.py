"""Every door of a service on real PostgreSQL, without a broker: requests, events, ticks, answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from libs.events.application import ReferralReceived
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from libs.runtime.openapi import REFUSALS, Interface
from libs.runtime.tx import Cause, Tx
from tests.harness.bench import Bench
from tests.harness.toy import MENDED, THING, Part, Thing, referral

DAY = date(2026, 1, 5)
Make = Callable[..., Bench]


async def seen(bench: Bench, facility_id: str) -> list[str]:
    """What took effect on a facility, in order."""
    answer = await bench.get(f"/tallies/{facility_id}")
    return list(answer.json()["seen"]) if answer.status_code == 200 else []


async def test_a_command_answers_once_and_a_repeat_gets_the_same_answer(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        body = {"facility_id": "f1", "name": "a"}
        first = await bench.post("/referrals", body, role="officer", key="k1")
        again = await bench.post("/referrals", body, role="officer", key="k1")
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert await seen(bench, "f1") == ["a"]
        assert await bench.names() == ["referral.received"]


async def test_a_key_used_for_another_request_or_missing_is_an_error(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        await bench.post("/referrals", {"facility_id": "f1", "name": "a"}, role="officer", key="k1")
        other = await bench.post("/referrals", {"facility_id": "f1", "name": "b"}, role="officer", key="k1")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        token = bench.issuer.token("o", "officer")
        none = await bench.http.post(
            "/referrals", json={"facility_id": "f1", "name": "c"}, headers={"authorization": f"Bearer {token}"}
        )
        assert (none.status_code, none.json()["code"]) == (400, "idempotency_key_invalid")
        assert await seen(bench, "f1") == ["a"]


async def test_two_callers_may_use_the_same_key(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        for actor in ("ann", "bob"):
            body = {"facility_id": "f1", "name": actor}
            answer = await bench.post("/referrals", body, role="officer", actor=actor, key="same")
            assert answer.status_code == 201
        assert await seen(bench, "f1") == ["ann", "bob"]


async def test_a_refusal_is_a_problem_that_is_replayed_and_leaves_no_effect(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        body = {"facility_id": "f1", "name": "refused"}
        first = await bench.post("/referrals", body, role="officer", key="k")
        again = await bench.post("/referrals", body, role="officer", key="k")
        for answer in (first, again):
            assert answer.status_code == 409
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "toy_refused"
            assert answer.json()["facility"] == "f1"
        assert again.headers["idempotency-replayed"] == "true"
        assert await bench.published() == []


async def test_no_token_no_role_no_day_and_a_wrong_body_are_problems(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        body = {"facility_id": "f1", "name": "a"}
        closed = await bench.post("/referrals", body, role="officer")
        assert (closed.status_code, closed.json()["code"]) == (409, "day_not_open")
        await bench.open(DAY)
        nobody = await bench.http.post("/referrals", json=body)
        assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthenticated")
        stranger = await bench.post("/referrals", body, role="clerk")
        assert (stranger.status_code, stranger.json()["code"]) == (403, "role_needed")
        wrong = await bench.post("/referrals", {"facility_id": 7}, role="officer")
        assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_request")
        missing = await bench.get("/tallies/none")
        assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
        nowhere = await bench.get("/nowhere")
        assert (nowhere.status_code, nowhere.json()["code"]) == (404, "no_such_route")


async def test_text_that_postgresql_cannot_hold_is_the_callers_error(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        stored = await bench.post("/referrals", {"facility_id": "f\x00", "name": "a"}, role="officer")
        assert (stored.status_code, stored.json()["code"]) == (422, "unstorable_text")
        headers = {"authorization": f"Bearer {bench.issuer.token('o', 'officer')}", "idempotency-key": "half"}
        headers["content-type"] = "application/json"
        for field, path in (("facility_id", "/referrals"), ("name", "/referrals"), ("name", "/payments")):
            text = json.dumps({"facility_id": "f1", "name": "a", field: "half \ud83d"})
            half = await bench.http.post(path, content=text, headers=headers)
            assert (half.status_code, half.json()["code"]) == (422, "unstorable_text")
        text = json.dumps({"facility_id": "f1", "name": "whole \U0001f43b"})
        whole = await bench.http.post("/referrals", content=text, headers=headers)
        assert whole.status_code == 201
        asked = await bench.get("/tallies/%00")
        assert (asked.status_code, asked.json()["code"]) == (422, "unstorable_text")


async def test_fifty_repeats_at_once_have_one_effect(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        body = {"facility_id": "f1", "name": "a"}
        answers = await asyncio.gather(*(bench.post("/referrals", body, role="officer", key="same") for _ in range(50)))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.text for answer in answers}) == 1
        assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
        assert await seen(bench, "f1") == ["a"]
        assert len(await bench.published()) == 1


async def test_fifty_refusals_at_once_are_all_the_same_refusal(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        body = {"facility_id": "f1", "name": "refused"}
        answers = await asyncio.gather(*(bench.post("/referrals", body, role="officer", key="same") for _ in range(50)))
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(409, "toy_refused")}


async def test_commands_on_one_facility_are_serial_and_its_sequence_is_gapless(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        answers = await asyncio.gather(
            *(bench.post("/referrals", {"facility_id": "f1", "name": str(n)}, role="officer") for n in range(40))
        )
        assert {answer.status_code for answer in answers} == {201}
        order = await seen(bench, "f1")
        assert sorted(order, key=int) == [str(n) for n in range(40)]
        assert [body.external_ref for body in await bench.published()] == order
        async with bench.parts.engine.connect() as conn:
            rows = await conn.exec_driver_sql("SELECT headers->>'ce_sequence' FROM outbox ORDER BY id")
            assert [int(seq) for (seq,) in rows] == list(range(1, 41))


async def test_the_answer_is_sent_after_the_commit(toy_bench: Make) -> None:
    """A commit that fails must not answer 201: a deferred constraint fails exactly there."""
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        async with bench.parts.engine.begin() as conn:
            await conn.exec_driver_sql(
                "CREATE FUNCTION no_commit() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'not at commit'; END $$"
            )
            await conn.exec_driver_sql(
                "CREATE CONSTRAINT TRIGGER no_commit AFTER INSERT ON tally DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW EXECUTE FUNCTION no_commit()"
            )
        answer = await bench.post("/referrals", {"facility_id": "f1", "name": "a"}, role="officer")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert "commit" not in answer.text
        assert await bench.published() == []


async def test_a_full_outbox_answers_503_and_leaves_the_key_free(toy_bench: Make) -> None:
    async with toy_bench("application", outbox_rows_max=100) as bench:
        await bench.open(DAY)
        body = {"facility_id": "f1", "name": "a"}
        async with bench.parts.engine.begin() as conn:
            await conn.exec_driver_sql(
                "INSERT INTO outbox (key, topic, event_id, headers, payload)"
                " SELECT 'x', 'application', n::text, '{}', '' FROM generate_series(1, 100) n"
            )
        full = await bench.post("/referrals", body, role="officer", key="k")
        assert (full.status_code, full.json()["code"], full.headers["retry-after"]) == (503, "outbox_full", "5")
        async with bench.parts.engine.begin() as conn:
            await conn.exec_driver_sql("DELETE FROM outbox WHERE event_id NOT IN ('1', '100')")
        free = await bench.post("/referrals", body, role="officer", key="k")
        assert free.status_code == 201  # two rows left, however far their ids are apart


async def test_an_event_too_large_for_the_broker_is_refused_at_the_door(toy_bench: Make) -> None:
    async with toy_bench("application", body_bytes_max=2_000_000) as bench:
        await bench.open(DAY)
        body = {"facility_id": "f1", "name": "银" * 400_000}  # 400 000 characters, 1.2 MB
        answer = await bench.post("/referrals", body, role="officer")
        assert (answer.status_code, answer.json()["code"]) == (422, "event_too_large")
        assert await bench.published() == []


async def test_a_batch_of_events_takes_effect_in_order(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        await bench.open(DAY)
        names = [str(n) for n in range(30)]
        await bench.react(*(referral(f"f{n}", name) for name in names for n in range(3)), on=DAY)
        dump = await bench.dump()
        assert [json.loads(line)["seen"] for line in dump["tally"]] == [names] * 3
        assert [body.size_class for body in await bench.published() if body.facility_id == "f1"] == names
        assert await bench.parked() == []


async def test_a_timer_fires_once_on_the_day_it_is_due(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        await bench.post("/reminders", {"facility_id": "f1", "name": "r"}, role="officer")
        await bench.tick(date(2026, 1, 31))
        assert await seen(bench, "f1") == []
        for _ in range(2):
            await bench.tick(date(2026, 2, 1))
        assert await seen(bench, "f1") == ["reminded r on 2026-02-01"]


async def test_timers_that_fall_due_on_skipped_days_fire_in_the_order_of_their_days(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        async with bench.parts.transaction() as unit:
            tx = Tx(unit, Cause(actor="t"), DAY)
            for ref, day in (("a", 12), ("b", 11), ("c", 10)):
                tx.timer("remind", ref=ref, key="f1", due=date(2026, 1, day))
            await unit.flush()
        await bench.tick(date(2026, 1, 12))
        assert await seen(bench, "f1") == [f"reminded {ref} on 2026-01-12" for ref in "cba"]


async def test_a_timer_that_fails_parks_and_the_others_fire(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        for facility, name in (("f1", "poison"), ("f1", "z"), ("f2", "b")):
            await bench.post("/reminders", {"facility_id": facility, "name": name}, role="officer")
        await bench.tick(date(2026, 2, 1))
        assert await seen(bench, "f2") == ["reminded b on 2026-02-01"]
        assert await seen(bench, "f1") == []
        assert await bench.parked() == ["toy_timer_refused: ", "behind a parked event"]
        MENDED.set()
        answer = await bench.post("/v1/ops/parked/f1/redrive", None, role="operator")
        assert answer.json() == {"applied": 2}
        assert await seen(bench, "f1") == ["reminded poison on 2026-02-01", "reminded z on 2026-02-01"]


async def test_the_answer_to_a_call_is_a_command(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        await bench.post("/payments", {"facility_id": "f1", "name": "p1"}, role="officer")
        await bench.post("/payments", {"facility_id": "f1", "name": "p1"}, role="officer")
        assert await bench.calls() == [("pay", "p1", {"facility": "f1"})]
        await bench.answer("pay", 201)
        assert await bench.calls() == []
        assert await seen(bench, "f1") == ["paid p1"]
        assert await bench.names() == ["referral.received"]


async def test_an_answer_the_rules_reject_is_kept_for_people(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        await bench.post("/payments", {"facility_id": "f1", "name": "p1"}, role="officer")
        await bench.answer("pay", 404)
        status = (await bench.get("/v1/ops/status")).json()
        assert status["calls"] == {"pending": 0, "unknown": 0, "failed": 1}
        assert await seen(bench, "f1") == []


async def test_an_answer_that_another_worker_took_meanwhile_stays_taken(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        await bench.post("/payments", {"facility_id": "f1", "name": "p1"}, role="officer")
        pay = bench.parts.partners["pay"]

        async def too_late(_tx: Tx, _reference: str, _request: dict[str, object], _answer: object) -> None:
            async with bench.parts.engine.begin() as conn:  # the other worker, as soon as the key is free
                await conn.exec_driver_sql("UPDATE calls SET status = 'done'")
            raise Refused("toy_refused")

        bench.parts.partners = {"pay": replace(pay, answered=too_late)}
        await bench.answer("pay", 201)
        async with bench.parts.engine.connect() as conn:
            assert (await conn.exec_driver_sql("SELECT status FROM calls")).scalar() == "done"


async def test_every_kind_of_field_survives_the_shelf(toy_bench: Make) -> None:
    part = Part("p", Decimal("0.333333333333"), Money(Decimal("0.01"), "CNY"))
    things = [
        Thing(id="1", facility_id="f1"),
        Thing(
            id="2",
            facility_id="f1",
            limit=Money(Decimal("-99999999999.99"), "CNY"),
            factor=Decimal("1.230000000000000000001"),
            shade=THING.row(id="x", facility_id="y").colour,
            died=date(2030, 12, 31),
            count=2**62,
            good=False,
            parts=(part, part),
            notes={"名": "值 \" ' \\ \n"},
        ),
    ]
    async with toy_bench("application") as bench:
        for changed in (False, True):
            async with bench.parts.transaction() as unit:
                tx = Tx(unit, Cause(actor="t"), DAY)
                for thing in things:
                    tx.put(THING, thing)
                await unit.flush()
            async with bench.parts.transaction() as unit:
                tx = Tx(unit, Cause(actor="t"), DAY)
                assert list(await tx.of(THING, "f1")) == things
                assert await tx.get(THING, "2") == things[1]
                assert await tx.find(THING, "3") is None
            things = [things[1], things[0]] if changed else things
        again = await bench.dump()
        assert len(again["thing"]) == 2


async def test_a_reaction_makes_the_same_ids_again(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench, bench.parts.transaction() as unit:
        cause = Cause(actor="t", id="11111111-1111-7111-8111-111111111111")
        ids = [[Tx(unit, cause, DAY).new_id("a")] for _ in range(2)]
        assert ids[0] == ids[1]
        tx = Tx(unit, cause, DAY)
        assert len({tx.new_id("a"), tx.new_id("a"), tx.new_id("b")}) == 3
        free = Tx(unit, Cause(actor="t"), DAY)
        assert len({free.new_id("a") for _ in range(1000)}) == 1000


async def test_a_service_publishes_its_own_events_only_on_keys_it_locked(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench, bench.parts.transaction() as unit:
        tx = Tx(unit, Cause(actor="t"), DAY)
        with pytest.raises(RuntimeError, match="may not publish"):
            tx.publish(ReferralReceived(facility_id="f", external_ref="", borrower_id="", channel="", branch=""))


async def test_the_status_shows_what_is_in_flight(toy_bench: Make) -> None:
    async with toy_bench("rating") as bench:
        await bench.open(DAY)
        await bench.react(referral("f1", "a"), referral("f1", "poison"), on=DAY)
        status = (await bench.get("/v1/ops/status")).json()
        assert (status["service"], status["open_date"], status["paused"]) == ("rating", "2026-01-05", "")
        assert status["outbox"]["depth"] == 1
        assert status["parked"] == {"parked": 1, "waiting": 0}
        assert status["positions"] == {"application": {"0": 2}}
        assert status["reads"] == ["application"]


def test_a_router_is_opened_by_its_own_routes() -> None:
    """In a router inside another FastAPI would look for each route twice."""
    inner, outer = APIRouter(), APIRouter()

    @inner.get("/v1/things")
    async def things() -> str:
        return ""

    outer.include_router(inner)
    with pytest.raises(TypeError, match="hand over each router by itself"):
        Interface().open(outer)
    interface = Interface()
    interface.open(inner)
    assert [route.path for route in interface.routes if isinstance(route, APIRoute)] == ["/v1/things"]
    assert set(interface.openapi()["paths"]["/v1/things"]["get"]["responses"]) == {"200", *map(str, REFUSALS)}
