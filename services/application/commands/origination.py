"""From referral to reconciled findings: consent first, then an application, then two sealed investigations."""

from __future__ import annotations

from dataclasses import dataclass, replace

from libs.events.application import (
    ApplicationSubmitted,
    Figures,
    InvestigationDisputed,
    InvestigationFiled,
    InvestigationOpened,
    InvestigationReconciled,
    ReferralReceived,
)
from libs.kernel.errors import Invalid, Refused
from libs.kernel.policy import Dated
from libs.runtime.keyring import Keyring
from libs.runtime.tx import Tx
from services.application.commands.deadlines import wait_for_decision
from services.application.commands.identity import grant_at_referral, keep_party
from services.application.commands.people import acting, named
from services.application.domain.facility import (
    Application,
    Facility,
    LendingTerms,
    Status,
    check_offer,
    check_status,
    in_currency,
)
from services.application.domain.identity import Person, erased
from services.application.domain.investigation import (
    Findings,
    Investigation,
    InvestigationTerms,
    agree,
    differences,
    filed,
    mode_for,
    prudent,
)
from services.application.domain.people import (
    CUSTOMER_MANAGER,
    REVIEWER,
    check_apart,
    check_pair,
    check_role,
    check_trained,
)
from services.application.store import FACILITIES, INVESTIGATIONS, PARTIES

INVESTIGATORS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Referral:
    """What a channel hands over about a customer who consented."""

    external_ref: str
    channel: str
    branch: str
    person: Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Referred:
    """The ids born with a referral."""

    facility_id: str
    borrower_id: str
    consent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvestigationState:
    """Where the two investigations stand after a filing or a resolution; no values."""

    facility_id: str
    mode: str
    status: Findings


async def receive_referral(tx: Tx, keyring: Keyring, facility_id: str, referral: Referral) -> Referred:
    """Open the facility's file; personal data goes sealed to the party's row and nowhere else."""
    borrower_id = keep_party(tx, keyring, referral.person)
    facility = Facility(
        facility_id=facility_id,
        external_ref=referral.external_ref,
        borrower_id=borrower_id,
        channel=referral.channel,
        branch=referral.branch,
        status=Status.REFERRED,
        referred_on=tx.date,
    )
    tx.put(FACILITIES, facility)
    tx.publish(
        ReferralReceived(
            facility_id=facility_id,
            external_ref=referral.external_ref,
            borrower_id=borrower_id,
            channel=referral.channel,
            branch=referral.branch,
        )
    )
    consent = grant_at_referral(tx, facility)
    return Referred(facility_id=facility_id, borrower_id=borrower_id, consent_id=consent.consent_id)


async def submit_application(
    tx: Tx, facility_id: str, application: Application, *, lead: str, assistant: str
) -> InvestigationState:
    """Register the application and name its two investigators; the mode follows the amount."""
    facility = await tx.get(FACILITIES, facility_id)
    check_status(facility, Status.REFERRED)
    check_pair(lead, assistant)
    party = await tx.get(PARTIES, facility.borrower_id)
    if party.erased_on is not None:
        raise erased(party)
    lending = tx.policy(LendingTerms, "application/lending")
    check_offer(application, lending.terms)
    for name in (lead, assistant):
        person = await named(tx, name)
        check_role(person, CUSTOMER_MANAGER)
        check_trained(person, tx.date)
    terms = tx.policy(InvestigationTerms, "application/investigation")
    mode = mode_for(application.amount, terms.terms)
    facility = replace(
        facility,
        status=Status.SUBMITTED,
        currency=application.amount.currency,
        application=application,
        lead=lead,
        assistant=assistant,
    )
    tx.put(FACILITIES, facility)
    tx.put(INVESTIGATIONS, Investigation(facility_id=facility_id, mode=mode, lead=lead, assistant=assistant))
    tx.publish(_submitted(facility, application), policy=lending.ref)
    tx.publish(
        InvestigationOpened(facility_id=facility_id, mode=mode, lead=lead, assistant=assistant), policy=terms.ref
    )
    wait_for_decision(tx, facility_id)
    return InvestigationState(facility_id=facility_id, mode=mode, status=Findings.OPEN)


def _submitted(facility: Facility, application: Application) -> ApplicationSubmitted:
    return ApplicationSubmitted(
        facility_id=facility.facility_id,
        borrower_id=facility.borrower_id,
        amount=application.amount,
        tenor_months=application.tenor_months,
        annual_rate=application.annual_rate,
        product=application.product,
        profile=application.profile,
        declared=application.declared,
        security=application.security,
        agreement=application.agreement,
        renews=application.renews,
    )


async def file_investigation(tx: Tx, facility_id: str, figures: Figures) -> InvestigationState:
    """Seal one finding; the second one opens both and reconciles or disputes them."""
    facility = await tx.get(FACILITIES, facility_id)
    check_status(facility, Status.SUBMITTED)
    investigation = filed(await tx.get(INVESTIGATIONS, facility_id), tx.actor, figures)
    await acting(tx, CUSTOMER_MANAGER)
    _check_currency(facility, figures)
    tx.publish(InvestigationFiled(facility_id=facility_id, investigator=tx.actor))
    if len(investigation.filings) == INVESTIGATORS:
        terms = tx.policy(InvestigationTerms, "application/investigation")
        investigation = _compare(tx, facility, investigation, terms)
    tx.put(INVESTIGATIONS, investigation)
    return InvestigationState(facility_id=facility_id, mode=investigation.mode, status=investigation.status)


def _compare(
    tx: Tx, facility: Facility, investigation: Investigation, terms: Dated[InvestigationTerms]
) -> Investigation:
    one, other = (filing.figures for filing in investigation.filings)
    found = differences(one, other, terms.terms.tolerance)
    if not agree(one, other, terms.terms.tolerance):
        tx.publish(InvestigationDisputed(facility_id=facility.facility_id, differences=found), policy=terms.ref)
        return replace(investigation, status=Findings.DISPUTED, differences=found)
    figures = prudent(one, other)
    tx.put(FACILITIES, replace(facility, figures=figures))
    tx.publish(
        InvestigationReconciled(facility_id=facility.facility_id, figures=figures, differences=found), policy=terms.ref
    )
    return replace(investigation, status=Findings.RECONCILED, differences=found)


async def resolve_investigation(tx: Tx, facility_id: str, figures: Figures) -> InvestigationState:
    """A third person settles a dispute field by field; the difference stays on record."""
    facility = await tx.get(FACILITIES, facility_id)
    check_status(facility, Status.SUBMITTED)
    investigation = await tx.get(INVESTIGATIONS, facility_id)
    if investigation.status is not Findings.DISPUTED:
        raise Refused("nothing_to_resolve", f"the findings are {investigation.status}")
    await acting(tx, CUSTOMER_MANAGER, REVIEWER)
    check_apart(tx.actor, facility.makers)
    _check_currency(facility, figures)
    tx.put(INVESTIGATIONS, replace(investigation, status=Findings.RECONCILED))
    tx.put(FACILITIES, replace(facility, figures=figures, resolver=tx.actor))
    tx.publish(
        InvestigationReconciled(
            facility_id=facility_id, figures=figures, differences=investigation.differences, resolved_by=tx.actor
        )
    )
    return InvestigationState(facility_id=facility_id, mode=investigation.mode, status=Findings.RECONCILED)


def _check_currency(facility: Facility, figures: Figures) -> None:
    if not in_currency(figures, facility.currency):
        raise Invalid("currency_mismatch", f"this file is kept in {facility.currency}")
