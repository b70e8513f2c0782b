"""Who may use which door, about what: the expected list, written by hand, against which every route is held.

A path that stands here for no route, or a route that stands not here, fails tests/hostile/test_roles.py.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from services.application.main import service as application
from services.collateral.main import service as collateral
from services.console.main import service as console
from services.guarantee.main import service as guarantee
from services.incentive.main import service as incentive
from services.rating.main import service as rating

SERVICES = {each.name: each for each in (application, collateral, console, guarantee, incentive, rating)}


class About(StrEnum):
    """What a door is about, and so what decides beside the role."""

    NOBODY = "nobody in particular"
    BRANCH = "one branch: another branch is turned away, 403 other_branch"
    LIST = "many branches: each sees what is within its reach"
    BANK = "the whole bank: only the head office, 403 head_office_needed"


class Rule(NamedTuple):
    """Who of the bank may use a door, what it is about, and by which scope a partner may use it, if it may.

    Without roles and without a scope nobody is asked for a token.
    """

    roles: frozenset[str]
    about: About = About.NOBODY
    scope: str = ""

    @property
    def open(self) -> bool:
        """Whether nobody is asked for a token."""
        return not self.roles and not self.scope


OPEN = Rule(frozenset())
BANK = frozenset(
    {
        *("admin", "appraiser", "approver", "auditor", "core_bank", "customer_manager", "data_provider"),
        *("disposal_agent", "inspector", "operator", "reviewer", "risk_director"),
    }
)
READERS = frozenset({"operator", "auditor", "admin"})
MONTH = Rule(BANK, About.BANK, scope="statements.read")
OF_PARTNER = Rule(frozenset({"admin"}), scope="webhooks.write")
OPERATOR = Rule(frozenset({"operator"}))


def _branch(*names: str) -> Rule:
    return Rule(frozenset(names), About.BRANCH)


def _bank(*names: str) -> Rule:
    return Rule(frozenset(names), About.BANK)


def _nobodys(*names: str) -> Rule:
    return Rule(frozenset(names))


def _partners(scope: str) -> Rule:
    """A door for partners alone."""
    return Rule(frozenset(), scope=scope)


COMMON = {
    "GET /openapi.json": OPEN,
    "GET /docs": OPEN,
    "GET /docs/oauth2-redirect": OPEN,
    "GET /redoc": OPEN,
    "GET /health/live": OPEN,
    "GET /health/ready": OPEN,
    "GET /metrics": OPEN,
    "GET /v1/ops/status": OPERATOR,
    "GET /v1/ops/applied": OPERATOR,
    "GET /v1/ops/parked": OPERATOR,
    "GET /v1/ops/parked/{key}": OPERATOR,
    "POST /v1/ops/parked/{key}/redrive": OPERATOR,
    "POST /v1/ops/discarded/{event_id}": OPERATOR,
    "GET /v1/ops/calls": OPERATOR,
    "POST /v1/ops/calls/{call_id}/retry": OPERATOR,
    "POST /v1/ops/calls/{call_id}/settle": OPERATOR,
}
OWN: dict[str, dict[str, Rule]] = {
    "application": {
        "POST /v1/staff": _branch("admin"),
        "GET /v1/staff/{staff_id}": _branch("admin", "auditor"),
        "POST /v1/referrals": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/application": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/investigations": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/investigations/resolution": _branch("customer_manager", "reviewer"),
        "POST /v1/facilities/{facility_id}/review": _branch("reviewer"),
        "POST /v1/facilities/{facility_id}/decision": _branch("approver"),
        "POST /v1/facilities/{facility_id}/contract": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/drawdowns": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/loans/{loan_id}/repayments": _branch("core_bank"),
        "POST /v1/facilities/{facility_id}/loans/{loan_id}/inspections": _branch("inspector"),
        "POST /v1/facilities/{facility_id}/loans/{loan_id}/write-off": _branch("approver"),
        "POST /v1/facilities/{facility_id}/loans/{loan_id}/extensions": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/loans/{loan_id}/extensions/{extension_id}/decision": _branch("approver"),
        "GET /v1/facilities": Rule(BANK, About.LIST),
        "GET /v1/facilities/{facility_id}": Rule(BANK, About.BRANCH),
        "GET /v1/loans/{loan_id}": Rule(BANK, About.BRANCH),
        "GET /v1/portfolio": Rule(BANK, About.LIST),
        "POST /v1/facilities/{facility_id}/consents": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/consents/{consent_id}/revocation": _branch(
            "customer_manager", "privacy_officer"
        ),
        "GET /v1/facilities/{facility_id}/borrower": _branch("customer_manager", "privacy_officer"),
        "POST /v1/facilities/{facility_id}/borrower/erasure": _branch("privacy_officer"),
        "POST /v1/identity-disclosures": _branch("identity_reader"),
        "GET /v1/identity-disclosures": _bank("privacy_officer"),
        "POST /v1/data-keys/rewrapping": _nobodys("privacy_officer"),
    },
    "collateral": {
        "POST /v1/facilities/{facility_id}/items/{item}/appraisals": _branch("appraiser"),
        "POST /v1/facilities/{facility_id}/items/{item}/registrations": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/items/{item}/junior-registrations": _branch("risk_director"),
        "POST /v1/facilities/{facility_id}/items/{item}/disposal": _branch("disposal_agent"),
        "POST /v1/indices": _nobodys("data_provider"),
        "GET /v1/facilities/{facility_id}": Rule(BANK, About.BRANCH),
    },
    "guarantee": {
        "POST /v1/partners": _nobodys("admin"),
        "POST /v1/partners/{partner_id}/standing": _nobodys("admin")._replace(scope="reports.write"),
        "POST /v1/partners/{partner_id}/exposures": _nobodys("admin")._replace(scope="reports.write"),
        "POST /v1/partners/{partner_id}/exposure-lists": _nobodys("admin")._replace(scope="reports.write"),
        "POST /v1/partners/{partner_id}/keys": _nobodys("admin"),
        "POST /v1/partners/{partner_id}/keys/{key_id}/revocation": _nobodys("admin"),
        "POST /v1/agreements": _nobodys("admin"),
        "POST /v1/agreements/{code}/packs": _nobodys("admin")._replace(scope="packs.write"),
        "GET /v1/cover-portfolio": _bank("risk_director", "auditor"),
        "GET /v1/agreements/{code}/packs/{pack_version}": Rule(BANK, scope="agreements.read"),
        "GET /v1/facilities/{facility_id}/pack-verdicts/{code}": Rule(BANK, About.BRANCH, scope="covers.read"),
        "POST /v1/agreements/{code}/signatures": _nobodys("admin")._replace(scope="agreements.sign"),
        "POST /v1/agreements/{code}/adoptions": _branch("admin"),
        "POST /v1/agreements/{code}/suspension": _nobodys("risk_director"),
        "POST /v1/agreements/{code}/reinstatement": _nobodys("risk_director"),
        "POST /v1/facilities/{facility_id}/premium-payments": _branch("core_bank"),
        "POST /v1/facilities/{facility_id}/claims": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/filings": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/loans/{loan_id}/changes": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/changes/{change_id}/answer": _branch("risk_director")._replace(
            scope="covers.answer"
        ),
        "POST /v1/facilities/{facility_id}/undertakings": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/undertakings/{undertaking_id}/perfection": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/disbursement-notices": _branch("customer_manager")._replace(
            scope="covers.answer"
        ),
        "POST /v1/facilities/{facility_id}/claims/{claim_id}/reimbursements": _branch("customer_manager")._replace(
            scope="reports.write"
        ),
        "POST /v1/facilities/{facility_id}/loss-notices": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/claims/{claim_id}/answers": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/claims/{claim_id}/appeals": _branch("customer_manager"),
        "POST /v1/facilities/{facility_id}/claims/{claim_id}/queries": _partners("claims.decide"),
        "GET /v1/agreements": Rule(BANK, scope="agreements.read"),
        "GET /v1/agreements/{code}": Rule(BANK, scope="agreements.read"),
        "GET /v1/facilities/{facility_id}": Rule(BANK, About.BRANCH, scope="covers.read"),
        "GET /v1/cover-requests": _partners("covers.read"),
        "GET /v1/partner-events": _partners("events.read"),
        "POST /v1/facilities/{facility_id}/cover-answers": _partners("covers.answer"),
        "POST /v1/batch-confirmations": _partners("covers.answer"),
        "POST /v1/facilities/{facility_id}/claims/{claim_id}/decision": _partners("claims.decide"),
        "POST /v1/facilities/{facility_id}/claims/{claim_id}/payments": _partners("claims.pay"),
        "POST /v1/facilities/{facility_id}/recoveries": _partners("reports.write"),
        "GET /v1/partners/{partner_id}/statements/{month}": MONTH,
        "GET /v1/partners/{partner_id}/statements/{month}/csv": MONTH,
        "GET /v1/partners/{partner_id}/statements/{month}/lines": MONTH,
        "GET /v1/partners/{partner_id}/statements/{month}/lines/csv": MONTH,
        "POST /v1/partners/{partner_id}/lists/{about}/{month}": _bank("customer_manager")._replace(
            scope="reports.write"
        ),
        "GET /v1/partners/{partner_id}/lists/{about}/{month}": MONTH,
        "GET /v1/partners/{partner_id}/lists/{about}/{month}/differences": MONTH,
        "GET /v1/partners/{partner_id}/recoveries/{month}": MONTH,
        "POST /v1/partners/{partner_id}/recoveries/{month}/answers": _bank("risk_director")._replace(
            scope="reports.write"
        ),
        "GET /v1/recoveries": MONTH,
        "GET /v1/agreements/{code}/runway": Rule(BANK),
        "GET /v1/cover-at-risk": Rule(BANK, About.BANK),
        "GET /v1/cover-at-risk/facilities": Rule(BANK, About.BANK),
        "GET /v1/facilities/{facility_id}/cover-at-risk": Rule(BANK, About.BRANCH),
        "POST /v1/facilities/{facility_id}/loans/{loan_id}/proofs": _branch("customer_manager"),
        "POST /v1/partners/{partner_id}/connections": _nobodys("admin"),
        "GET /v1/partners/{partner_id}/connections": _nobodys("admin", "auditor", "operator"),
        "POST /v1/partners/{partner_id}/webhooks": OF_PARTNER,
        "GET /v1/partners/{partner_id}/webhooks": Rule(BANK, scope="webhooks.read"),
        "POST /v1/partners/{partner_id}/webhooks/{endpoint_id}/keys": OF_PARTNER,
        "POST /v1/partners/{partner_id}/webhooks/{endpoint_id}/enabling": OF_PARTNER,
        "POST /v1/partners/{partner_id}/webhooks/{endpoint_id}/disabling": OF_PARTNER,
        "POST /v1/partners/{partner_id}/webhooks/{endpoint_id}/closing": OF_PARTNER,
        "POST /v1/partners/{partner_id}/webhooks/{endpoint_id}/replays": OF_PARTNER,
        "GET /v1/partners/{partner_id}/webhooks/{endpoint_id}/deliveries": Rule(BANK, scope="webhooks.read"),
    },
    "incentive": {
        "GET /v1/facilities/{facility_id}": _branch("admin", "auditor", "operator", "inspector", "approver"),
        "GET /v1/staff/{staff_id}": _bank("admin", "auditor"),
        "GET /v1/ledger": _bank("admin", "auditor", "operator"),
    },
    "rating": {
        "POST /v1/facilities/{facility_id}/source-records": _branch("data_provider"),
        "GET /v1/facilities/{facility_id}": Rule(BANK, About.BRANCH),
    },
    "console": {
        "GET /v1/counts": Rule(READERS),
        "GET /v1/facilities": Rule(READERS, About.LIST),
        "GET /v1/facilities/{facility_id}/story": Rule(READERS, About.BRANCH),
    },
}
# Pages send a visitor who may not look to the sign-in page.
PAGES = {
    "GET /": Rule(READERS),
    "GET /sign-in": OPEN,
    "POST /sign-in": OPEN,
    "POST /sign-out": OPEN,
    "GET /topics": Rule(READERS),
    "GET /facilities": Rule(READERS, About.LIST),
    "GET /facilities/{facility_id}": Rule(READERS, About.BRANCH),
    "GET /parked": OPERATOR,
    "GET /parked/key": OPERATOR,
    "POST /parked/redrive": OPERATOR,
    "POST /parked/discard": OPERATOR,
}


def doors_of(service: str) -> dict[str, Rule]:
    """ "METHOD /path" → the rule of every door of a service but the console's pages."""
    return {**COMMON, **OWN[service]}


def every_role() -> list[str]:
    """All roles of the bank, those of personal data, the partners', and one that nobody knows."""
    return sorted({*BANK, "privacy_officer", "identity_reader", "partner", "stranger"})
