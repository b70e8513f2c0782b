"""A partner's rules and the key it signs them with, for the tests."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.packs import signed
from libs.runtime.signature import public_half
from tests.harness.bench import Bench

KEY = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"\2" * 32)
TABLE: dict[str, Any] = {
    "agreement": "reg-4321",
    "partner": "city-guarantee",
    "version": 1,
    "effective": "2025-07-01",
    "hit": "unique",
    "rules": [
        {"when": {"amount": {"below": "500000"}, "industry": {"not_in": ["mining"]}}, "verdict": "admit"},
        {
            "when": {"amount": {"from": "500000"}, "industry": {"not_in": ["mining"]}},
            "verdict": "refuse",
            "reason": "too_large",
        },
        {"when": {"industry": {"in": ["mining"]}}, "verdict": "refuse", "reason": "industry_closed"},
    ],
}


async def register_key(bench: Bench) -> None:
    """The partner's key is known from now on."""
    body = {"key_id": "k1", "public_key": public_half(KEY)}
    assert (await bench.post("/v1/partners/city-guarantee/keys", body, role="admin")).status_code == 201


async def hand_in(bench: Bench, **change: Any) -> None:
    """A version of the rules, signed as it should be."""
    table = TABLE | change
    answer = await bench.post(f"/v1/agreements/{table['agreement']}/packs", signed(table, KEY, "k1"), role="admin")
    assert answer.status_code == 201, answer.text
