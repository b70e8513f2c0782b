"""The way to a partner is data: adapter, address, credential, what it may know; lost answers bind nothing twice."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.events.application import ConsentGranted, ConsentRevoked
from libs.events.guarantee_upkeep import QuoteDeclined, QuoteReceived
from libs.runtime import calls
from libs.runtime.breaker import FAILURES_MAX
from libs.runtime.calls import Caller
from services.application.main import service as application
from services.guarantee.main import service
from services.guarantee.partners import identity
from tests.application import story as applications
from tests.guarantee.stories import AGREED, CLAIM_DAY, DAY, PARTNER, Story, admit, agree, cny
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
WAY = f"/v1/partners/{PARTNER['partner_id']}/connections"
SURETY = {
    "effective": "2025-07-01",
    "adapter": "surety",
    "base_url": "https://surety",
    "header": "X-Api-Key",
    "credential": "not-to-be-seen",
}
ONE = Story()
ASKED = {"cover": {"applyAmt": 10_000_000, "ccy": "CNY", "applyDate": "20250901"}}


class Gateway:
    """The surety's machine: what it does next is its script, "agree" when that is over.

    late: takes in and decides later · lose: acts, and its answer is lost · busy: code 9001, nothing done ·
    garbage: acts and says nonsense · down: does not answer · deny: declines · refuse: turns the request away.
    """

    def __init__(self, *script: str) -> None:
        self.script, self.heard = deque(script), list[httpx.Request]()
        self.applied: dict[str, dict[str, Any]] = {}
        self.posts: list[tuple[str, dict[str, Any]]] = []

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.heard.append(request)
        word = self.script.popleft() if self.script else "agree"
        if word == "down":
            raise httpx.ConnectError("nobody there")
        if word == "busy":
            return httpx.Response(200, json={"retCode": "9001"})
        reply = self._act(request, word)
        if word == "lose":
            raise httpx.ReadError("the line is cut")
        return httpx.Response(200, content=b"<html>") if word == "garbage" else httpx.Response(200, json=reply)

    def _act(self, request: httpx.Request, word: str) -> dict[str, Any]:
        if request.url.path == "/gateway/payment":
            return {"retCode": "0000", "status": "04", "paySerialNo": "P-1"}
        if request.method == "GET":
            found = self.applied.get(request.url.params["serialNo"], {"retCode": "1404"})
            if found.get("status") == "01":
                self.applied[request.url.params["serialNo"]] = {**found, "status": "02"}
            return found
        body = json.loads(request.content)
        priced = {"feeRate": "0.85"} if request.url.path == "/gateway/quote" else {}
        self.posts.append((request.url.path, body))
        if body["serialNo"] in self.applied:
            return {"retCode": "1409"}
        replies = {
            "refuse": {"retCode": "2001"},
            "deny": {"retCode": "0000", "status": "03", "rejectCode": "R01"},
            "late": {"retCode": "0000", "status": "01", "guarAmt": 8_000_000},
        }
        reply: dict[str, Any] = replies.get(word, {"retCode": "0000", "status": "02", "guarAmt": 8_000_000}) | priced
        self.applied[body["serialNo"]] = reply
        return reply


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> Callable[[Gateway], None]:
    """Let every connection lead to this machine."""

    def to(gateway: Gateway) -> None:
        monkeypatch.setattr(calls, "Outward", lambda **_: httpx.MockTransport(gateway.handle))

    return to


async def connect(b: Bench, **changes: str) -> None:
    answer = await b.post(WAY, {**SURETY, **changes}, role="admin")
    assert answer.status_code == 201, answer.text


async def call(b: Bench, *, rounds: int = 12) -> Caller:
    """Let one worker try until nothing is open, `rounds` times at most, without waiting in between."""
    caller = Caller(b.parts)
    for _ in range(rounds):
        if not await b.calls():
            break
        async with b.parts.engine.begin() as conn:
            await conn.exec_driver_sql("UPDATE calls SET next_at = now()")
        await caller._round()
    await caller._close()
    return caller


async def stored(b: Bench) -> str:
    """Everything the service has in its tables, as text."""
    async with b.parts.engine.connect() as conn:
        found = [await conn.exec_driver_sql(f"SELECT t::text FROM {table} t") for table in service.metadata.tables]
        return "\n".join(text for rows in found for (text,) in rows)


@pytest.mark.parametrize(
    "script",
    [
        (),
        ("lose",),
        ("late",),
        ("late", "lose", "busy"),
        ("busy", "agree", "lose", "lose"),
        ("garbage",),
        ("down", "down", "lose"),
        ("lose", "down", "busy", "garbage"),
    ],
    ids="-".join,
)
async def test_a_foreign_partner_binds_once_whatever_becomes_of_its_answers(
    bench: Benches, reached: Callable[[Gateway], None], script: tuple[str, ...]
) -> None:
    gateway = Gateway(*script)
    reached(gateway)
    async with bench(service) as b:
        await admit(b, AGREED)
        await connect(b)
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        await call(b)
        view = (await b.get(f"/v1/facilities/{ONE.facility_id}")).json()
        assert (view["cover"]["state"], view["cover"]["guaranteed"]["amount"]) == ("bound", "80000.00")
        assert (await b.names()).count("cover.bound") == 1
        acted = [body for path, body in gateway.posts if path == "/gateway/apply"]
        assert len({body["serialNo"] for body in acted}) == 1
        assert len(gateway.applied) == 1
        assert {name: acted[0][name] for name in ASKED["cover"]} == ASKED["cover"]
        assert {request.headers["x-api-key"] for request in gateway.heard} == {"not-to-be-seen"}


async def test_a_foreign_partner_is_claimed_from_and_pays(bench: Benches, reached: Callable[[Gateway], None]) -> None:
    gateway = Gateway()
    reached(gateway)
    async with bench(service) as b:
        await admit(b, AGREED)
        await connect(b)
        await ONE.go_overdue(b)
        await b.tick(CLAIM_DAY)
        await call(b)
        view = (await b.get(f"/v1/facilities/{ONE.facility_id}")).json()
        await b.tick(type(DAY).fromisoformat(view["claims"][0]["pay_by"]))
        await call(b)
        claim = (await b.get(f"/v1/facilities/{ONE.facility_id}")).json()["claims"][0]
        assert claim["state"] == "paid"
        ((path, body),) = gateway.posts
        assert (path, body["lossAmt"], body["claimAmt"]) == ("/gateway/claim", 7_000_000, 5_600_000)


@pytest.mark.parametrize("script", [(), ("late",), ("lose", "busy"), ("garbage", "down")], ids="-".join)
async def test_a_foreign_partner_quotes_once_and_binds_at_its_rate(
    bench: Benches, reached: Callable[[Gateway], None], script: tuple[str, ...]
) -> None:
    gateway = Gateway(*script)
    reached(gateway)
    asking = Story(agreement="any")
    async with bench(service) as b:
        await admit(b, {**AGREED, "binding": {"quoted": True}})
        await connect(b)
        await b.react(asking.submitted(), asking.rated(), on=DAY)
        await call(b)
        (quote,) = [body for body in await b.published() if isinstance(body, QuoteReceived)]
        assert (quote.premium_rate, quote.guaranteed) == (Decimal("0.0085"), cny("80000"))
        assert {path for path, _ in gateway.posts} == {"/gateway/quote", "/gateway/apply"}
        assert len(gateway.applied) == 2
        assert {name: gateway.posts[0][1][name] for name in ASKED["cover"]} == ASKED["cover"]
        assert (await b.names())[-1] == "cover.bound"


async def test_a_foreign_partners_no_to_a_quote_is_told_in_our_words(
    bench: Benches, reached: Callable[[Gateway], None]
) -> None:
    async with bench(service) as b:
        await admit(b, {**AGREED, "binding": {"quoted": True}})
        await connect(b)
        for word, reason in (("deny", "capacity"), ("refuse", "request_rejected")):
            reached(Gateway(word))
            asking = Story(name=word, agreement="any")
            await b.react(asking.submitted(), asking.rated(), on=DAY)
            await call(b)
            declined = [body for body in await b.published() if isinstance(body, QuoteDeclined)]
            assert declined[-1].reason == reason


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ((), ["change.requested", "change.consented", "cover.endorsed"]),
        (("late", "lose"), ["change.requested", "change.consented", "cover.endorsed"]),
        (("lose", "garbage"), ["change.requested", "change.consented", "cover.endorsed"]),
        (("deny",), ["change.requested", "change.refused"]),
    ],
)
async def test_a_foreign_partner_answers_a_change_once(
    bench: Benches, reached: Callable[[Gateway], None], script: tuple[str, ...], told: list[str]
) -> None:
    gateway = Gateway(*script)
    reached(gateway)
    async with bench(service) as b:
        await admit(b, AGREED)
        await connect(b)
        await ONE.bind(b)
        await b.react(ONE.disbursed(), on=DAY)
        before = len(await b.names())
        body = {"kind": "extended", "annual_rate": "0.045", "maturity": "2027-01-01", "document": "E-1"}
        path = f"/v1/facilities/{ONE.facility_id}/loans/{ONE.loan_id}/changes"
        change = (await b.post(path, body, role="customer_manager")).json()
        await call(b)
        assert [name for name in (await b.names())[before:] if "danger" not in name and "mended" not in name] == told
        assert {path for path, _ in gateway.posts} == {"/gateway/change"}
        assert {sent["serialNo"] for _, sent in gateway.posts} == {change["change_id"]} == set(gateway.applied)
        content = gateway.posts[0][1]["content"]
        assert (content["change"], content["heavier"], content["maturity"]) == ("extended", ["maturity"], "2027-01-01")


@pytest.mark.parametrize(("word", "reason"), [("deny", "capacity"), ("refuse", "request_rejected")])
async def test_its_words_for_no_are_ours(
    bench: Benches, reached: Callable[[Gateway], None], word: str, reason: str
) -> None:
    reached(Gateway(word))
    async with bench(service) as b:
        await admit(b, AGREED)
        await connect(b)
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        await call(b)
        view = (await b.get(f"/v1/facilities/{ONE.facility_id}")).json()
        assert (view["cover"]["state"], view["cover"]["reason"]) == ("refused", reason)


async def test_a_partner_that_keeps_failing_is_left_alone_and_no_other_for_it(
    bench: Benches, reached: Callable[[Gateway], None]
) -> None:
    gateway = Gateway(*["down"] * 100)
    reached(gateway)
    async with bench(service) as b:
        await admit(b, AGREED)
        await connect(b)
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        caller = await call(b, rounds=FAILURES_MAX + 5)
        assert len(gateway.heard) == FAILURES_MAX
        assert caller._breaker.wait("city-guarantee") > 0
        assert caller._breaker.wait("another") == 0
        assert len(await b.calls()) == 1


async def test_a_way_holds_from_its_day_on_and_its_credential_is_shown_to_nobody(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        await connect(b)
        await connect(b, effective="2026-01-01", adapter="standard")
        again = await b.post(WAY, SURETY, role="admin")
        assert (again.status_code, again.json()["code"]) == (409, "connection_exists")
        inner = await b.post(WAY, {**SURETY, "base_url": "https://127.0.0.1"}, role="admin")
        assert (inner.status_code, inner.json()["code"]) == (422, "target_unfit")
        listed = await b.get(WAY)
        assert [(row["effective"], row["adapter"]) for row in listed.json()] == [
            ("2025-07-01", "surety"),
            ("2026-01-01", "standard"),
        ]
        assert "not-to-be-seen" not in listed.text + await stored(b)


PERSON = applications.PLANTED


async def consent(
    story: applications.Story, b: Bench, *, partner: str, purpose: str = "insurance_underwriting"
) -> ConsentGranted:
    """A consent as application records it, told to guarantee."""
    body = {"purposes": [purpose], "partners": [partner]}
    told = await story.done("consents", body, role="customer_manager", actor="li")
    event = ConsentGranted(
        facility_id=story.facility_id,
        borrower_id=told["borrower_id"],
        consent_id=told["consent_id"],
        purposes=(purpose,),
        partners=(partner,),
        valid_until=applications.TODAY.fromisoformat(told["valid_until"]),
    )
    await b.react(event, on=DAY)
    return event


@asynccontextmanager
async def kept_apart(
    bench: Benches, monkeypatch: pytest.MonkeyPatch, token: Path
) -> AsyncIterator[tuple[applications.Story, Bench]]:
    """A facility at application, which keeps personal data, and guarantee, which asks for them and keeps none."""
    async with bench(application) as keeper, bench(service, identity_token_path=token) as b:
        bearer = keeper.bearer("guarantee", "identity_reader")["authorization"]
        await asyncio.to_thread(token.write_text, bearer.removeprefix("Bearer "))
        story = applications.Story(keeper)
        await story.begin()
        monkeypatch.setattr(Story, "facility_id", story.facility_id)
        door = httpx.ASGITransport(app=application.app)
        monkeypatch.setattr(identity, "_open", lambda **words: httpx.AsyncClient(**words, transport=door))
        yield story, b
        kept = await stored(b)
        assert not [value for value in PERSON.values() if re.search(re.escape(value), kept)]


@pytest.mark.parametrize("case", ["consented", "another_partner", "revoked_and_told", "revoked_just_now", "none"])
async def test_who_the_borrower_is_goes_out_under_a_live_consent_alone_and_stays_nowhere(
    bench: Benches, reached: Callable[[Gateway], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str
) -> None:
    gateway = Gateway()
    reached(gateway)
    async with kept_apart(bench, monkeypatch, tmp_path / "token") as (story, b):
        keeper = story.bench
        await admit(b)
        await agree(b, AGREED)
        await connect(b, purpose="insurance_underwriting")
        if case != "none":
            granted = await consent(story, b, partner="city-guarantee" if case != "another_partner" else "another")
            if case.startswith("revoked"):
                path = f"consents/{granted.consent_id}/revocation"
                await story.done(path, {}, role="privacy_officer", actor="po")
            if case == "revoked_and_told":
                words = {"borrower_id": granted.borrower_id, "consent_id": granted.consent_id}
                await b.react(ConsentRevoked(facility_id=story.facility_id, **words), on=DAY)
        asked = Story(name="x")
        await b.react(asked.submitted(), asked.rated(), on=DAY)
        await call(b)
        view = (await b.get(f"/v1/facilities/{story.facility_id}")).json()["cover"]
        told = "\n".join(request.content.decode() for request in gateway.heard)
        if case == "consented":
            assert view["state"] == "bound"
            named = gateway.posts[0][1]
            assert (named["custName"], named["certNo"]) == (PERSON["name"], PERSON["id_number"])
        else:
            assert (view["state"], view["reason"], told) == ("refused", "identity_withheld", "")
        record = (await keeper.get("/v1/identity-disclosures", role="privacy_officer")).json()["items"]
        assert [(line["partner"], line["refused"]) for line in record] == {
            "consented": [("city-guarantee", "")],
            "revoked_just_now": [("city-guarantee", "consent_revoked")],
        }.get(case, [])


@pytest.mark.parametrize("case", ["consented", "for_another_purpose", "revoked_just_now"])
async def test_a_claim_names_the_borrower_by_consent_and_goes_out_without_where_there_is_none(
    bench: Benches, reached: Callable[[Gateway], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str
) -> None:
    gateway = Gateway()
    reached(gateway)
    async with kept_apart(bench, monkeypatch, tmp_path / "token") as (story, b):
        keeper = story.bench
        await admit(b, AGREED)
        await connect(b, claim_purpose="claim")
        purpose = "insurance_underwriting" if case == "for_another_purpose" else "claim"
        granted = await consent(story, b, partner="city-guarantee", purpose=purpose)
        if case == "revoked_just_now":
            await story.done(f"consents/{granted.consent_id}/revocation", {}, role="privacy_officer", actor="po")
        lost = Story(name="lost")
        await lost.go_overdue(b)
        await b.tick(CLAIM_DAY)
        await call(b)
        ((path, body),) = gateway.posts
        assert path == "/gateway/claim"
        named = (PERSON["name"], PERSON["id_number"]) if case == "consented" else (None, None)
        assert (body.get("custName"), body.get("certNo")) == named
        claim = (await b.get(f"/v1/facilities/{story.facility_id}")).json()["claims"][0]
        assert claim["state"] == "accepted"
        record = (await keeper.get("/v1/identity-disclosures", role="privacy_officer")).json()["items"]
        assert [(line["purpose"], line["partner"], line["refused"]) for line in record] == {
            "consented": [("claim", "city-guarantee", "")],
            "revoked_just_now": [("claim", "city-guarantee", "consent_revoked")],
        }.get(case, [])
