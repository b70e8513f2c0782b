"""What core banking's answers mean: yes, a definite no, or nothing known yet."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from libs.runtime.calls import Answer
from services.application.partners import disburse, inquire

Handler = Callable[[httpx.Request], httpx.Response]
REQUEST: dict[str, Any] = {"facility_ref": "f", "amount": "1.00", "currency": "CNY", "business_date": "2025-09-08"}


def core_bank(handler: Handler) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(handler), base_url="http://core")


def always(status: int, **content: Any) -> Handler:
    return lambda _: httpx.Response(status, **content)


async def test_the_payment_is_asked_for_under_our_reference() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"paid": True})

    async with core_bank(handler) as http:
        assert await disburse(http, "loan", REQUEST) == Answer(200, {"paid": True})
        assert await inquire(http, "loan", REQUEST) == Answer(200, {"paid": True})
    assert [(request.method, request.url.path) for request in seen] == [
        ("POST", "/disbursements"),
        ("GET", "/disbursements/loan"),
    ]
    assert json.loads(seen[0].content) == {"reference": "loan", **REQUEST}


async def test_a_definite_no_may_come_without_a_body() -> None:
    async with core_bank(always(422, text="no")) as http:
        assert await disburse(http, "loan", REQUEST) == Answer(422, {})


@pytest.mark.parametrize("status", [408, 425, 429])
async def test_not_now_is_not_a_no(status: int) -> None:
    async with core_bank(always(status)) as http:
        with pytest.raises(httpx.HTTPStatusError):
            await disburse(http, "loan", REQUEST)


@pytest.mark.parametrize("content", [{"text": "<html>"}, {"json": ["paid"]}])
async def test_a_success_nobody_can_read_is_not_a_yes(content: dict[str, Any]) -> None:
    async with core_bank(always(200, **content)) as http:
        with pytest.raises(ValueError):  # noqa: PT011 - whatever the reason, the runtime keeps asking
            await disburse(http, "loan", REQUEST)


async def test_a_reference_nobody_has_heard_of_is_safe_to_send() -> None:
    async with core_bank(always(404)) as http:
        assert await inquire(http, "loan", REQUEST) is None


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_an_inquiry_that_fails_says_nothing_about_the_payment(status: int) -> None:
    async with core_bank(always(status)) as http:
        with pytest.raises(httpx.HTTPStatusError):
            await inquire(http, "loan", REQUEST)
