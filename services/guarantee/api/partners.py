"""The door for partners: what they are asked, what they answer, decide, pay and recover, and what became of it.

A partner's token names its `party` and carries a scope per kind of door. Another's cover or claim answers 404, as if
there were none; a token without the door's scope 403 `scope_needed`.
"""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Response

from libs.kernel.errors import Invalid
from libs.runtime.http import Day
from libs.runtime.openapi import by_scope
from libs.runtime.paging import PAGE_ROWS, Cursor, Limit, Page, after, cursor_of, page
from libs.runtime.parties import BulkResult, PartnerDoor
from libs.runtime.reading import PartnerReadDoor
from libs.runtime.tx import Tx
from services.guarantee import views
from services.guarantee.api import scopes
from services.guarantee.api.bodies import InPath
from services.guarantee.api.partner_bodies import (
    ConfirmationsIn,
    CoverAnswerIn,
    Deciding,
    PaymentIn,
    PaymentKind,
    QueryIn,
    RecoveryIn,
)
from services.guarantee.commands import partner_answers, recovered
from services.guarantee.commands.partner_answers import require_own_cover
from services.guarantee.domain.claim import Claim
from services.guarantee.domain.cover import Cover
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.views import reach

router = APIRouter(prefix="/v1")
NUMBER_DIGITS_MAX = 18
Since = Annotated[Day | None, Query(description="From this business day on.")]
Until = Annotated[Day | None, Query(description="Up to this business day, inclusive.")]
Types = Annotated[
    str,
    Query(max_length=2_000, description="Only these event types, such as `claim.filed.v1`, by commas; empty: all."),
]


@router.get("/cover-requests", response_model=Page[views.CoverRequestView], openapi_extra=by_scope(scopes.COVERS_READ))
async def list_cover_requests(
    door: PartnerReadDoor, cursor: Cursor = "", limit: Limit = PAGE_ROWS, since: Since = None, until: Until = None
) -> Response:
    """The caller's open requests for cover (投保), the oldest first (scope covers.read)."""
    door.require_partner(scopes.COVERS_READ)
    place, party = after(cursor), door.caller.party

    async def read(tx: Tx) -> Page[views.CoverRequestView]:
        between = {"since": since or date.min, "until": until or date.max}
        rows = await views.cover_requests(tx, party, place, limit + 1, **between)
        return page(rows, limit, lambda row: f"{row.asked_on}/{row.cover_id}")

    return await door.query(read)


@router.post(
    "/facilities/{facility_id}/cover-answers", response_model=Cover, openapi_extra=by_scope(scopes.COVERS_ANSWER)
)
async def answer_cover(facility_id: InPath, body: CoverAnswerIn, door: PartnerDoor) -> Response:
    """Answer a request for cover (核保, 承保); outside the terms it is refused, and the cover says why.

    Scope covers.answer.
    """
    door.require_partner(scopes.COVERS_ANSWER)
    return await door.execute(
        lambda tx: partner_answers.answer_cover(tx, facility_id, body.cover_id, body.answer()),
        keys=[facility_id],
        own=lambda tx: require_own_cover(tx, facility_id, door.caller.party),
    )


@router.post("/batch-confirmations", response_model=BulkResult, openapi_extra=by_scope(scopes.COVERS_ANSWER))
async def confirm_batch(body: ConfirmationsIn, door: PartnerDoor) -> Response:
    """Confirm filed drawdowns, or strike them off (退保), each row with its own result (scope covers.answer)."""
    door.require_partner(scopes.COVERS_ANSWER)
    door.require_rows(body.rows)
    rows = [row.confirmation() for row in body.rows]
    return await door.execute(lambda tx: partner_answers.confirm_batch(tx, door.caller.party, rows), keys=[])


