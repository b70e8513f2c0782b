"""Who the borrower is, asked of application's identity door: under a consent, for a purpose, for one partner.

The door judges and records each request; what it tells is handed on and never kept here.
"""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from libs.runtime.calls import CALL_TIMEOUT_SECONDS
from libs.runtime.outward import Direct
from libs.runtime.telemetry import carry_trace
from libs.runtime.wiring import Parts
from services.guarantee.domain.connection import Consent

CREATED = 201
REFUSALS = (403, 404, 409, 410)
"""The door will not tell: no consent covers it, it was withdrawn, or the person was erased."""


class Withheld(Exception):
    """The borrower's identity may not be told to this partner."""


async def disclosed(parts: Parts, consent: Consent, *, purpose: str, partner: str) -> dict[str, str]:
    """The fields that the purpose needs; raises Withheld, or HTTPError while the door gives no answer."""
    path = parts.settings.identity_token_path
    if path is None:
        raise httpx.ConnectError("IDENTITY_TOKEN_PATH is not set: nobody's identity can be asked for")
    headers = {"authorization": f"Bearer {path.read_text().strip()}", "idempotency-key": str(uuid.uuid4())}
    asked = {
        "facility_id": consent.facility_id,
        "consent_id": consent.consent_id,
        "purpose": purpose,
        "partner": partner,
    }
    async with _open(
        base_url=parts.settings.identity_url,
        timeout=CALL_TIMEOUT_SECONDS,
        headers=headers,
        trust_env=False,
        event_hooks={"request": [carry_trace]},
    ) as http:
        response = await http.post("/v1/identity-disclosures", json=asked)
    if response.status_code == CREATED:
        fields: dict[str, str] = response.json()["fields"]
        return fields
    if response.status_code in REFUSALS and response.json().get("code") not in ("role_needed", "other_branch"):
        raise Withheld(response.json().get("code", ""))
    raise httpx.HTTPError(f"the identity door answered {response.status_code}")


def _open(**words: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=Direct(), **words)
