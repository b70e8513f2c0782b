"""What holds for every partner's token: how often it may knock, and which certificate it is bound to."""

from __future__ import annotations

import base64
import hashlib
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest

from libs.runtime.certificates import thumbprint_of
from libs.runtime.rates import Rates
from services.guarantee.main import service
from tests.harness.bench import Bench

DER = b"any bytes: only their digest counts" * 9
PEM = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(DER).decode()}-----END CERTIFICATE-----\n"
BYTES = f":{base64.b64encode(DER).decode()}:"
THUMBPRINT = base64.urlsafe_b64encode(hashlib.sha256(DER).digest()).rstrip(b"=").decode()
Benches = Callable[..., Bench]


def test_a_minute_begins_with_the_first_request_and_ends_with_all_left_again() -> None:
    rates = Rates()
    counted = [rates.count("a", 2, now) for now in (0.0, 10.0, 59.4, 60.0)]
    assert [admitted for admitted, _ in counted] == [True, True, False, True]
    assert [headers["ratelimit-remaining"] for _, headers in counted] == ["1", "0", "0", "1"]
    assert [headers["ratelimit-reset"] for _, headers in counted] == ["60", "50", "1", "60"]
    assert [headers.get("retry-after") for _, headers in counted] == [None, None, "1", None]
    assert rates.count("b", 2, 59.5)[0], "each caller has its own"


async def test_a_partner_learns_how_often_it_may_still_ask_and_the_bank_is_not_counted(bench: Benches) -> None:
    async with bench(service, partner_requests_minute_max=2) as b:

        async def ask(party: str, role: str = "partner", actor: str = "client") -> Any:
            headers = b.bearer(actor, role, party=party, scope="agreements.read")
            return await b.http.get("/v1/agreements", headers=headers)

        first, second, third = [await ask("p1") for _ in range(3)]
        left = [answer.headers["ratelimit-remaining"] for answer in (first, second, third)]
        assert ([a.status_code for a in (first, second, third)], left) == ([200, 200, 429], ["1", "0", "0"])
        assert (third.json()["code"], third.headers["ratelimit-limit"]) == ("rate_exceeded", "2")
        assert 0 < int(third.headers["retry-after"]) <= 60
        assert (await ask("p2")).status_code == 200, "another partner's client of the same name"
        banks = [await ask("", role="operator", actor="o") for _ in range(3)]
        assert all(a.status_code == 200 and "ratelimit-limit" not in a.headers for a in banks)


@pytest.mark.parametrize("passed", [BYTES, urllib.parse.quote(PEM), urllib.parse.quote(PEM.strip())])
async def test_a_bound_token_opens_only_with_its_certificate(bench: Benches, passed: str) -> None:
    async with bench(service, client_certificate_header="Client-Cert") as b:
        token = b.issuer.token("c", "partner", party="p", scope="agreements.read", certificate=THUMBPRINT)

        async def ask(*more: tuple[str, str]) -> int:
            headers = [("authorization", f"Bearer {token}"), *more]
            return (await b.http.get("/v1/agreements", headers=headers)).status_code

        other = f":{base64.b64encode(b'another').decode()}:"
        assert await ask(("client-cert", passed)) == 200
        for more in ([], [other], [""], ["nonsense"], [":not base64:"], [passed, other], [passed, passed]):
            assert await ask(*(("client-cert", value) for value in more)) == 401, more
        assert await ask(("x-client-cert", passed)) == 401, "no other header is believed"


async def test_where_no_header_is_named_a_bound_token_is_refused_and_others_need_none(bench: Benches) -> None:
    async with bench(service) as b:
        for certificate, status in ((THUMBPRINT, 401), ("", 200)):
            token = b.issuer.token("c", "partner", party="p", scope="agreements.read", certificate=certificate)
            headers = {"authorization": f"Bearer {token}", "client-cert": BYTES}
            assert (await b.http.get("/v1/agreements", headers=headers)).status_code == status


def test_what_is_no_certificate_has_no_thumbprint() -> None:
    assert thumbprint_of([BYTES]) == THUMBPRINT
    for values in ([], ["::"], [":"], ["-----BEGIN CERTIFICATE-----"], [base64.b64encode(DER).decode()]):
        assert thumbprint_of(values) in ("", thumbprint_of([])), values
        assert thumbprint_of(values) != THUMBPRINT
