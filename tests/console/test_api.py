"""The console's doors: who may read, what the lists answer, and pages that hold no hostile text."""

from __future__ import annotations

import html
import re
from urllib.parse import urlencode

import httpx
import pytest

from libs.events import application as app
from libs.events.catalogue import kinds
from libs.events.guarantee import BalanceConfirmed, BalanceContested, CoverEndangered, CoverMended
from services.console.views import neighbours
from tests.console.house import HOSTILE, STATUS, House, answered_by, text_of
from tests.console.samples import DAY, bad_loan, cny, sample
from tests.harness.bench import Bench

pytestmark = pytest.mark.asyncio

JSON_DOORS = ("/v1/counts", "/v1/facilities", "/v1/facilities/f-1/story")
PAGES = ("/", "/topics", "/parked", "/facilities", "/facilities/f-1")


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


async def test_the_first_page_says_what_is_wrong_and_then_how_every_service_is(console: Bench, house: House) -> None:
    text = text_of(await console.get("/", actor="op"))
    wrong = "Needs attention rating : events parked (1) – look guarantee : does not answer console : not ready"
    assert wrong in text
    assert "Services ready 1 / 3" in text
    assert "Parked 1 +2 waiting behind" in text
    assert "rating events parked 2025-09-01 3 12 s – 1 (+2 waiting behind) 0 / 0 / 0 4 2025-10-01" in text
    assert "guarantee does not answer –" in text
    assert all(authorization.startswith("Bearer ey") for _, _, authorization in house.seen)


async def test_who_may_not_ask_the_services_is_shown_no_alarm(console: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def withheld(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/health/ready":
            return httpx.Response(200, json={"status": "ready"})
        return httpx.Response(403, json={"code": "role_needed"})

    monkeypatch.setattr(neighbours, "open_client", answered_by(withheld))
    assert "rating in order told to operators only" in text_of(await console.get("/", role="auditor"))


async def test_a_service_that_answers_nonsense_is_shown_as_not_answering(
    console: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nonsense(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=["not", "a", "status"])

    monkeypatch.setattr(neighbours, "open_client", answered_by(nonsense))
    assert "rating does not answer" in text_of(await console.get("/"))


async def test_the_events_page_counts_types_and_names_readers(console: Bench, house: House) -> None:
    await console.react(sample(app.ReferralReceived, facility_id="f-1"), on=DAY)
    text = text_of(await console.get("/topics"))
    assert "Referral received referral.received.v1 1 application rating, console" in text
    assert "rating 8 3 12 s" in text


async def test_lag_is_shown_per_topic_and_reader(console: Bench, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STATUS, "published", {"rating": {"0": 7}, "application": {"0": 12}})
    text = text_of(await console.get("/topics"))
    assert "Topic In the broker Events to send Oldest rating guarantee console" in text
    assert "rating 8 3 12 s · · 8" in text


@pytest.mark.parametrize("path", PAGES)
async def test_pages_send_a_visitor_without_a_token_to_sign_in(console: Bench, path: str) -> None:
    answer = await console.http.get(path)
    back = {"back": path} if path != "/" else {}
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?{urlencode(back)}".rstrip("?"))
    wrong = await console.get(path, role="customer_manager")
    assert (wrong.status_code, wrong.headers["location"]) == (303, f"/sign-in?{urlencode({'why': 'role', **back})}")
    assert "may not read" in text_of(await console.http.get(wrong.headers["location"]))


async def test_signing_in_keeps_the_token_where_no_script_reads_it_and_signing_out_forgets_it(console: Bench) -> None:
    token = console.issuer.token("op", "operator")
    answer = await console.http.post("/sign-in", data={"token": f" {token}\n"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert (await console.http.get("/facilities")).status_code == 200
    assert (await console.http.post("/sign-out")).status_code == 303
    assert (await console.http.get("/facilities")).status_code == 303


@pytest.mark.parametrize(
    ("back", "goes"),
    [
        ("/parked?x=1", "/parked?x=1"),
        ("//elsewhere", "/"),
        ("/\\evil.example", "/"),
        ("http://elsewhere", "/"),
        ("/a\r\nset-cookie: x=1", "/"),
    ],
)
async def test_who_signs_in_goes_where_he_wanted_to_but_never_elsewhere(console: Bench, back: str, goes: str) -> None:
    form = {"token": console.issuer.token("op", "operator"), "back": back}
    assert (await console.http.post("/sign-in", data=form)).headers["location"] == goes


async def test_an_expired_token_is_told_so(console: Bench) -> None:
    answer = await console.http.get("/topics", headers={"cookie": "silverbear_token=old"})
    assert answer.headers["location"] == "/sign-in?why=token&back=%2Ftopics"


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
    assert re.search(r"2026-08-08 Saturday · day 341 Loan written off 贷款核销 application \d+ · someone · b1", english)
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
    for path in (
        "/sign-in",
        *PAGES,
        "/parked/key?service=rating&key=f-9/../x",
        "/facilities?q=nobody",
        "/facilities?stage=written_off",
    ):
        page = await console.get(f"{path}{'&' if '?' in path else '?'}lang={lang}")
        assert page.status_code == 200, path
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        assert "style=" not in page.text
        assert not re.search(r"<script|https?://|src=|\son\w+=", page.text), path
        assert "{{" not in page.text
        assert page.text.count("<h1>") == 1
        assert f'<html lang="{lang}">' in page.text


async def test_hostile_text_in_events_stays_text(console: Bench, house: House) -> None:
    hostile = sample(app.ReferralReceived, text=HOSTILE, facility_id="f-1")
    await console.react(hostile, on=DAY)
    paths = ("/facilities", "/facilities/f-1", "/parked", "/parked/key?service=rating&key=f-9/../x")
    pages = [await console.get(path) for path in paths]
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
    assert "All 3 granted 1 referred 2" in text_of(page)


async def test_the_next_page_link_leads_on(console: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.console.api.pages.PAGE_ROWS", 2)
    await tell_three(console)
    link = re.search(r'rel="next" href="([^"]+)"', (await console.get("/facilities")).text)
    assert link is not None
    last = await console.get(html.unescape(link[1]))
    assert re.findall(r'href="/facilities/(f-\d)"', last.text) == ["f-3"]
    assert 'rel="next"' not in last.text


async def test_the_list_opens_with_the_cover_at_risk_and_the_balances_contested(console: Bench) -> None:
    def worse(facility: str, amount: str) -> CoverEndangered:
        told: CoverEndangered = sample(CoverEndangered, facility_id=facility, loan_id=facility, after=cny(amount))
        return told

    await console.open(DAY)
    mended = sample(CoverMended, facility_id="f-2", loan_id="f-2", after=cny("0"))
    contested, confirmed = (sample(kind, partner="p", month="2025-09") for kind in (BalanceContested, BalanceConfirmed))
    await console.react(worse("f-1", "5"), worse("f-1", "1000.50"), worse("f-2", "70"), worse("f-3", "0.25"), on=DAY)
    await console.react(mended, contested, on=DAY)
    page = (await console.get("/facilities", role="operator")).text
    assert "1,000.75 CNY" in page
    assert "2 loans, if claimed today" in page
    assert "Recovery balances contested" in page
    await console.react(confirmed, on=DAY)
    assert "Recovery balances contested" not in (await console.get("/facilities", role="operator")).text
    assert "1,000.75" not in (await console.get("/facilities", role="operator", org="elsewhere")).text
