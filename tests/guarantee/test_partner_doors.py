"""Partners at our own door: what each may do, that nothing of another's is seen or moved, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from typing import Any

import pytest

from libs.events.catalogue import kinds
from libs.events.guarantee import DeadlineMissed
from services.guarantee.domain.telling import TOLD, WITHHELD
from services.guarantee.main import service
from tests.guarantee.partner_client import (
    CALLING,
    OTHER_PARTY,
    OWN_PARTY,
    Partner,
    admit_two,
    claimed,
    money,
)
from tests.guarantee.stories import AGREED, CLAIM_DAY, DAY, Story, admit, agree
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
NAMED = {**CALLING, "code": "named", "share_source": "answer", "shares": []}
BATCH = {**CALLING, "code": "batch", "binding": {"timing": "filed_after_disbursement", "file_days": 10}}
ONE, TWO, FOREIGN = Story(name="one"), Story(name="two"), Story(name="foreign", agreement="rural")


@pytest.fixture
async def b(bench: Benches) -> AsyncIterator[Bench]:
    async with bench(service) as opened:
        await admit_two(opened)
        yield opened


async def test_a_partner_that_calls_us_is_never_called_and_answers_what_it_finds_open(b: Bench) -> None:
    own = Partner(b, OWN_PARTY)
    await b.react(ONE.submitted(), ONE.rated(), on=DAY)
    await b.open(DAY + timedelta(days=1))
    await b.react(TWO.submitted(), TWO.rated(), FOREIGN.submitted(), FOREIGN.rated(), on=DAY + timedelta(days=1))
    assert await b.calls() == []
    first = (await own.get("/cover-requests?limit=1")).json()
    (asked,) = first["items"]
    assert (asked["facility_id"], asked["asked_on"], asked["amount"]) == (
        ONE.facility_id,
        "2025-09-01",
        money("100000.00"),
    )
    rest = (await own.get(f"/cover-requests?cursor={first['next']}")).json()
    assert [row["facility_id"] for row in rest["items"]] == [TWO.facility_id], "nothing of another partner"
    later = (await own.get("/cover-requests?since=2025-09-02")).json()
    assert [row["facility_id"] for row in later["items"]] == [TWO.facility_id]
    assert (await own.get("/cover-requests?cursor=bm8=")).json()["code"] == "cursor_invalid"
    yes = await own.answer(ONE, accepted=True, conditions=["owner_guarantee"])
    assert (yes.json()["state"], yes.json()["conditions"]) == ("bound", ["owner_guarantee"])
    no = await own.answer(TWO, accepted=False, reason="sector_closed")
    assert (no.json()["state"], no.json()["reason"]) == ("refused", "sector_closed")
    assert await own.requests() == []
    assert (await own.answer(ONE, accepted=True)).json()["code"] == "cover_already_answered"
    assert (await b.names())[-3:] == ["cover.bound", "cover.refused", "capacity.released"]


async def test_an_answer_must_be_about_the_request_in_its_currency_and_with_a_reason_for_a_no(b: Bench) -> None:
    own = Partner(b, OWN_PARTY)
    await agree(b, NAMED)
    story = Story(agreement="named")
    await b.react(story.submitted(), story.rated(), on=DAY)
    for body, status, code in (
        ({"accepted": False}, 422, "invalid_request"),
        ({"accepted": True, "reason": "yes"}, 422, "invalid_request"),
        ({"accepted": True, "guaranteed": money("50000.00", "USD")}, 422, "currency_mismatch"),
        ({"accepted": True, "cover_id": "another"}, 404, "no_cover"),
    ):
        answer = await own.answer(story, **body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), body
    bound = (await own.answer(story, accepted=True, guaranteed=money("50000.00"))).json()
    assert (bound["state"], bound["guaranteed"]) == ("bound", money("50000.00"))


async def test_where_we_call_the_partner_no_answer_is_taken_at_our_door(b: Bench) -> None:
    await agree(b, {**AGREED, "code": "called"})
    story = Story(agreement="called")
    await b.react(story.submitted(), story.rated(), on=DAY)
    answer = await Partner(b, OWN_PARTY).answer(story, accepted=True)
    assert (answer.status_code, answer.json()["code"]) == (409, "partner_is_called")
    assert [kind for kind, _, _ in await b.calls()] == ["partner.cover"]


async def test_a_batch_is_decided_row_by_row_and_a_refused_row_leaves_nothing(b: Bench) -> None:
    await agree(b, BATCH)
    stories = [Story(name=name, agreement="batch") for name in ("a", "b", "c", "d")]
    for story in stories:
        await b.react(story.submitted(), story.rated(), story.disbursed(), on=DAY)
    for story in stories[:3]:
        path = f"/v1/facilities/{story.facility_id}/filings"
        assert (await b.post(path, {"loan_id": story.loan_id}, role="customer_manager")).status_code == 200
    await b.react(FOREIGN.submitted(), FOREIGN.rated(), on=DAY)
    await b.react(stories[2].overdue("100000"), on=DAY)
    version = (await Partner(b, OTHER_PARTY).get(f"/facilities/{FOREIGN.facility_id}")).headers["etag"]
    told = len(await b.names())
    rows = [
        {"facility_id": stories[0].facility_id, "loan_id": stories[0].loan_id, "accepted": True},
        {"facility_id": stories[1].facility_id, "loan_id": stories[1].loan_id, "accepted": False, "reason": "rollover"},
        {"facility_id": stories[2].facility_id, "loan_id": stories[2].loan_id, "accepted": False, "reason": "late"},
        {"facility_id": stories[3].facility_id, "loan_id": stories[3].loan_id, "accepted": True},
        {"facility_id": stories[0].facility_id, "loan_id": stories[0].loan_id, "accepted": True},
        {"facility_id": FOREIGN.facility_id, "loan_id": FOREIGN.loan_id, "accepted": True},
        {"facility_id": "absent", "loan_id": "absent", "accepted": True},
    ]
    result = (await Partner(b, OWN_PARTY).post("/batch-confirmations", {"rows": rows})).json()
    assert (result["done"], result["failed"]) == (2, 5)
    assert [(row["status"], row["code"]) for row in result["rows"]] == [
        (200, ""),
        (200, ""),
        (409, "removal_too_late"),
        (409, "drawdown_not_filed"),
        (409, "drawdown_decided"),
        (404, "no_cover"),
        (404, "no_cover"),
    ]
    assert (await b.names())[told:] == ["cover.confirmed", "cover.removed"]
    unmoved = (await Partner(b, OTHER_PARTY).get(f"/facilities/{FOREIGN.facility_id}")).headers["etag"]
    assert unmoved == version, "a row about another's facility does not even lock it"
    demand = {
        "loan_id": stories[1].loan_id,
        "partner": OWN_PARTY,
        "principal": money("100000"),
        "interest": money("0"),
        "claimed": money("80000"),
    }
    refused = await b.post(f"/v1/facilities/{stories[1].facility_id}/claims", demand, role="customer_manager")
    assert refused.json()["refused"] == "drawdown_not_filed", "nor is one on the list that was struck off"


async def test_a_bulk_request_has_a_size_that_a_setting_says(bench: Benches) -> None:
    async with bench(service, bulk_rows_max=2) as b:
        await admit(b)
        exposure = {"as_of": "2025-08-31", "obligor": "o1", "outside": money("1.00")}
        rows = [exposure, {**exposure, "obligor": "o2", "as_of": "2025-09-02"}]
        done = await Partner(b, OWN_PARTY).post(f"/partners/{OWN_PARTY}/exposure-lists", {"rows": rows})
        assert [(row["status"], row["code"]) for row in done.json()["rows"]] == [
            (200, ""),
            (422, "report_from_the_future"),
        ]
        many = await Partner(b, OWN_PARTY).post(f"/partners/{OWN_PARTY}/exposure-lists", {"rows": [*rows, exposure]})
        assert (many.status_code, many.json()["code"], many.json()["most"]) == (422, "too_many_rows", 2)


async def test_a_partner_signs_for_itself_and_only_the_terms_it_saw(b: Bench) -> None:
    draft = {**CALLING, "code": "draft", "effective": "2025-09-01"}
    digest = (await b.post("/v1/agreements", draft, role="admin")).json()["digest"]
    own, path = Partner(b, OWN_PARTY), "/agreements/draft/signatures"
    body = {"party": OWN_PARTY, "effective": "2025-09-01", "digest": digest}
    assert (await own.post(path, {**body, "party": "bank"})).json()["code"] == "not_a_party"
    assert (await own.post(path, {**body, "digest": "00"})).json()["code"] == "other_terms_signed"
    foreign = await Partner(b, OTHER_PARTY).post(path, {**body, "party": OTHER_PARTY})
    absent = await Partner(b, OTHER_PARTY).post(path.replace("draft", "absent"), {**body, "party": OTHER_PARTY})
    assert foreign.text.replace("draft", "absent") == absent.text
    signed = (await own.post(path, body)).json()["signatures"]
    assert [(s["party"], s["by"]) for s in signed] == [(OWN_PARTY, "client")]


async def test_a_claim_is_accepted_paid_to_the_cent_and_recovered_on_by_the_partner(b: Bench) -> None:
    own = Partner(b, OWN_PARTY)
    await claimed(b, ONE)
    recovery = {"loan_id": ONE.loan_id, "amount": money("1000.00"), "receipt": "A-1"}
    recoveries = f"/facilities/{ONE.facility_id}/recoveries"
    assert (await own.post(recoveries, recovery)).json()["code"] == "claim_not_paid"
    assert (await own.on_claim(ONE, "payments", amount=money("80000.00"), receipt="R")).json()["code"] == "claim_filed"
    accepted = (await own.on_claim(ONE, "decision", accepted=True)).json()
    assert (accepted["state"], accepted["pay_by"]) == ("accepted", "2026-04-03")
    short = await own.on_claim(ONE, "payments", amount=money("79999.99"), receipt="R")
    assert (short.status_code, short.json()["code"], short.json()["owed"]) == (409, "payment_differs", "80000.00 CNY")
    foreign = await own.on_claim(ONE, "payments", amount=money("80000.00", "USD"), receipt="R")
    assert foreign.json()["code"] == "payment_differs"
    paid = (await own.on_claim(ONE, "payments", amount=money("80000.00"), receipt="R-1")).json()
    assert (paid["state"], paid["receipt"]) == ("paid", "R-1")
    assert (await own.on_claim(ONE, "payments", amount=money("80000.00"), receipt="R")).json()["code"] == "claim_paid"
    assert (await own.post(recoveries, recovery)).json()["shared"] == money("1000.00")
    assert (await own.post(recoveries, recovery)).json()["code"] == "receipt_counted"
    beyond = (await own.post(recoveries, {**recovery, "amount": money("99000.01"), "receipt": "A-2"})).json()
    assert (beyond["code"], beyond["left"]) == ("recovery_over_loss", "99000.00 CNY")
    rest = await own.post(recoveries, {**recovery, "amount": money("99000.00"), "receipt": "A-2"})
    assert rest.json()["shared"] == money("100000.00")
    assert (await b.names())[-4:] == ["claim.accepted", "claim.paid", "recovery.shared", "recovery.shared"]
    assert await b.calls() == []


async def test_a_partner_that_calls_us_and_does_not_pay_is_counted_as_late_and_then_as_denying(b: Bench) -> None:
    await claimed(b, ONE)
    accepted = (await Partner(b, OWN_PARTY).on_claim(ONE, "decision", accepted=True)).json()
    day = date.fromisoformat(accepted["pay_by"])
    await b.tick(day)
    assert (await Partner(b, OWN_PARTY).claim_of(ONE))["rechecks"] == 1
    assert await b.calls() == []
    for _ in range(12):
        day += timedelta(days=14)
        await b.tick(day)
    claim = await Partner(b, OWN_PARTY).claim_of(ONE)
    assert (claim["state"], claim["reason"]) == ("denied", "payment_not_received")


async def test_a_denied_claim_names_its_reason(b: Bench) -> None:
    await claimed(b, ONE)
    denied = (await Partner(b, OWN_PARTY).on_claim(ONE, "decision", accepted=False, reason="misuse_of_funds")).json()
    assert (denied["state"], denied["reason"]) == ("denied", "misuse_of_funds")
    again = await Partner(b, OWN_PARTY).on_claim(ONE, "decision", accepted=True)
    assert again.json()["code"] == "claim_denied"


async def test_a_partner_pulls_its_own_events_in_order_by_a_cursor_that_goes_on(b: Bench) -> None:
    own, other = Partner(b, OWN_PARTY), Partner(b, OTHER_PARTY)
    await claimed(b, ONE)
    await claimed(b, FOREIGN)
    first = (await own.get("/partner-events?limit=3")).json()
    assert [item["number"] for item in first["items"]] == [1, 2, 3]
    assert first["more"]
    rest = (await own.get(f"/partner-events?cursor={first['next']}")).json()
    items = [*first["items"], *rest["items"]]
    assert [item["type"] for item in items] == [
        "cover.requested.v1",
        "capacity.reserved.v1",
        "cover.bound.v1",
        "cover.activated.v1",
        "premium.due.v1",
        "claim.filed.v1",
    ]
    assert {item["subject"] for item in items} == {ONE.facility_id}
    assert not rest["more"]
    nothing = (await own.get(f"/partner-events?cursor={rest['next']}")).json()
    assert (nothing["items"], nothing["next"]) == ([], rest["next"])
    await own.on_claim(ONE, "decision", accepted=True)
    news = (await own.get(f"/partner-events?cursor={rest['next']}")).json()
    assert [item["type"] for item in news["items"]] == ["claim.accepted.v1"]
    some = (await own.get("/partner-events?types=claim.filed.v1,claim.accepted.v1")).json()["items"]
    assert [item["number"] for item in some] == [6, 7]
    late = (await own.get(f"/partner-events?since={CLAIM_DAY}")).json()["items"]
    assert [item["number"] for item in late] == [6, 7]
    assert {item["subject"] for item in (await other.get("/partner-events")).json()["items"]} == {FOREIGN.facility_id}
    assert (await own.get("/partner-events?cursor=MS4w")).json()["code"] == "cursor_invalid"
    published = {item["id"] for item in items}
    async with b.parts.engine.connect() as conn:
        rows = await conn.exec_driver_sql("SELECT event_id FROM outbox WHERE key = $1", (ONE.facility_id,))
        assert published <= {event_id for (event_id,) in rows}, "the ids are those of the published events"


async def test_what_suspends_or_caps_a_partner_is_told_to_it_and_what_our_own_rules_refused_is_not(b: Bench) -> None:
    await claimed(b, ONE)
    demand = {
        "loan_id": ONE.loan_id,
        "partner": OTHER_PARTY,
        "principal": money("100000"),
        "interest": money("0"),
        "claimed": money("80000"),
    }
    refused = await b.post(f"/v1/facilities/{ONE.facility_id}/claims", demand, role="customer_manager")
    assert refused.json()["refused"] == "wrong_partner"
    await b.post("/v1/agreements/rural/suspension", {"reason": "audit"}, role="risk_director")
    own = (await Partner(b, OWN_PARTY).get("/partner-events")).json()["items"]
    other = (await Partner(b, OTHER_PARTY).get("/partner-events")).json()["items"]
    assert "claim.refused.v1" not in {item["type"] for item in own}
    assert [item["type"] for item in other] == ["partner.suspended.v1"]


async def test_what_a_partner_saw_is_what_it_answers_to(b: Bench) -> None:
    own = Partner(b, OWN_PARTY)
    await b.react(ONE.submitted(), ONE.rated(), on=DAY)
    seen = await own.get(f"/facilities/{ONE.facility_id}")
    body = {"cover_id": seen.json()["cover"]["cover_id"], "accepted": True}
    path = f"/facilities/{ONE.facility_id}/cover-answers"
    stale = await own.post(path, body, if_match='"7.20250901"')
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert (await own.post(path, body, if_match=seen.headers["etag"])).json()["state"] == "bound"


async def test_numbers_have_no_gap_however_many_answer_at_once(b: Bench) -> None:
    own, stories = Partner(b, OWN_PARTY), [Story(name=f"n{number}", amount="1000") for number in range(8)]
    for story in stories:
        await b.react(story.submitted(), story.rated(), on=DAY)
    answers = await asyncio.gather(*(own.answer(story, accepted=True) for story in stories))
    assert [answer.json()["state"] for answer in answers] == ["bound"] * 8
    items = (await own.get("/partner-events")).json()["items"]
    assert [item["number"] for item in items] == list(range(1, 25))
    asked, bound = "cover.requested.v1", "cover.bound.v1"
    for story in stories:
        of_one = [item["type"] for item in items if item["subject"] == story.facility_id]
        assert (of_one[0], of_one[-1]) == (asked, bound), "a cover's own order"


def test_of_every_event_it_is_decided_whether_partners_are_told() -> None:
    names = {kind.name for kind in kinds() if kind.topic == "guarantee"}
    assert names <= TOLD | WITHHELD.keys(), "add it to services/guarantee/domain/telling.py, one way or the other"
    assert TOLD & WITHHELD.keys() == set()


async def test_silence_about_a_filed_drawdown_is_a_yes_and_a_missed_day(b: Bench) -> None:
    await agree(b, {**BATCH, "binding": {**BATCH["binding"], "confirm_days": 5}})
    kept, silent = Story(name="kept", agreement="batch"), Story(name="silent", agreement="batch")
    for story in (kept, silent):
        await b.react(story.submitted(), story.rated(), story.disbursed(), on=DAY)
        path = f"/v1/facilities/{story.facility_id}/filings"
        assert (await b.post(path, {"loan_id": story.loan_id}, role="customer_manager")).status_code == 200

    async def say(story: Story, **word: Any) -> str:
        rows = [{"facility_id": story.facility_id, "loan_id": story.loan_id, **word}]
        return str((await Partner(b, OWN_PARTY).post("/batch-confirmations", {"rows": rows})).json()["rows"][0]["code"])

    await b.tick(DAY + timedelta(days=5))
    assert await say(kept, accepted=True) == ""
    await b.tick(DAY + timedelta(days=6))
    (late,) = [event for event in await b.published() if isinstance(event, DeadlineMissed)]
    assert (late.duty, late.side, late.loan_id) == ("confirmation", OWN_PARTY, silent.loan_id)
    assert late.due == DAY + timedelta(days=5)
    assert await say(silent, accepted=False, reason="late") == "removal_too_late"
    assert await say(silent, accepted=True) == "", "a late yes is still a yes"
