"""What guarantee does with events of others: application tells the loan's story, rating how good the borrower is,
collateral what becomes of the security."""

from __future__ import annotations

from libs.events.application import (
    ApplicationRefused,
    ApplicationSubmitted,
    ConsentGranted,
    ConsentRevoked,
    FacilityGranted,
    InspectionCompleted,
    LoanClosed,
    LoanCured,
    LoanDisbursed,
    LoanOverdue,
    RecoveryReceived,
    RepaymentReceived,
)
from libs.events.application_upkeep import ExtensionApproved
from libs.events.collateral import CollateralDisposed, CollateralOffered, CollateralPerfected, CollateralReleased
from libs.events.envelope import Meta
from libs.events.rating import InformationDisputed, InformationVerified, RatingAssigned
from libs.runtime.service import Reactions
from libs.runtime.tx import Tx
from services.guarantee.commands import (
    changes,
    claims,
    connections,
    covers,
    defence,
    notices,
    premiums,
    recovered,
    requests,
    undertakings,
)


async def consent_granted(tx: Tx, event: ConsentGranted, _: Meta) -> None:
    await connections.note_consent(tx, event)


async def consent_revoked(tx: Tx, event: ConsentRevoked, _: Meta) -> None:
    await connections.note_revocation(tx, event)


async def application_submitted(tx: Tx, event: ApplicationSubmitted, _: Meta) -> None:
    await requests.note_application(tx, event)


async def information_checked(tx: Tx, event: InformationVerified | InformationDisputed, _: Meta) -> None:
    await requests.note_size(tx, event)


async def rating_assigned(tx: Tx, event: RatingAssigned, _: Meta) -> None:
    await requests.note_rating(tx, event)


async def application_refused(tx: Tx, event: ApplicationRefused, _: Meta) -> None:
    await covers.note_refusal(tx, event)
    await undertakings.release(tx, event.facility_id)


async def facility_granted(tx: Tx, event: FacilityGranted, _: Meta) -> None:
    await notices.ask_to_bind(tx, event)


async def loan_disbursed(tx: Tx, event: LoanDisbursed, _: Meta) -> None:
    await covers.activate_cover(tx, event)


async def extension_approved(tx: Tx, event: ExtensionApproved, _: Meta) -> None:
    await changes.note_extension(tx, event)


async def repayment_received(tx: Tx, event: RepaymentReceived, _: Meta) -> None:
    await covers.note_repayment(tx, event)


async def loan_overdue(tx: Tx, event: LoanOverdue, _: Meta) -> None:
    await claims.note_overdue(tx, event)
    await defence.look(tx, event.facility_id)


async def loan_cured(tx: Tx, event: LoanCured, _: Meta) -> None:
    await claims.note_cure(tx, event)
    await defence.look(tx, event.facility_id)


async def recovery_received(tx: Tx, event: RecoveryReceived, _: Meta) -> None:
    await recovered.share_or_hold_recovery(tx, event)


async def loan_closed(tx: Tx, event: LoanClosed, _: Meta) -> None:
    await premiums.refund_unearned(tx, event)
    await claims.close_loan(tx, event)
    await undertakings.note_closing(tx, event)
    await defence.look(tx, event.facility_id)


async def collateral_disposed(tx: Tx, event: CollateralDisposed, _: Meta) -> None:
    await recovered.note_sale(tx, event)
    await defence.note_security(tx, event)


async def security_noted(tx: Tx, event: CollateralOffered | CollateralPerfected | CollateralReleased, _: Meta) -> None:
    await defence.note_security(tx, event)


async def inspection_completed(tx: Tx, event: InspectionCompleted, _: Meta) -> None:
    await defence.note_inspection(tx, event)


REACTIONS: Reactions = {
    ConsentGranted: consent_granted,
    ConsentRevoked: consent_revoked,
    ApplicationSubmitted: application_submitted,
    InformationVerified: information_checked,
    InformationDisputed: information_checked,
    RatingAssigned: rating_assigned,
    ApplicationRefused: application_refused,
    FacilityGranted: facility_granted,
    LoanDisbursed: loan_disbursed,
    ExtensionApproved: extension_approved,
    RepaymentReceived: repayment_received,
    LoanOverdue: loan_overdue,
    LoanCured: loan_cured,
    RecoveryReceived: recovery_received,
    LoanClosed: loan_closed,
    CollateralDisposed: collateral_disposed,
    CollateralOffered: security_noted,
    CollateralPerfected: security_noted,
    CollateralReleased: security_noted,
    InspectionCompleted: inspection_completed,
}
