"""The door for what happens under one facility: premiums, filings, claims, reimbursements."""

from fastapi import APIRouter, Response

from libs.runtime.auth import BANK, PARTNER
from libs.runtime.http import Door
from libs.runtime.reading import PartnerReadDoor
from services.guarantee import views
from services.guarantee.api.bodies import ClaimIn, FilingIn, InPath, NoticeIn, PremiumPaymentIn, ReimbursementIn
from services.guarantee.commands import cash, claims, covers, notices
from services.guarantee.domain.cash import CashLeg
from services.guarantee.domain.cover import Cover
from services.guarantee.domain.loan import CoveredLoan

router = APIRouter(prefix="/v1")


@router.post("/facilities/{facility_id}/premium-payments", response_model=Cover)
async def pay_premium(facility_id: InPath, body: PremiumPaymentIn, door: Door) -> Response:
    """Core banking reports that a premium was paid, exactly as due (core_bank)."""
    door.require("core_bank")
    return await door.execute(lambda tx: covers.pay_premium(tx, facility_id, body.amount.money()), keys=[facility_id])


@router.get("/facilities/{facility_id}", response_model=views.FacilityView)
async def show_facility(facility_id: InPath, door: PartnerReadDoor) -> Response:
    """A facility's cover, its loans and claims; a partner's only where the cover is that partner's."""
    door.require(*BANK, PARTNER)
    return await door.query(lambda tx: views.facility(tx, facility_id, door.caller.party), key=facility_id)


@router.post("/facilities/{facility_id}/claims", response_model=claims.ClaimDecision)
async def file_claim(facility_id: InPath, body: ClaimIn, door: Door) -> Response:
    """Claim a loss; a claim that breaks a rule is refused with its code and an event (customer_manager)."""
    door.require("customer_manager")
    return await door.execute(
        lambda tx: claims.file_claim(tx, facility_id, body.loan_id, body.demand()), keys=[facility_id]
    )


@router.post("/facilities/{facility_id}/filings", response_model=CoveredLoan)
async def file_drawdown(facility_id: InPath, body: FilingIn, door: Door) -> Response:
    """Note that a batch drawdown was filed with the partner (customer_manager)."""
    door.require("customer_manager")
    return await door.execute(lambda tx: covers.file_drawdown(tx, facility_id, body.loan_id), keys=[facility_id])


@router.post("/facilities/{facility_id}/disbursement-notices", response_model=Cover)
async def issue_notice(facility_id: InPath, body: NoticeIn, door: Door) -> Response:
    """Put the guarantor's disbursement notice on record; where one was agreed, core banking pays after it
    (customer_manager)."""
    door.require("customer_manager")
    return await door.execute(lambda tx: notices.issue_notice(tx, facility_id, body.number), keys=[facility_id])


@router.post("/facilities/{facility_id}/claims/{claim_id}/reimbursements", response_model=CashLeg)
async def take_reimbursement(facility_id: InPath, claim_id: InPath, body: ReimbursementIn, door: Door) -> Response:
    """Note that a party behind the partner gave it money (customer_manager)."""
    door.require("customer_manager")
    return await door.execute(
        lambda tx: cash.take_reimbursement(
            tx, facility_id, claim_id, party=body.party, amount=body.amount.money(), receipt=body.receipt
        ),
        keys=[facility_id],
    )
