"""The partner's door over HTTP: what is sent, what an answer must look like, and what silence means."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from libs.runtime.calls import Answer
from services.guarantee.partners import PARTNERS

COVER = {"facility_id": "f1", "body": {"reference": "c1", "amount": "100.00"}}
CLAIM = {"facility_id": "f1", "body": {"reference": "k1", "loss": "100.00"}}
PAYMENT = {"facility_id": "f1", "claim_id": "k1", "on": "2026-04-01"}


def partner(seen: list[httpx.Request], status: int, body: Any) -> httpx.AsyncClient:
    """A partner that answers everything alike and remembers what it was asked."""

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, json=body)

    return httpx.AsyncClient(transport=httpx.MockTransport(handle), base_url="http://partner")


@pytest.mark.parametrize(
    ("kind", "request_", "path"), [("partner.cover", COVER, "/covers"), ("partner.claim", CLAIM, "/claims")]
)
async def test_only_the_body_meant_for_the_partner_is_sent(kind: str, request_: dict[str, Any], path: str) -> None:
    seen: list[httpx.Request] = []
    async with partner(seen, 200, {"accepted": True, "reason": "", "extra": 1}) as http:
        answer = await PARTNERS[kind].send(http, "c1", request_)
    assert (seen[0].method, seen[0].url.path, json.loads(seen[0].content)) == ("POST", path, request_["body"])
    assert (answer.status, answer.body["accepted"]) == (200, True)


async def test_a_payment_is_asked_after_by_the_claim_and_the_day() -> None:
    seen: list[httpx.Request] = []
    async with partner(seen, 200, {"paid": True, "receipt": "R-1"}) as http:
        answer = await PARTNERS["partner.claim_payment"].send(http, "k1/2", PAYMENT)
        known = await PARTNERS["partner.claim_payment"].inquire(http, "k1/2", PAYMENT)
    assert [str(request.url) for request in seen] == ["http://partner/claims/k1/payment?on=2026-04-01"] * 2
    assert answer == known == Answer(200, {"paid": True, "receipt": "R-1"})


@pytest.mark.parametrize(("kind", "path"), [("partner.cover", "/covers/r1"), ("partner.claim", "/claims/r1")])
async def test_a_partner_that_never_heard_of_it_may_be_sent_it(kind: str, path: str) -> None:
    seen: list[httpx.Request] = []
    async with partner(seen, 404, {}) as http:
        assert await PARTNERS[kind].inquire(http, "r1", COVER) is None
    assert seen[0].url.path == path


@pytest.mark.parametrize("kind", ["partner.cover", "partner.claim"])
async def test_what_the_partner_already_knows_is_its_answer(kind: str) -> None:
    async with partner([], 200, {"accepted": False, "reason": "no"}) as http:
        known = await PARTNERS[kind].inquire(http, "r1", COVER)
    assert known is not None
    assert (known.body["accepted"], known.body["reason"]) == (False, "no")


@pytest.mark.parametrize(
    ("kind", "request_", "body"),
    [
        ("partner.cover", COVER, {}),
        ("partner.cover", COVER, {"accepted": True, "guaranteed": "1.234"}),
        ("partner.cover", COVER, {"accepted": True, "guaranteed": "NaN"}),
        ("partner.cover", COVER, {"accepted": True, "guaranteed": "-1.00"}),
        ("partner.claim", CLAIM, ["accepted"]),
        ("partner.claim_payment", PAYMENT, {"receipt": "R-1"}),
    ],
)
async def test_an_answer_that_cannot_be_read_is_no_answer(kind: str, request_: dict[str, Any], body: Any) -> None:
    async with partner([], 200, body) as http:
        with pytest.raises(httpx.DecodingError):
            await PARTNERS[kind].send(http, "r1", request_)


@pytest.mark.parametrize("status", [409, 422, 500, 503])
async def test_any_other_status_speaks_for_itself(status: int) -> None:
    async with partner([], status, {"whatever": 1}) as http:
        assert await PARTNERS["partner.cover"].send(http, "r1", COVER) == Answer(status, {})
