"""The door for changes of a covered loan and for the partner's consent to them."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.runtime.http import Day, Door
from libs.runtime.openapi import by_scope
from libs.runtime.parties import PartnerDoor
from services.guarantee.api import scopes
from services.guarantee.api.bodies import Fraction, InPath, Text
from services.guarantee.commands import changes
from services.guarantee.commands.partner_answers import require_own_cover
from services.guarantee.domain.change import Change, ChangeKind

router = APIRouter(prefix="/v1")


class ChangeIn(BaseModel):
    """The loan's new terms, all of them, and the document that agreed them with the borrower."""

    model_config = ConfigDict(extra="forbid")

    kind: ChangeKind
    annual_rate: Fraction
    maturity: Day
    document: Text


class ConsentIn(BaseModel):
    """The partner's written answer; a refusal names its reason."""

    model_config = ConfigDict(extra="forbid")

    consented: bool
    reason: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")] = ""


@router.post("/facilities/{facility_id}/loans/{loan_id}/changes", status_code=201, response_model=Change)
async def propose_change(facility_id: InPath, loan_id: InPath, body: ChangeIn, door: Door) -> Response:
    """New terms of a covered loan (批改): lighter ones are endorsed, for heavier ones the partner is asked
    (customer_manager)."""
    door.require("customer_manager")
    return await door.execute(
        lambda tx: changes.propose_change(
            tx,
            facility_id,
            loan_id,
            body.kind,
            annual_rate=body.annual_rate,
            maturity=body.maturity,
            document=body.document,
        ),
        keys=[facility_id],
        status=201,
    )


@router.post(
    "/facilities/{facility_id}/changes/{change_id}/answer",
    response_model=Change,
    openapi_extra=by_scope(scopes.COVERS_ANSWER),
)
async def answer_change(facility_id: InPath, change_id: InPath, body: ConsentIn, door: PartnerDoor) -> Response:
    """The partner consents to a change (批改) or refuses; or its written answer is put on record, by another than who
    proposes changes (risk_director; scope covers.answer)."""
    door.require("risk_director", scope=scopes.COVERS_ANSWER)
    return await door.execute(
        lambda tx: changes.answer_change(tx, facility_id, change_id, consented=body.consented, reason=body.reason),
        keys=[facility_id],
        own=lambda tx: require_own_cover(tx, facility_id, door.caller.party),
    )
