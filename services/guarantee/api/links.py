"""Which call an answer leads to: the OpenAPI links from each route to those that its ids are for."""

from __future__ import annotations

from typing import Any

from libs.runtime.openapi import Link

_FACILITIES, _PARTNERS, _AGREEMENTS = "/v1/facilities/{facility_id}", "/v1/partners/{partner_id}", "/v1/agreements"
_AGREEMENT, _CLAIMS, _LOANS = f"{_AGREEMENTS}/{{code}}", f"{_FACILITIES}/claims", f"{_FACILITIES}/loans/{{loan_id}}"
_CLAIM, _HOOKS = f"{_CLAIMS}/{{claim_id}}", f"{_PARTNERS}/webhooks"
_HOOK, _STATEMENT = f"{_HOOKS}/{{endpoint_id}}", f"{_PARTNERS}/statements/{{month}}"
_LIST, _RECOVERED = f"{_PARTNERS}/lists/{{about}}/{{month}}", f"{_PARTNERS}/recoveries/{{month}}"
_CHANGES, _UNDERTAKINGS = f"{_LOANS}/changes", f"{_FACILITIES}/undertakings"


def _of(*names: str, at: str = "") -> dict[str, str]:
    """Parameters that have the names of fields of the answer (below `at`)."""
    return {name: f"$response.body#{at}/{name}" for name in names}


def _same(*names: str) -> dict[str, str]:
    """Path parameters that are those of the call before."""
    return {name: f"$request.path.{name}" for name in names}


def _on(where: str, given: dict[str, str], **body: Any) -> Link:
    return Link(where, given, body)


_HERE = _same("facility_id")
_SELF = _same("partner_id")
_LOAN = _of("loan_id", at="/loans/0")
_LOAN_HERE = _HERE | _LOAN
_CLAIM_HERE = _HERE | _of("claim_id", at="/claims/0")
_OF_CLAIM = _of("facility_id", "claim_id")
_FIRST_HOOK = _SELF | _of("endpoint_id", at="/0")
_SAME_HOOK = _same("partner_id", "endpoint_id")
_MONTH = _same("partner_id", "month")
_LISTED = _same("partner_id", "about", "month")
_CLAIMED = "$response.body#/claimed"


def _next(where: str, *names: str) -> Link:
    """The page after, of the same list."""
    return Link(where, _same(*names) | {"cursor": "$response.body#/next"}, {})


