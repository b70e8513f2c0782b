"""No partner sees, moves or repeats what is another's, and what was done wrongly leaves no trace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from deploy.packs import signed
from services.guarantee.main import service
from tests.guarantee.packs import KEY, TABLE
from tests.guarantee.partner_client import (
    OTHER_PARTY,
    OWN_PARTY,
    SCOPES,
    Partner,
    admit_two,
    claimed,
    money,
)
from tests.guarantee.stories import CLAIM_DAY, DAY, Story
from tests.harness.bench import Bench
from tests.hostile.doors import OWN

Benches = Callable[..., Bench]
ONE, FOREIGN = Story(name="one"), Story(name="foreign", agreement="rural")


@pytest.fixture
async def b(bench: Benches) -> AsyncIterator[Bench]:
    async with bench(service) as opened:
        await admit_two(opened)
        yield opened


async def test_a_repeat_gets_the_first_answer_and_never_another_partners(b: Bench) -> None:
    own, other = Partner(b, OWN_PARTY), Partner(b, OTHER_PARTY)
    await b.react(ONE.submitted(), ONE.rated(), on=DAY)
    body = {"cover_id": (await own.requests())[0]["cover_id"], "accepted": True}
    path = f"/facilities/{ONE.facility_id}/cover-answers"
    first = await own.post(path, body, key="k")
    again = await own.post(path, body, key="k")
    assert (again.text, again.headers["idempotency-replayed"]) == (first.text, "true")
    foreign = await other.post(path, body, key="k")
    assert (foreign.status_code, "idempotency-replayed" in foreign.headers) == (404, False)


def bodies_about(claim: dict[str, Any]) -> dict[str, Any]:
    """What the doors take, by the last part of their paths: all of it about the other partner's business."""
    bodies: dict[str, Any] = {
        "signatures": {"party": OWN_PARTY, "effective": "2025-07-01", "digest": "00"},
        "standing": {"as_of": "2025-08-31", "net_assets": money("1"), "outside": money("0")},
        "exposures": {"as_of": "2025-08-31", "obligor": "o1", "outside": money("1")},
        "cover-answers": {"cover_id": claim["cover_id"], "accepted": True},
        "decision": {"accepted": True},
        "answer": {"consented": True},
        "disbursement-notices": {"number": "N-1"},
        "queries": {"asked": ["bank_statement"]},
        "payments": {"amount": money("80000.00"), "receipt": "R"},
        "recoveries": {"loan_id": FOREIGN.loan_id, "amount": money("1"), "receipt": "R"},
        "answers": {"side": OWN_PARTY, "digest": "00"},
        "2025-08": [],
        "webhooks": {"url": "http://127.0.0.1/hooks"},
        "replays": {"since": "2025-08-01T00:00:00Z", "until": "2025-08-02T00:00:00Z"},
        "reimbursements": {"party": "reguarantor", "amount": money("1"), "receipt": "R"},
    }
    bodies["exposure-lists"] = {"rows": [bodies["exposures"]]}
    bodies["packs"] = signed(TABLE | {"agreement": "rural", "partner": OTHER_PARTY}, KEY, "k1")
    row = {"facility_id": FOREIGN.facility_id, "loan_id": FOREIGN.loan_id, "accepted": True}
    bodies["batch-confirmations"] = {"rows": [row]}
    return bodies


