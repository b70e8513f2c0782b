"""The console's doors: who may read, what the lists answer, and pages that hold no hostile text."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from libs.events import application as app
from libs.events.catalogue import kinds
from services.console.main import service
from services.console.views import neighbours
from tests.console.samples import DAY, arrival, bad_loan, cny, sample
from tests.harness.bench import Bench

pytestmark = pytest.mark.asyncio

HOSTILE = "<script>alert(1)</script>\"'&"
STATUS: dict[str, Any] = {
    "service": "rating",
    "open_date": "2025-09-01",
    "paused": "",
    "outbox": {"depth": 3, "parked": 0, "oldest_seconds": 12.9},
    "parked": {"parked": 1, "waiting": 2},
    "calls": {"pending": 0, "unknown": 0, "failed": 0},
    "timers": {"count": 4, "next_due": "2025-10-01"},
    "reads": ["application"],
    "handles": ["referral.received.v1"],
    "positions": {"application": {"0": 10}},
    "published": {"rating": {"0": 7}},
}
ROW = {
    "id": 1,
    "key": "f-9/../x",
    "status": "parked",
    "topic": "application",
    "event_id": "e-1",
    "type": "loan.cured.v1",
    "reason": HOSTILE,
    "arrived": "2026-01-01T00:00:00Z",
    "waiting": 2,
}


class House:
    """The other services as far as the console asks them: rating answers, guarantee never does."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        self.seen.append((request.method, path, request.headers.get("authorization", "")))
        if request.url.host != "rating":
            raise httpx.ConnectError("nobody listens")
        answers: dict[tuple[str, str], Any] = {
            ("GET", "/health/ready"): {"status": "ready"},
            ("GET", "/ops/status"): STATUS,
            ("GET", "/ops/parked?limit=200"): {"items": [ROW], "next": ""},
            ("POST", "/ops/parked/f-9%2F..%2Fx/redrive"): {"applied": 3},
        }
        return httpx.Response(200, json=answers[request.method, path])


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    house = House()
    monkeypatch.setattr(neighbours, "open_client", lambda: httpx.AsyncClient(transport=httpx.MockTransport(house)))
    return house


@pytest.fixture
async def console(bench: Callable[..., Bench]) -> AsyncIterator[Bench]:
    urls = {"rating": "http://rating:1/", "guarantee": "http://guarantee:1"}
    async with bench(service, console_services=urls) as opened:
        yield opened


