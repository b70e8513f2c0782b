"""Who may use which door: the expected list, written by hand, against which the routes of every service are held.

A path that stands here for no route, or a route that stands not here, fails tests/hostile/test_roles.py.
"""

from __future__ import annotations

from services.application.main import service as application
from services.collateral.main import service as collateral
from services.console.main import service as console
from services.guarantee.main import service as guarantee
from services.incentive.main import service as incentive
from services.rating.main import service as rating

SERVICES = {each.name: each for each in (application, collateral, console, guarantee, incentive, rating)}

NOBODY_ASKED = frozenset({"nobody is asked for a token"})
ANY_TOKEN = frozenset({"any good token"})
READERS = frozenset({"operator", "auditor", "admin"})


def _roles(*names: str) -> frozenset[str]:
    return frozenset(names)


COMMON = {
    "GET /openapi.json": NOBODY_ASKED,
    "GET /docs": NOBODY_ASKED,
    "GET /docs/oauth2-redirect": NOBODY_ASKED,
    "GET /redoc": NOBODY_ASKED,
    "GET /health/live": NOBODY_ASKED,
    "GET /health/ready": NOBODY_ASKED,
    "GET /ops/status": NOBODY_ASKED,
    "GET /ops/applied": NOBODY_ASKED,
    "GET /ops/parked": _roles("operator"),
    "GET /ops/parked/{key}": _roles("operator"),
    "POST /ops/parked/{key}/redrive": _roles("operator"),
    "POST /ops/discarded/{event_id}": _roles("operator"),
    "GET /ops/calls": _roles("operator"),
    "POST /ops/calls/{call_id}/retry": _roles("operator"),
    "POST /ops/calls/{call_id}/settle": _roles("operator"),
}
OWN: dict[str, dict[str, frozenset[str]]] = {
    "application": {
        "POST /v1/staff": _roles("admin"),
        "POST /v1/referrals": _roles("customer_manager"),
        "POST /v1/facilities/{facility_id}/application": _roles("customer_manager"),
        "POST /v1/facilities/{facility_id}/investigations": _roles("customer_manager"),
        "POST /v1/facilities/{facility_id}/investigations/resolution": _roles("customer_manager", "reviewer"),
        "POST /v1/facilities/{facility_id}/review": _roles("reviewer"),
        "POST /v1/facilities/{facility_id}/decision": _roles("approver"),
        "POST /v1/facilities/{facility_id}/contract": _roles("customer_manager"),
        "POST /v1/facilities/{facility_id}/drawdowns": _roles("customer_manager"),
        "POST /v1/facilities/{facility_id}/loans/{loan_id}/repayments": _roles("core_bank"),
        "POST /v1/facilities/{facility_id}/loans/{loan_id}/inspections": _roles("inspector"),
        "POST /v1/facilities/{facility_id}/loans/{loan_id}/write-off": _roles("approver"),
        "GET /v1/facilities": ANY_TOKEN,
        "GET /v1/facilities/{facility_id}": ANY_TOKEN,
        "GET /v1/loans/{loan_id}": ANY_TOKEN,
        "GET /v1/portfolio": ANY_TOKEN,
        "POST /v1/facilities/{facility_id}/consents": _roles("customer_manager"),
        "POST /v1/facilities/{facility_id}/consents/{consent_id}/revocation": _roles(
            "customer_manager", "privacy_officer"
        ),
        "GET /v1/facilities/{facility_id}/borrower": _roles("customer_manager", "privacy_officer"),
        "POST /v1/facilities/{facility_id}/borrower/erasure": _roles("privacy_officer"),
        "POST /v1/identity-disclosures": _roles("identity_reader"),
        "GET /v1/identity-disclosures": _roles("privacy_officer"),
        "POST /v1/data-keys/rewrapping": _roles("privacy_officer"),
    },
    "collateral": {
        "POST /v1/facilities/{facility_id}/items/{item}/appraisals": _roles("appraiser"),
        "POST /v1/facilities/{facility_id}/items/{item}/registrations": _roles("customer_manager"),
        "POST /v1/facilities/{facility_id}/items/{item}/junior-registrations": _roles("risk_director"),
        "POST /v1/facilities/{facility_id}/items/{item}/disposal": _roles("disposal_agent"),
        "POST /v1/indices": _roles("data_provider"),
        "GET /v1/facilities/{facility_id}": ANY_TOKEN,
    },
    "guarantee": {
        "POST /v1/partners": _roles("admin"),
        "POST /v1/agreements": _roles("admin"),
        "POST /v1/facilities/{facility_id}/premium-payments": _roles("core_bank"),
        "GET /v1/agreements": ANY_TOKEN,
        "GET /v1/agreements/{code}": ANY_TOKEN,
        "GET /v1/facilities/{facility_id}": ANY_TOKEN,
    },
    "incentive": {
        "GET /v1/facilities/{facility_id}": _roles("admin", "auditor", "operator", "inspector", "approver"),
        "GET /v1/staff/{staff_id}": _roles("admin", "auditor"),
        "GET /v1/ledger": _roles("admin", "auditor", "operator"),
    },
    "rating": {
        "POST /v1/facilities/{facility_id}/source-records": _roles("data_provider"),
        "GET /v1/facilities/{facility_id}": ANY_TOKEN,
    },
    "console": {
        "GET /v1/counts": READERS,
        "GET /v1/facilities": READERS,
        "GET /v1/facilities/{facility_id}/story": READERS,
    },
}
# Pages send a visitor who may not look to the sign-in page.
PAGES = {
    "GET /": NOBODY_ASKED,
    "GET /sign-in": NOBODY_ASKED,
    "POST /sign-in": NOBODY_ASKED,
    "POST /sign-out": NOBODY_ASKED,
    "GET /topics": READERS,
    "GET /facilities": READERS,
    "GET /facilities/{facility_id}": READERS,
    "GET /parked": _roles("operator"),
    "POST /parked/redrive": _roles("operator"),
}


def doors_of(service: str) -> dict[str, frozenset[str]]:
    """ "METHOD /path" → the roles that may use it, for every door of a service but the console's pages."""
    return {**COMMON, **OWN[service]}


def every_role() -> list[str]:
    """All roles of the bank, and one that nobody knows."""
    named = [roles for service in OWN for roles in doors_of(service).values()]
    return sorted({role for roles in (*named, *PAGES.values()) for role in roles if " " not in role} | {"stranger"})
