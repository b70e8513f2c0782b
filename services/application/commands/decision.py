"""Review and decision: opinions only on a complete file, decisions only with authority and no part in the file."""

from __future__ import annotations

from dataclasses import dataclass, replace

from libs.events.application import (
    ApplicationApproved,
    ApplicationRefused,
    ApplicationReviewed,
    FacilityGranted,
)
from libs.kernel.calendar import add_months
from libs.kernel.errors import Refused
from libs.runtime.tx import Tx
from services.application.commands.deadlines import DECISION, wait_ended
from services.application.commands.people import acting
from services.application.domain.authority import AuthorityTerms, check_authority, check_reasoned
from services.application.domain.deadlines import DECIDED_BY, UNDECIDED, undecided
from services.application.domain.facility import Facility, LendingTerms, Review, Status, check_status
from services.application.domain.people import APPROVER, REVIEWER, check_apart
from services.application.domain.review import APPROVE, REFUSE, Recommendation, ReviewTerms, recommend
from services.application.store import FACILITIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Where the facility stands after the decision."""

    facility_id: str
    status: Status
    recommendation: str


async def review_application(tx: Tx, facility_id: str, opinion: str) -> Recommendation:
    """Record the reviewer's opinion with our own recommendation beside it."""
    facility = await tx.get(FACILITIES, facility_id)
    check_status(facility, Status.SUBMITTED)
    await acting(tx, REVIEWER)
    check_apart(tx.actor, facility.makers)
    terms = tx.policy(ReviewTerms, "application/review")
    ours = recommend(facility, terms.terms)
    review = Review(
        reviewer=tx.actor,
        opinion=opinion,
        recommendation=ours.recommendation,
        reasons=ours.reasons,
        policy=terms.ref,
    )
    tx.put(FACILITIES, replace(facility, status=Status.REVIEWED, review=review))
    tx.publish(
        ApplicationReviewed(
            facility_id=facility_id,
            reviewer=tx.actor,
            opinion=opinion,
            recommendation=ours.recommendation,
            reasons=ours.reasons,
        ),
        policy=terms.ref,
    )
    return ours


async def approve_application(tx: Tx, facility_id: str, reasons: tuple[str, ...]) -> Decided:
    """Grant the facility: amount × grade within the approver's level; against our recommendation only with a reason."""
    facility, review, level = await _file_for_decision(tx, facility_id, APPROVE, reasons)
    amount = facility.applied.amount
    authority = tx.policy(AuthorityTerms, "application/authority")
    check_authority(level, facility.grade, amount, authority.terms)
    lending = tx.policy(LendingTerms, "application/lending")
    valid_until = add_months(tx.date, lending.terms.validity_months)
    approved = replace(
        facility,
        status=Status.APPROVED,
        approver=tx.actor,
        decision_reasons=reasons,
        limit=amount,
        valid_until=valid_until,
    )
    wait_ended(tx, DECISION, facility_id)
    tx.put(FACILITIES, approved)
    tx.publish(
        ApplicationApproved(
            facility_id=facility_id,
            approver=tx.actor,
            amount=amount,
            grade=facility.grade,
            recommendation=review.recommendation,
            reasons=reasons,
        ),
        policy=authority.ref,
    )
    tx.publish(
        FacilityGranted(
            facility_id=facility_id, borrower_id=facility.borrower_id, limit=amount, valid_until=valid_until
        ),
        policy=lending.ref,
    )
    return Decided(facility_id=facility_id, status=Status.APPROVED, recommendation=review.recommendation)


async def refuse_application(tx: Tx, facility_id: str, reasons: tuple[str, ...]) -> Decided:
    """Refuse the application: a decision with reasons, and the end of the file."""
    facility, review, _ = await _file_for_decision(tx, facility_id, REFUSE, reasons)
    wait_ended(tx, DECISION, facility_id)
    _refuse(tx, facility, tx.actor, reasons, policy=review.policy)
    return Decided(facility_id=facility_id, status=Status.REFUSED, recommendation=review.recommendation)


async def refuse_undecided(tx: Tx, facility_id: str) -> None:
    """The time for a decision is over: the application is refused, naming what it was still waiting for."""
    facility = await tx.get(FACILITIES, facility_id)
    if facility.status in UNDECIDED:
        _refuse(tx, facility, DECIDED_BY, undecided(facility))


def _refuse(tx: Tx, facility: Facility, decided_by: str, reasons: tuple[str, ...], policy: str = "") -> None:
    tx.put(FACILITIES, replace(facility, status=Status.REFUSED, approver=decided_by, decision_reasons=reasons))
    refused = ApplicationRefused(facility_id=facility.facility_id, decided_by=decided_by, reasons=reasons)
    tx.publish(refused, policy=policy)


async def _file_for_decision(
    tx: Tx, facility_id: str, decision: str, reasons: tuple[str, ...]
) -> tuple[Facility, Review, str]:
    """The reviewed file and the approver's level, once the approver is known to be apart from everyone on it."""
    facility = await tx.get(FACILITIES, facility_id)
    check_status(facility, Status.REVIEWED)
    if facility.review is None:
        raise Refused("not_reviewed", "a review comes before the decision")
    approver = await acting(tx, APPROVER)
    check_apart(tx.actor, (*facility.makers, facility.review.reviewer))
    check_reasoned(decision, facility.review.recommendation, reasons)
    return facility, facility.review, approver.level