@router.post(
    "/facilities/{facility_id}/claims/{claim_id}/decision",
    response_model=Claim,
    openapi_extra=by_scope(scopes.CLAIMS_DECIDE),
)
async def decide_claim(facility_id: InPath, claim_id: InPath, body: Deciding, door: PartnerDoor) -> Response:
    """Accept a claim (理赔), or deny it with a reason (scope claims.decide)."""
    door.require_partner(scopes.CLAIMS_DECIDE)
    return await door.execute(
        lambda tx: partner_answers.decide_claim(tx, facility_id, claim_id, body.reason, body.decided_on),
        keys=[facility_id],
        own=lambda tx: require_own_cover(tx, facility_id, door.caller.party),
    )


@router.post(
    "/facilities/{facility_id}/claims/{claim_id}/queries",
    response_model=Claim,
    openapi_extra=by_scope(scopes.CLAIMS_DECIDE),
)
async def query_claim(facility_id: InPath, claim_id: InPath, body: QueryIn, door: PartnerDoor) -> Response:
    """Ask the bank for something before deciding; its days to answer begin (scope claims.decide)."""
    door.require_partner(scopes.CLAIMS_DECIDE)
    return await door.execute(
        lambda tx: partner_answers.query_claim(tx, facility_id, claim_id, tuple(body.asked)),
        keys=[facility_id],
        own=lambda tx: require_own_cover(tx, facility_id, door.caller.party),
    )


@router.post(
    "/facilities/{facility_id}/claims/{claim_id}/payments",
    response_model=Claim,
    openapi_extra=by_scope(scopes.CLAIMS_PAY),
)
async def report_payment(facility_id: InPath, claim_id: InPath, body: PaymentIn, door: PartnerDoor) -> Response:
    """Report what was paid in advance, or what was left of an accepted claim (理赔), to the cent (scope claims.pay)."""
    door.require_partner(scopes.CLAIMS_PAY)
    interim = body.kind is PaymentKind.INTERIM
    report = partner_answers.report_interim if interim else partner_answers.report_payment
    return await door.execute(
        lambda tx: report(tx, facility_id, claim_id, body.amount.money(), body.receipt),
        keys=[facility_id],
        own=lambda tx: require_own_cover(tx, facility_id, door.caller.party),
    )


@router.post(
    "/facilities/{facility_id}/recoveries", response_model=CoveredLoan, openapi_extra=by_scope(scopes.REPORTS_WRITE)
)
async def report_recovery(facility_id: InPath, body: RecoveryIn, door: PartnerDoor) -> Response:
    """Report what was recovered after the claim was paid (追偿); it is shared as agreed (scope reports.write)."""
    door.require_partner(scopes.REPORTS_WRITE)
    return await door.execute(
        lambda tx: recovered.report_recovery(tx, facility_id, body.loan_id, body.amount.money(), body.receipt),
        keys=[facility_id],
        own=lambda tx: require_own_cover(tx, facility_id, door.caller.party),
    )


@router.get("/partner-events", response_model=views.PartnerEvents, openapi_extra=by_scope(scopes.EVENTS_READ))
async def list_partner_events(
    door: PartnerReadDoor, cursor: Cursor = "", limit: Limit = PAGE_ROWS, types: Types = "", since: Since = None
) -> Response:
    """What was published about the caller's own business, in its order and without gaps (scope events.read).

    Keep `next`, which is never empty, and ask with it again: what comes later follows it. Events are kept for
    `PARTNER_EVENTS_DAYS_KEPT` days: a cursor from before is answered 409 `events_forgotten`, none begins with the
    oldest kept.
    """
    door.require_partner(scopes.EVENTS_READ)
    place, party = after(cursor) or "0", door.caller.party
    if not place.isascii() or not place.isdigit() or len(place) > NUMBER_DIGITS_MAX:
        raise Invalid("cursor_invalid", "this is no cursor of a page before")
    wanted = tuple(filter(None, types.split(",")))

    async def read(tx: Tx) -> views.PartnerEvents:
        if cursor:
            await reach.check_kept(tx, party, int(place))
        rows = await views.partner_events(tx, party, int(place), limit + 1, types=wanted, since=since or date.min)
        items = rows[:limit]
        last = str(items[-1].number) if items else place
        return views.PartnerEvents(items=items, next=cursor_of(last), more=len(rows) > limit)

    return await door.query(read)
