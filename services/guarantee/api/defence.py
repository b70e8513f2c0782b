"""The door for cover at risk: what would be denied today, in all and loan by loan, and proof that a duty was done."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from libs.runtime import auth
from libs.runtime.http import Door
from libs.runtime.paging import PAGE_ROWS, Cursor, Limit, Page, after, page
from libs.runtime.reading import ReadDoor
from libs.runtime.tx import Tx
from services.guarantee.api.bodies import InPath, Word
from services.guarantee.commands import defence
from services.guarantee.domain.defence import AtRisk, Proof
from services.guarantee.views import defence as views

router = APIRouter(prefix="/v1")


class ProofIn(BaseModel):
    """The paper that is on file: what the claim needs, `change_consent`, `decree`, `subrogation_demanded`."""

    model_config = ConfigDict(extra="forbid")

    duty: Word


@router.get("/cover-at-risk", response_model=tuple[views.PartnerRisk, ...])
async def show_portfolio(door: ReadDoor) -> Response:
    """What every partner would pay and deny if all loans were claimed today, and by which defence."""
    door.require(*auth.BANK)
    door.require_head_office()
    return await door.query(views.portfolio)


@router.get("/cover-at-risk/facilities", response_model=Page[views.FacilityRisk])
async def list_facilities_at_risk(door: ReadDoor, cursor: Cursor = "", limit: Limit = PAGE_ROWS) -> Response:
    """The facilities with loans at risk: why, whose duty, and the last day to mend it."""
    door.require(*auth.BANK)
    door.require_head_office()
    place = after(cursor)

    async def read(tx: Tx) -> Page[views.FacilityRisk]:
        return page(await views.facilities(tx, place, limit + 1), limit, lambda row: row.facility_id)

    return await door.query(read)


@router.get("/facilities/{facility_id}/cover-at-risk", response_model=tuple[AtRisk, ...])
async def show_facility_at_risk(facility_id: InPath, door: ReadDoor) -> Response:
    """The same of one facility."""
    door.require(*auth.BANK)
    return await door.query(lambda tx: views.facility(tx, facility_id), key=facility_id)


@router.post("/facilities/{facility_id}/loans/{loan_id}/proofs", response_model=Proof)
async def prove_duty(facility_id: InPath, loan_id: InPath, body: ProofIn, door: Door) -> Response:
    """Note that a duty was done today, or that a document is on file (customer_manager)."""
    door.require("customer_manager")
    return await door.execute(lambda tx: defence.prove(tx, facility_id, loan_id, body.duty), keys=[facility_id])