def text_of(page: httpx.Response) -> str:
    """A page as it reads: without tags, spaces joined."""
    body = re.sub(r"<style>.*?</style>", "", page.text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


JSON_DOORS = ("/v1/counts", "/v1/facilities", "/v1/facilities/f-1/story")
PAGES = ("/topics", "/parked", "/facilities", "/facilities/f-1")


@pytest.mark.parametrize("path", JSON_DOORS)
async def test_programs_need_a_token_with_a_reading_role(console: Bench, path: str) -> None:
    assert (await console.http.get(path)).status_code == 401
    refused = await console.get(path, role="customer_manager")
    assert (refused.status_code, refused.json()["code"]) == (403, "role_needed")


@pytest.mark.parametrize("role", ["operator", "auditor", "admin"])
async def test_operators_auditors_and_administrators_may_read(console: Bench, role: str) -> None:
    assert (await console.get("/v1/counts", role=role)).status_code == 200


async def test_counts_name_every_type_also_those_never_told(console: Bench) -> None:
    await console.react(sample(app.ReferralReceived, facility_id="f-1"), on=DAY)
    counts = (await console.get("/v1/counts")).json()
    assert counts["types"]["referral.received.v1"] == 1
    assert counts["types"]["claim.paid.v1"] == 0
    assert set(counts["types"]) == {kind.type for kind in kinds() if kind.topic != "clock"}


async def tell_three(console: Bench) -> None:
    for number in ("1", "2", "3"):
        referred = sample(app.ReferralReceived, facility_id=f"f-{number}", external_ref=f"r-{number}")
        await console.react(referred, on=DAY)
    await console.react(sample(app.FacilityGranted, facility_id="f-2", limit=cny("5000")), on=DAY)


async def test_the_list_goes_page_by_page_to_its_end(console: Bench) -> None:
    await tell_three(console)
    first = (await console.get("/v1/facilities?limit=2")).json()
    second = (await console.get(f"/v1/facilities?limit=2&cursor={first['next']}")).json()
    assert [[line["facility_id"] for line in page["items"]] for page in (first, second)] == [["f-1", "f-2"], ["f-3"]]
    assert second["next"] == ""
    exact = (await console.get("/v1/facilities?limit=3")).json()
    assert exact["next"] == ""


async def test_the_list_of_one_stage_holds_no_other(console: Bench) -> None:
    await tell_three(console)
    granted = (await console.get("/v1/facilities?stage=granted")).json()["items"]
    assert [(line["facility_id"], line["limit_granted"], line["currency"]) for line in granted] == [
        ("f-2", "5000.00", "CNY")
    ]
    assert (await console.get("/v1/facilities?stage=nonsense")).status_code == 422


@pytest.mark.parametrize("limit", ["0", "201", "x"])
async def test_a_page_size_out_of_range_is_invalid(console: Bench, limit: str) -> None:
    assert (await console.get(f"/v1/facilities?limit={limit}")).status_code == 422


async def test_a_facility_nobody_spoke_of_is_not_found(console: Bench) -> None:
    assert (await console.get("/v1/facilities/f-1/story")).status_code == 404
    page = await console.get("/facilities/f-1")
    assert page.status_code == 404
    assert "f-1" in text_of(page)


async def test_the_services_page_asks_in_the_operators_name_and_shows_who_is_silent(
    console: Bench, house: House
) -> None:
    page = await console.get("/", actor="op")
    text = text_of(page)
    assert page.status_code == 200
    assert "rating rating events parked 2025-09-01 3 12 s 1 (+2 waiting behind)" in text
    assert "guarantee guarantee does not answer" in text
    assert "console console not ready" in text
    assert "application unknown" in text
    asked = {(path, bool(authorization)) for _, path, authorization in house.seen}
    assert asked == {("/health/ready", False), ("/ops/status", True)}
    assert (await console.get("/", role="auditor")).status_code == 403


async def test_a_service_that_answers_nonsense_is_shown_as_not_answering(
    console: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nonsense(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=["not", "a", "status"])

    monkeypatch.setattr(neighbours, "open_client", lambda: httpx.AsyncClient(transport=httpx.MockTransport(nonsense)))
    assert "rating rating does not answer" in text_of(await console.get("/"))


async def test_the_events_page_counts_types_and_names_readers(console: Bench, house: House) -> None:
    await console.react(sample(app.ReferralReceived, facility_id="f-1"), on=DAY)
    text = text_of(await console.get("/topics"))
    assert "Referral received referral.received.v1 1 application rating, console" in text


@pytest.mark.parametrize("path", PAGES)
async def test_pages_send_a_visitor_without_a_token_to_sign_in(console: Bench, path: str) -> None:
    answer = await console.http.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    wrong = await console.get(path, role="customer_manager")
    assert (wrong.status_code, wrong.headers["location"]) == (303, "/sign-in?why=role")
    assert "may not read" in text_of(await console.http.get(wrong.headers["location"]))


async def test_signing_in_keeps_the_token_where_no_script_reads_it_and_signing_out_forgets_it(console: Bench) -> None:
    token = console.issuer.token("op", "operator")
    answer = await console.http.post("/sign-in", data={"token": f" {token}\n"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/facilities")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert (await console.http.get("/facilities")).status_code == 200
    assert (await console.http.post("/sign-out")).status_code == 303
    assert (await console.http.get("/facilities")).status_code == 303


async def test_a_secure_site_keeps_the_cookie_to_itself(console: Bench) -> None:
    token = console.issuer.token("op", "operator")
    answer = await console.http.post("https://service/sign-in", data={"token": token})
    assert "secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("form", [{"token": "nonsense"}, {}])
async def test_a_bad_token_is_told_so_and_not_kept(console: Bench, form: dict[str, str]) -> None:
    answer = await console.http.post("/sign-in", data=form)
    assert answer.status_code == 401
    assert "does not verify" in text_of(answer)
    assert "set-cookie" not in answer.headers


async def test_a_form_too_large_or_not_text_is_invalid(console: Bench) -> None:
    assert (await console.http.post("/sign-in", content=b"token=" + b"x" * 10_000)).status_code == 422
    assert (await console.http.post("/sign-in", content=b"token=\xff\xfe")).status_code == 422


async def test_the_story_page_reads_in_both_languages(console: Bench) -> None:
    for day, bodies in bad_loan("f-1"):
        await console.react(*bodies, on=day)
    english = text_of(await console.get("/facilities/f-1"))
    assert "Loan written off 贷款核销 · application" in english
    assert "1,234,567.80 CNY was written off" in english
    chinese = await console.get("/facilities/f-1?lang=zh")
    assert '<html lang="zh">' in chinese.text
    assert "核销本金 1,234,567.80 CNY" in text_of(chinese)


async def test_a_chosen_language_is_kept_and_the_browsers_own_comes_next(console: Bench) -> None:
    assert "Sign in" in text_of(await console.http.get("/sign-in"))
    browsers = await console.http.get("/sign-in", headers={"accept-language": "zh-CN,zh;q=0.9"})
    assert "登录" in text_of(browsers)
    await console.http.get("/sign-in?lang=zh")
    assert "登录" in text_of(await console.http.get("/sign-in"))


@pytest.mark.parametrize("lang", ["en", "zh"])
async def test_every_page_renders_without_a_script_or_an_outside_address(
    console: Bench, house: House, lang: str
) -> None:
    for day, bodies in bad_loan("f-1"):
        await console.react(*bodies, on=day)
    for path in ("/", "/sign-in", *PAGES, "/facilities?q=nobody", "/facilities?stage=written_off"):
        page = await console.get(f"{path}{'&' if '?' in path else '?'}lang={lang}")
        assert page.status_code == 200, path
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert not re.search(r"<script|https?://|src=|\son\w+=", page.text), path
        assert "{{" not in page.text
        assert page.text.count("<h1>") == 1
        assert f'<html lang="{lang}">' in page.text


async def test_hostile_text_in_events_stays_text(console: Bench, house: House) -> None:
    hostile = sample(app.ReferralReceived, text=HOSTILE, facility_id="f-1")
    await console.react(hostile, on=DAY)
    pages = [await console.get(path) for path in ("/facilities", "/facilities/f-1", "/parked")]
    searched = await console.get(f"/facilities?{urlencode({'q': HOSTILE})}")
    for page in (*pages, searched):
        assert page.status_code == 200
        assert "<script" not in page.text
        assert "alert(1)" in page.text


async def test_search_finds_by_id_and_by_external_reference_only_exactly(console: Bench) -> None:
    await tell_three(console)
    for q, expected in (("f-2", ["f-2"]), ("r-3", ["f-3"]), ("r-", [])):
        page = await console.get(f"/facilities?q={q}")
        assert re.findall(r'href="/facilities/(f-\d)"', page.text) == expected


async def test_the_next_page_link_leads_on(console: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.console.api.pages.PAGE_ROWS", 2)
    await tell_three(console)
    link = re.search(r'rel="next" href="([^"]+)"', (await console.get("/facilities")).text)
    assert link is not None
    last = await console.get(html.unescape(link[1]))
    assert re.findall(r'href="/facilities/(f-\d)"', last.text) == ["f-3"]
    assert 'rel="next"' not in last.text


async def test_parked_shows_every_service_with_the_visitors_own_token(console: Bench, house: House) -> None:
    page = await console.get("/parked", actor="op")
    text = text_of(page)
    assert "loan.cured.v1" in text
    assert "guarantee Not known: does not answer" in text
    assert "console Nothing is parked." in text
    asked = [authorization for _, path, authorization in house.seen if path.startswith("/ops/parked")]
    assert asked
    assert all(authorization.startswith("Bearer ey") for authorization in asked)


async def redrive(console: Bench, role: str, **form: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {console.issuer.token('op', role)}"}
    return await console.http.post("/parked/redrive", data=form, headers=headers)


async def test_a_redrive_goes_to_the_service_and_comes_back_with_its_answer(console: Bench, house: House) -> None:
    answer = await redrive(console, "operator", service="rating", key="f-9/../x")
    assert answer.status_code == 303
    assert "applied: 3" in text_of(await console.get(answer.headers["location"]))
    silent = await redrive(console, "operator", service="guarantee", key="f-1")
    assert "unreachable" in text_of(await console.get(silent.headers["location"]))


async def test_only_an_operator_may_redrive_and_only_a_known_service(console: Bench, house: House) -> None:
    assert (await redrive(console, "auditor", service="rating", key="f-1")).status_code == 403
    assert (await redrive(console, "operator", service="nobody", key="f-1")).status_code == 404
    assert (await console.http.post("/parked/redrive", data={"service": "rating", "key": "f-1"})).status_code == 303
    assert house.seen == []


async def test_the_consoles_own_parked_events_are_shown_and_redriven_here(console: Bench, house: House) -> None:
    await console.consumer.apply([arrival(sample(app.ReferralReceived, facility_id="f-1"), 1)])
    await console.consumer.apply([arrival(sample(app.LoanCured, facility_id="f-1"), 1)])
    assert "order_violation" in text_of(await console.get("/parked"))
    answer = await redrive(console, "operator", service="console", key="f-1")
    assert "applied: 1" in text_of(await console.get(answer.headers["location"]))
    assert await console.parked() == []