async def test_every_door_for_partners_needs_its_scope_and_hides_what_is_another_partners(b: Bench) -> None:
    for story in (ONE, FOREIGN):
        await claimed(b, story)
    await Partner(b, OTHER_PARTY).on_claim(FOREIGN, "decision", accepted=True)
    claim = await Partner(b, OTHER_PARTY).claim_of(FOREIGN)
    before = await b.dump()
    bodies = bodies_about(claim)
    named = {
        "{facility_id}": FOREIGN.facility_id,
        "{claim_id}": claim["claim_id"],
        "{change_id}": "c-1",
        "{code}": "rural",
        "{partner_id}": OTHER_PARTY,
        "{endpoint_id}": "rural-hook",
    }
    for door, rule in OWN["guarantee"].items():
        if not rule.scope:
            continue
        plain = door.replace("{pack_version}", "1").replace("{about}", "statement").replace("{month}", "2025-08")
        method, _, path = plain.partition(" ")
        foreign, absent = path.removeprefix("/v1"), path.removeprefix("/v1")
        for word, value in named.items():
            foreign, absent = foreign.replace(word, value), absent.replace(word, "absent")
        body = bodies.get(path.rpartition("/")[2])

        async def knock(scopes: str, at: str, method: str = method, body: Any = body, **more: str) -> httpx.Response:
            partner = Partner(b, OWN_PARTY, scopes)
            return await (partner.get(at) if method == "GET" else partner.post(at, body, **more))

        others = " ".join(scope for scope in SCOPES if scope != rule.scope)
        for scopes in ("", others):
            answer = await knock(scopes, foreign)
            assert (answer.status_code, answer.json()["code"]) == (403, "scope_needed"), (door, scopes)
        if "{" not in path:
            answer = await knock(rule.scope, foreign)
            assert FOREIGN.facility_id not in answer.text or answer.json()["rows"][0]["status"] == 404, door
            assert OTHER_PARTY not in answer.text, door
            continue
        for tag in ({}, {"if_match": "*"}, {"if_match": '"1.20250901"'}) if method == "POST" else ({},):
            seen, unseen = await knock(rule.scope, foreign, **tag), await knock(rule.scope, absent, **tag)
            assert (seen.status_code, unseen.status_code) == (404, 404), (door, tag, seen.text, unseen.text)
            told = seen.text
            for value in sorted(named.values(), key=len, reverse=True):
                told = told.replace(value, "absent")
            assert told == unseen.text, "whether it is there, nothing tells"
    assert await b.dump() == before, "and nothing of anybody's has changed"


async def test_a_wrong_payment_or_decision_has_its_own_code_and_leaves_no_trace(b: Bench) -> None:
    own = Partner(b, OWN_PARTY)
    await claimed(b, ONE)
    await claimed(b, FOREIGN)
    whole = {"amount": money("80000.00"), "receipt": "R-1"}

    async def refused(what: str, code: str, story: Story = ONE, **body: Any) -> None:
        claim = await Partner(b, OTHER_PARTY if story is FOREIGN else OWN_PARTY).claim_of(story)
        path = f"/facilities/{story.facility_id}/claims/{claim['claim_id']}/{what}"
        before, told = await b.dump(), await b.names()
        answer = await own.post(path, body)
        assert (answer.json()["code"], answer.headers["content-type"]) == (code, "application/problem+json")
        assert (await b.dump(), await b.names()) == (before, told), "nothing of it is left"

    await refused("payments", "claim_filed", **whole)  # too early
    await refused("decision", "no_cover", FOREIGN, accepted=True)  # the wrong partner
    await refused("payments", "no_cover", FOREIGN, **whole)
    await b.post("/v1/agreements/reg-4321/suspension", {"reason": "audit"}, role="risk_director")
    assert (await own.on_claim(ONE, "decision", accepted=True)).status_code == 200, "claims outlive a suspension"
    await refused("decision", "claim_accepted", accepted=True)  # twice
    await refused("payments", "payment_differs", amount=money("80000.01"), receipt="R-1")  # above what is owed
    await refused("payments", "payment_differs", amount=money("80000.00", "USD"), receipt="R-1")  # a foreign currency
    await refused("queries", "claim_accepted", asked=["bank_statement"])  # too late to ask
    assert (await own.on_claim(ONE, "payments", **whole)).status_code == 200
    await refused("payments", "claim_paid", **whole)  # twice
    await refused("decision", "claim_paid", accepted=False, reason="second_thoughts")
    await b.react(ONE.closed("written_off"), on=CLAIM_DAY)
    assert (await b.names())[-1] == "cover.released"
    await refused("payments", "claim_paid", **whole)  # on a cover that was released
    await refused("payments", "claim_paid", kind="interim", amount=money("1.00"), receipt="I-1")