_COVERS: dict[str, tuple[Link, ...]] = {
    "GET /v1/cover-requests": (
        _on(
            f"POST {_FACILITIES}/cover-answers",
            _of("facility_id", at="/items/0"),
            cover_id="$response.body#/items/0/cover_id",
            accepted=True,
        ),
        _on(f"GET {_FACILITIES}", _of("facility_id", at="/items/0")),
        _next("GET /v1/cover-requests"),
    ),
    f"POST {_FACILITIES}/cover-answers": (
        _on(f"GET {_FACILITIES}", _of("facility_id")),
        _on(f"POST {_FACILITIES}/disbursement-notices", _of("facility_id")),
        _on(f"POST {_UNDERTAKINGS}", _of("facility_id")),
        _on(f"GET {_FACILITIES}/pack-verdicts/{{code}}", _of("facility_id") | {"code": "$response.body#/agreement"}),
    ),
    f"GET {_FACILITIES}": (
        _on(f"POST {_FACILITIES}/cover-answers", _HERE, cover_id="$response.body#/cover/cover_id", accepted=True),
        _on(f"POST {_FACILITIES}/premium-payments", _HERE, amount="$response.body#/loans/0/premium"),
        _on(f"POST {_FACILITIES}/filings", _HERE, **_LOAN),
        _on("POST /v1/batch-confirmations", {}, rows=[{"accepted": True, **_HERE, **_LOAN}]),
        _on(f"POST {_FACILITIES}/loss-notices", _HERE, **_LOAN),
        _on(f"POST {_LOANS}/proofs", _LOAN_HERE),
        _on(f"POST {_CHANGES}", _LOAN_HERE),
        _on(f"POST {_FACILITIES}/changes/{{change_id}}/answer", _HERE | _of("change_id", at="/changes/0")),
        _on(f"POST {_FACILITIES}/disbursement-notices", _HERE),
        _on(f"POST {_UNDERTAKINGS}", _HERE),
        _on(f"POST {_UNDERTAKINGS}/{{undertaking_id}}/perfection", _HERE | _of("undertaking_id", at="/undertakings/0")),
        _on(f"POST {_CLAIMS}", _HERE, partner="$response.body#/cover/partner", **_LOAN),
        _on(f"POST {_CLAIM}/queries", _CLAIM_HERE),
        _on(f"POST {_CLAIM}/answers", _CLAIM_HERE),
        _on(f"POST {_CLAIM}/decision", _CLAIM_HERE, accepted=True),
        _on(f"POST {_CLAIM}/appeals", _CLAIM_HERE),
        _on(f"POST {_CLAIM}/payments", _CLAIM_HERE, amount="$response.body#/claims/0/claimed"),
        _on(
            f"POST {_CLAIM}/reimbursements",
            _CLAIM_HERE,
            party="$response.body#/reimbursements/0/party",
            amount="$response.body#/reimbursements/0/amount",
        ),
        _on(f"POST {_FACILITIES}/recoveries", _HERE, **_LOAN),
        _on(f"GET {_FACILITIES}/pack-verdicts/{{code}}", _HERE | {"code": "$response.body#/cover/agreement"}),
        _on(f"GET {_FACILITIES}/cover-at-risk", _HERE),
    ),
    f"POST {_CHANGES}": (
        _on(f"POST {_FACILITIES}/changes/{{change_id}}/answer", _of("facility_id", "change_id"), consented=True),
    ),
    f"POST {_UNDERTAKINGS}": (
        _on(f"POST {_UNDERTAKINGS}/{{undertaking_id}}/perfection", _of("facility_id", "undertaking_id")),
    ),
    "GET /v1/cover-at-risk": (_on(f"GET {_STATEMENT}", {"partner_id": "$response.body#/0/partner"}),),
    "GET /v1/cover-at-risk/facilities": (
        _on(f"GET {_FACILITIES}", _of("facility_id", at="/items/0")),
        _on(f"GET {_FACILITIES}/cover-at-risk", _of("facility_id", at="/items/0")),
        _next("GET /v1/cover-at-risk/facilities"),
    ),
    f"GET {_FACILITIES}/cover-at-risk": (
        _on(f"POST {_LOANS}/proofs", _HERE | _of("loan_id", at="/0"), duty="$response.body#/0/gaps/0/duty"),
        _on(f"POST {_FACILITIES}/loss-notices", _HERE, **_of("loan_id", at="/0")),
    ),
}
_CLAIMS_LIFE: dict[str, tuple[Link, ...]] = {
    f"POST {_CLAIMS}": (
        _on(f"POST {_CLAIM}/decision", _HERE | _of("claim_id"), accepted=True),
        _on(f"POST {_CLAIM}/queries", _HERE | _of("claim_id")),
    ),
    f"POST {_CLAIM}/queries": (_on(f"POST {_CLAIM}/answers", _OF_CLAIM),),
    f"POST {_CLAIM}/answers": (_on(f"POST {_CLAIM}/decision", _OF_CLAIM, accepted=True),),
    f"POST {_CLAIM}/decision": (
        _on(f"POST {_CLAIM}/payments", _OF_CLAIM, amount=_CLAIMED, kind="final"),
        _on(f"POST {_CLAIM}/appeals", _OF_CLAIM),
    ),
    f"POST {_CLAIM}/appeals": (_on(f"POST {_CLAIM}/decision", _OF_CLAIM, accepted=True),),
    f"POST {_CLAIM}/payments": (
        _on(f"POST {_CLAIM}/reimbursements", _OF_CLAIM),
        _on(f"POST {_FACILITIES}/recoveries", _of("facility_id"), **_of("loan_id")),
    ),
}
_STANDING: dict[str, tuple[Link, ...]] = {
    "POST /v1/partners": (
        _on(f"POST {_PARTNERS}/keys", _of("partner_id")),
        _on(f"POST {_PARTNERS}/connections", _of("partner_id")),
        _on(f"POST {_HOOKS}", _of("partner_id")),
        _on(f"POST {_PARTNERS}/standing", _of("partner_id")),
        _on(f"POST {_PARTNERS}/exposures", _of("partner_id")),
        _on(f"POST {_PARTNERS}/exposure-lists", _of("partner_id")),
    ),
    f"POST {_PARTNERS}/keys": (
        _on(f"POST {_PARTNERS}/keys/{{key_id}}/revocation", _of("partner_id", "key_id")),
        _on(f"POST {_AGREEMENT}/packs", {}, signed_by="$response.body#/key_id"),
    ),
    f"POST {_PARTNERS}/connections": (_on(f"GET {_PARTNERS}/connections", _of("partner_id")),),
    f"POST {_HOOKS}": (
        _on(f"GET {_HOOKS}", _SELF),
        *(
            _on(f"{method} {_HOOK}/{what}", _SELF | _of("endpoint_id", at="/endpoint"))
            for method, what in (("POST", "keys"), ("POST", "disabling"), ("POST", "replays"), ("GET", "deliveries"))
        ),
    ),
    f"GET {_HOOKS}": (
        _on(f"POST {_HOOK}/closing", _FIRST_HOOK),
        _on(f"POST {_HOOK}/enabling", _FIRST_HOOK),
        _on(f"GET {_HOOK}/deliveries", _FIRST_HOOK),
    ),
    f"POST {_HOOK}/disabling": (_on(f"POST {_HOOK}/enabling", _SAME_HOOK),),
    f"POST {_HOOK}/enabling": (_on(f"POST {_HOOK}/replays", _SAME_HOOK),),
    f"POST {_AGREEMENTS}": (
        _on(
            f"POST {_AGREEMENT}/signatures",
            _of("code"),
            party="bank",
            effective="$response.body#/effective",
            digest="$response.body#/digest",
        ),
        _on(f"GET {_AGREEMENT}", _of("code")),
    ),
    f"POST {_AGREEMENT}/signatures": (
        _on(f"GET {_AGREEMENT}", _of("code")),
        _on(f"POST {_AGREEMENT}/adoptions", _of("code")),
        _on(f"POST {_AGREEMENT}/packs", _of("code")),
    ),
    f"GET {_AGREEMENTS}": (
        _on(f"GET {_AGREEMENT}", _of("code", at="/items/0/agreement")),
        _on(f"GET {_AGREEMENT}/runway", _of("code", at="/items/0/agreement")),
        _next(f"GET {_AGREEMENTS}"),
    ),
    f"GET {_AGREEMENT}": (
        _on(f"POST {_AGREEMENT}/adoptions", _same("code")),
        _on(f"POST {_AGREEMENT}/suspension", _same("code")),
        _on(f"GET {_AGREEMENT}/packs/{{pack_version}}", _same("code")),
        _on(f"GET {_AGREEMENT}/runway", _same("code")),
        _on(f"GET {_STATEMENT}", _of("partner_id", at="/agreement")),
    ),
    f"POST {_AGREEMENT}/suspension": (_on(f"POST {_AGREEMENT}/reinstatement", _of("code")),),
    f"POST {_AGREEMENT}/packs": (
        _on(
            f"GET {_AGREEMENT}/packs/{{pack_version}}",
            {"code": "$response.body#/code", "pack_version": "$response.body#/version"},
        ),
    ),
}
_MONTHS: dict[str, tuple[Link, ...]] = {
    "GET /v1/cover-portfolio": (_on(f"GET {_AGREEMENT}", {"code": "$response.body#/0/agreements/0/agreement"}),),
    "GET /v1/partner-events": (
        _on(f"GET {_FACILITIES}", {"facility_id": "$response.body#/items/0/subject"}),
        _next("GET /v1/partner-events"),
    ),
    f"GET {_STATEMENT}": (
        _on(f"GET {_STATEMENT}/csv", _MONTH),
        _on(f"GET {_STATEMENT}/lines", _MONTH),
        _on(f"GET {_STATEMENT}/lines/csv", _MONTH),
        _on(f"POST {_LIST}", _MONTH),
        _on(f"GET {_RECOVERED}", _MONTH),
    ),
    f"GET {_STATEMENT}/lines": (_next(f"GET {_STATEMENT}/lines", "partner_id", "month"),),
    f"GET {_HOOK}/deliveries": (_next(f"GET {_HOOK}/deliveries", "partner_id", "endpoint_id"),),
    f"GET {_LIST}/differences": (_next(f"GET {_LIST}/differences", "partner_id", "about", "month"),),
    f"POST {_LIST}": (
        _on(f"GET {_LIST}", _LISTED),
        _on(f"GET {_LIST}/differences", _LISTED | {"party": "$response.body#/party"}),
    ),
    "GET /v1/recoveries": (
        _on(
            f"GET {_RECOVERED}",
            {"partner_id": "$response.body#/items/0/partner", "month": "$response.body#/items/0/month"},
        ),
        _next("GET /v1/recoveries"),
    ),
    f"GET {_RECOVERED}": (
        _on(f"POST {_RECOVERED}/answers", _MONTH, side="$response.body#/partner", digest="$response.body#/digest"),
    ),
}
LINKS = _COVERS | _CLAIMS_LIFE | _STANDING | _MONTHS
