"""The door for the shared recovery book: a month's figures, both sides' words on them, and what is still open."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.kernel.errors import NotAllowed
from libs.runtime import auth
from libs.runtime.openapi import by_scope
from libs.runtime.paging import PAGE_ROWS, Cursor, Limit, Page, after, page
from libs.runtime.parties import PartnerDoor
from libs.runtime.reading import PartnerReadDoor
from libs.runtime.tx import Tx
from services.guarantee.api import scopes
from services.guarantee.api.bodies import Code, InPath
from services.guarantee.api.statements import Month, check_own
from services.guarantee.commands import recovery
from services.guarantee.domain.recovery import Agreed, RecoveryBook
from services.guarantee.views import recovery as views

router = APIRouter(prefix="/v1")
_BETWEEN = "\x1f"


class BalanceAnswerIn(BaseModel):
    """A side's word on the month with this digest: the bank's (`bank`) or the partner's; a reason if it contests."""

    model_config = ConfigDict(extra="forbid")

    side: Code
    digest: Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]+$")]
    contested: bool = False
    reason: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")] = ""


@router.get(
    "/partners/{partner_id}/recoveries/{month}",
    response_model=RecoveryBook,
    openapi_extra=by_scope(scopes.STATEMENTS_READ),
)
async def show_recoveries(partner_id: InPath, month: Month, door: PartnerReadDoor) -> Response:
    """What was recovered (追偿) in a month, in the order costs, interest, principal, and what is open."""
    check_own(door, partner_id)
    return await door.query(lambda tx: views.recovery_book(tx, partner_id, month))


@router.post(
    "/partners/{partner_id}/recoveries/{month}/answers",
    response_model=RecoveryBook,
    openapi_extra=by_scope(scopes.REPORTS_WRITE),
)
async def answer_recoveries(partner_id: InPath, month: Month, body: BalanceAnswerIn, door: PartnerDoor) -> Response:
    """The bank confirms or contests a month that is over, or puts the partner's paper on record (risk_director).

    Scope reports.write: a partner speaks for itself.
    """
    check_own(door, partner_id, "risk_director", scope=scopes.REPORTS_WRITE)
    if door.caller.party and body.side != partner_id:
        raise NotAllowed("not_a_party", f"a partner speaks for itself, and not for {body.side}")
    agreed = Agreed.CONTESTED if body.contested else Agreed.CONFIRMED
    return await door.execute(
        lambda tx: recovery.answer_balance(
            tx, partner_id, month, side=body.side, agreed=agreed, digest=body.digest, reason=body.reason
        ),
        keys=[partner_id],
    )


@router.get("/recoveries", response_model=Page[views.OpenBalance], openapi_extra=by_scope(scopes.STATEMENTS_READ))
async def list_open_balances(door: PartnerReadDoor, cursor: Cursor = "", limit: Limit = PAGE_ROWS) -> Response:
    """Months that are over and that not both sides have confirmed; a partner's own only."""
    door.require(*auth.BANK, scope=scopes.STATEMENTS_READ)
    if not door.caller.party:
        door.require_head_office()
    partner, _, month = after(cursor).partition(_BETWEEN)
    party = door.caller.party

    async def read(tx: Tx) -> Page[views.OpenBalance]:
        rows = await views.open_balances(tx, party, (partner, month), limit + 1)
        return page(rows, limit, lambda row: f"{row.partner}{_BETWEEN}{row.month}")

    return await door.query(read)
