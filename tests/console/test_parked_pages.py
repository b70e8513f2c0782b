"""What an operator sees of parked events in the console, and the two orders that he can give from there."""

from __future__ import annotations

import html
import re

import httpx
import pytest

from libs.events import application as app
from tests.console.house import House, text_of
from tests.console.samples import arrival, sample
from tests.harness.bench import Bench

pytestmark = pytest.mark.asyncio


async def test_parked_shows_every_service_with_the_visitors_own_token(console: Bench, house: House) -> None:
    text = text_of(await console.get("/parked", actor="op"))
    assert "Arrears cured loan.cured.v1" in text
    assert "2 2026-01-01 00:00:00 UTC Decide" in text
    assert "guarantee : Not known: does not answer" in text
    asked = [authorization for _, path, authorization in house.seen if path.startswith("/v1/ops/parked")]
    assert asked
    assert all(authorization.startswith("Bearer ey") for authorization in asked)


async def test_a_key_is_shown_with_its_events_and_what_can_be_done(console: Bench, house: House) -> None:
    text = text_of(await console.get("/parked/key?service=rating&key=f-9/../x"))
    assert "Arrears cured parked" in text
    assert "Apply again (1)" in text
    assert "Drop this event for good." in text
    unknown = await console.get("/parked/key?service=nobody&key=f-1")
    assert (unknown.status_code, "Nothing here no such service 404 · not_found" in text_of(unknown)) == (404, True)
    silent = await console.get("/parked/key?service=guarantee&key=f-1")
    assert "Not known: does not answer" in text_of(silent)


async def order(console: Bench, role: str, what: str, origin: str = "", **form: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {console.issuer.token('op', role)}"} | ({"origin": origin} if origin else {})
    return await console.http.post(f"/parked/{what}", data=form, headers=headers)


async def test_an_order_goes_to_the_service_and_its_answer_is_shown_once(console: Bench, house: House) -> None:
    known = {"service": "rating", "key": "f-9/../x", "confirmed": "yes"}
    answer = await order(console, "operator", "redrive", **known)
    assert (answer.status_code, answer.headers["location"]) == (303, "/parked")
    assert "rating · f-9/../x applied: 3" in text_of(await console.get("/parked"))
    assert "applied: 3" not in text_of(await console.get("/parked"))
    answer = await order(console, "operator", "discard", **known, event_id="e-1", reason=" of another bank ")
    assert "discarded: e-1" in text_of(await console.get(answer.headers["location"]))
    silent = await order(console, "operator", "redrive", service="guarantee", key="f-1", confirmed="yes")
    assert silent.headers["location"] == "/parked/key?service=guarantee&key=f-1"
    assert "guarantee · f-1 does not answer" in text_of(await console.get(silent.headers["location"]))


@pytest.mark.parametrize("what", ["redrive", "discard"])
async def test_only_an_operator_who_confirms_on_our_own_page_gives_an_order(
    console: Bench, house: House, what: str
) -> None:
    sound = {"service": "rating", "key": "f-1", "event_id": "e-1", "reason": "why not", "confirmed": "yes"}
    refused = [
        (await order(console, "auditor", what, **sound), 403, "role_needed"),
        (await order(console, "operator", what, **(sound | {"service": "nobody"})), 404, "not_found"),
        (await order(console, "operator", what, **(sound | {"confirmed": ""})), 422, "form_incomplete"),
        (await order(console, "operator", what, "http://elsewhere", **sound), 403, "form_of_another_site"),
        (await order(console, "operator", what, "null", **sound), 403, "form_of_another_site"),
    ]
    for answer, status, code in refused:
        assert (answer.status_code, code in answer.text) == (status, True)
    assert (await console.http.post(f"/parked/{what}", data=sound)).headers["location"] == "/sign-in"
    assert house.seen == []
    assert (
        await order(console, "operator", what, "http://service", **(sound | {"key": "f-9/../x"}))
    ).status_code == 303
    assert len(house.seen) == 1


async def test_the_consoles_own_parked_events_are_shown_redriven_and_discarded_by_the_same_door(
    console: Bench, house: House
) -> None:
    for key in ("f-1", "f-2"):
        await console.consumer.apply([arrival(sample(app.ReferralReceived, facility_id=key), 1)])
        await console.consumer.apply([arrival(sample(app.LoanCured, facility_id=key), 1)])
    assert "order_violation" in text_of(await console.get("/parked"))
    answer = await order(console, "operator", "redrive", service="console", key="f-1", confirmed="yes")
    assert "console · f-1 applied: 1" in text_of(await console.get(answer.headers["location"]))
    shown = await console.get("/parked/key?service=console&key=f-2")
    event_id = re.search(r'name="event_id" value="([^"]+)"', shown.text)
    assert event_id is not None
    known = {"service": "console", "key": "f-2", "event_id": html.unescape(event_id[1]), "confirmed": "yes"}
    short = await order(console, "operator", "discard", **known, reason="x")
    assert "invalid request" in text_of(await console.get(short.headers["location"]))
    await order(console, "operator", "discard", **known, reason="of another bank")
    assert await console.parked() == []
