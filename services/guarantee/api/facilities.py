"""The door for what happens under one facility: premiums, filings, claims, reimbursements."""

from fastapi import APIRouter, Response

from libs.runtime.auth import BANK
from libs.runtime.http import Door
from libs.runtime.openapi import by_scope
from libs.runtime.parties import PartnerDoor
from libs.runtime.reading import PartnerReadDoor
from services.guarantee.api import scopes
from services.guarantee.api.bodies import InPath
from services.guarantee.api.claim_bodies import AppealIn, ClaimAnswerIn, ClaimIn, LossNoticeIn
from services.guarantee.api.facility_bodies import DisbursementNoticeIn, FilingIn, PremiumPaymentIn, ReimbursementIn
from services.guarantee.commands import cash, claim_life, claims, covers, defence, notices
from services.guarantee.commands.partner_answers import require_own_cover, require_own_leg
from services.guarantee.domain.cash import CashLeg
from services.guarantee.domain.claim import Claim
from services.guarantee.domain.cover import Cover
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.views import facilities as views

router = APIRouter(prefix="/v1")


@router.post("/facilities/{facility_id}/premium-payments", response_model=Cover)
async def pay_premium(facility_id: InPath, body: PremiumPaymentIn, door: Door) -> Response:
    """Core banking reports that a premium was paid, exactly as due (core_bank)."""
    door.require("core_bank")
    return await door.execute(lambda tx: defence.pay_premium(tx, facility_id, body.amount.money()), keys=[facility_id])


@router.get("/facilities/{facility_id}", response_model=views.FacilityView, openapi_extra=by_scope(scopes.COVERS_READ))
async def show_facility(facility_id: InPath, door: PartnerReadDoor) -> Response:
    """A facility's cover, its loans and claims; a partner's only where the cover is that partner's."""
    door.require(*BANK, scope=scopes.COVERS_READ)
    return await door.query(lambda tx: views.facility(tx, facility_id, door.caller.party), key=facility_id)


@router.post("/facilities/{facility_id}/claims", response_model=claims.ClaimDecision)
async def file_claim(facility_id: InPath, body: ClaimIn, door: Door) -> Response:
    """Claim a loss (理赔); a claim that breaks a rule is refused with its code and an event (customer_manager)."""
    door.require("customer_manager")
    return await door.execute(
        lambda tx: claims.file_claim(tx, facility_id, body.loan_id, body.demand()), keys=[facility_id]
    )


@router.post("/facilities/{facility_id}/filings", response_model=CoveredLoan)
async def file_drawdown(facility_id: InPath, body: FilingIn, door: Door) -> Response:
    """Note that a batch drawdown was filed with the partner (customer_manager)."""
    door.require("customer_manager")
    return await door.execute(lambda tx: covers.file_drawdown(tx, facility_id, body.loan_id), keys=[facility_id])


@router.post(
    "/facilities/{facility_id}/disbursement-notices",
    response_model=Cover,
    openapi_extra=by_scope(scopes.COVERS_ANSWER),
)
async def issue_notice(facility_id: InPath, body: DisbursementNoticeIn, door: PartnerDoor) -> Response:
    """The guarantor issues its disbursement notice, or it is put on record; where one was agreed, core banking pays
    after it (customer_manager; scope covers.answer)."""
    door.require("customer_manager", scope=scopes.COVERS_ANSWER)
    return await door.execute(
        lambda tx: notices.issue_notice(tx, facility_id, body.number),
        keys=[facility_id],
        own=lambda tx: require_own_cover(tx, facility_id, door.caller.party),
    )


@router.post(
    "/facilities/{facility_id}/claims/{claim_id}/reimbursements",
    response_model=CashLeg,
    openapi_extra=by_scope(scopes.REPORTS_WRITE),
)
async def take_reimbursement(
    facility_id: InPath, claim_id: InPath, body: ReimbursementIn, door: PartnerDoor
) -> Response:
    """Note that a party behind the partner gave it money: by the one's word or the other's, each receipt once
    (customer_manager; scope reports.write)."""
    door.require("customer_manager", scope=scopes.REPORTS_WRITE)
    return await door.execute(
        lambda tx: cash.take_reimbursement(
            tx, facility_id, claim_id, party=body.party, amount=body.amount.money(), receipt=body.receipt
        ),
        keys=[facility_id],
        own=lambda tx: require_own_leg(tx, facility_id, claim_id, body.party, door.caller.party),
    )


@router.post("/facilities/{facility_id}/loss-notices", response_model=CoveredLoan)
async def notify_loss(facility_id: InPath, body: LossNoticeIn, door: Door) -> Response:
    """Give the partner notice of a loan in arrears (报案), once (customer_manager)."""
    door.require("customer_manager")
    return await door.execute(lambda tx: defence.notify_loss(tx, facility_id, body.loan_id), keys=[facility_id])


@router.post("/facilities/{facility_id}/claims/{claim_id}/answers", response_model=Claim)
async def answer_query(facility_id: InPath, claim_id: InPath, body: ClaimAnswerIn, door: Door) -> Response:
    """Answer what the partner asked about a claim (customer_manager)."""
    door.require("customer_manager")
    evidence = tuple(document.evidence() for document in body.evidence)
    return await door.execute(
        lambda tx: claim_life.answer_query(tx, facility_id, claim_id, evidence), keys=[facility_id]
    )


@router.post("/facilities/{facility_id}/claims/{claim_id}/appeals", response_model=Claim)
async def appeal_claim(facility_id: InPath, claim_id: InPath, body: AppealIn, door: Door) -> Response:
    """Appeal against the denial of a claim, once and within the days agreed (customer_manager)."""
    door.require("customer_manager")
    grounds, evidence = tuple(body.grounds), tuple(document.evidence() for document in body.evidence)
    return await door.execute(
        lambda tx: claim_life.appeal_claim(tx, facility_id, claim_id, grounds, evidence), keys=[facility_id]
    )
