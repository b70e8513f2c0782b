"""The door for extensions of a loan: a manager asks, an approver decides."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import Field

from libs.runtime.http import Day, Door
from services.application.api import Body, FacilityId, LoanId, Text
from services.application.commands import extensions
from services.application.domain.extension import Extension
from services.application.domain.people import APPROVER, CUSTOMER_MANAGER

router = APIRouter(prefix="/v1/facilities/{facility_id}/loans/{loan_id}/extensions")
ExtensionId = Annotated[str, Path(min_length=1, max_length=64)]


class ExtensionIn(Body):
    """The new last day to repay, and the document in which the borrower agreed to it."""

    maturity: Day
    document: Text


class ExtensionDecisionIn(Body):
    """The approver's word; a refusal names its reason."""

    decision: Literal["approve", "refuse"]
    reason: Annotated[str, Field(max_length=200)] = ""


@router.post("", status_code=201, response_model=Extension)
async def ask_extension(facility_id: FacilityId, loan_id: LoanId, body: ExtensionIn, door: Door) -> Response:
    """Ask for a later maturity, before the loan is due (customer manager)."""
    door.require(CUSTOMER_MANAGER)
    return await door.execute(
        lambda tx: extensions.ask_extension(tx, facility_id, loan_id, body.maturity, body.document),
        keys=[facility_id],
        status=201,
    )


@router.post("/{extension_id}/decision", response_model=Extension)
async def decide_extension(
    facility_id: FacilityId, loan_id: LoanId, extension_id: ExtensionId, body: ExtensionDecisionIn, door: Door
) -> Response:
    """Approve within authority, or refuse; under cover it takes effect once the guarantor consents (approver)."""
    door.require(APPROVER)
    if body.decision == "approve":
        return await door.execute(
            lambda tx: extensions.approve_extension(tx, facility_id, loan_id, extension_id), keys=[facility_id]
        )
    return await door.execute(
        lambda tx: extensions.refuse_extension(tx, facility_id, loan_id, extension_id, body.reason), keys=[facility_id]
    )
