"""The door for people: questions only, because pay and accountability move by events and time alone."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from libs.runtime.reading import ReadDoor
from services.incentive import views

router = APIRouter(prefix="/v1", tags=["incentive"])
Id = Annotated[str, Path(min_length=1, max_length=64)]
PAY_READERS = ("admin", "auditor")
LEDGER_READERS = (*PAY_READERS, "operator")
FILE_READERS = (*LEDGER_READERS, "inspector", "approver")


@router.get("/facilities/{facility_id}", response_model=views.FacilityView)
async def show_facility(facility_id: Id, door: ReadDoor) -> Response:
    """Pay, findings and case of each loan under a facility."""
    door.require(*FILE_READERS)
    return await door.query(lambda tx: views.facility(tx, facility_id), key=facility_id)


@router.get("/staff/{staff_id}", response_model=views.PayAccount)
async def show_pay_account(staff_id: Id, door: ReadDoor) -> Response:
    """One person's pay account: their own, or anybody's for those at the head office who keep or audit pay."""
    if door.caller.subject != staff_id:
        door.require(*PAY_READERS)
        door.require_head_office()
    return await door.query(lambda tx: views.pay_account(tx, staff_id))


@router.get("/ledger", response_model=views.LedgerView)
async def show_ledger(door: ReadDoor) -> Response:
    """The balance of every account over all branches; the sums are zero (head office)."""
    door.require(*LEDGER_READERS)
    door.require_head_office()
    return await door.query(views.ledger)
