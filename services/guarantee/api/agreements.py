"""The door for partners and agreements: admitted, signed, adopted, suspended, and what partners report."""

from datetime import date

from fastapi import APIRouter, Response

from libs.kernel.errors import NotAllowed
from libs.runtime import auth
from libs.runtime.http import Door
from libs.runtime.openapi import by_scope
from libs.runtime.paging import PAGE_ROWS, Cursor, Limit, Page, after, page
from libs.runtime.parties import BulkResult, PartnerDoor
from libs.runtime.reading import PartnerReadDoor
from libs.runtime.tx import Tx
from services.guarantee import views
from services.guarantee.api import scopes
from services.guarantee.api.bodies import (
    AdoptionIn,
    AgreementIn,
    ExposureIn,
    InPath,
    PartnerIn,
    ReasonIn,
    SignatureIn,
    StandingIn,
)
from services.guarantee.api.partner_bodies import ExposuresIn
from services.guarantee.commands import agreements, partner_answers
from services.guarantee.domain.agreement import Adoption, Agreement, Partner
from services.guarantee.domain.capacity import Exposure, Standing
from services.guarantee.domain.suspension import Suspension

router = APIRouter(prefix="/v1")


@router.post("/partners", status_code=201, response_model=Partner)
async def admit_partner(body: PartnerIn, door: Door) -> Response:
    """Admit a partner (admin)."""
    door.require("admin")
    partner = Partner(partner_id=body.partner_id, name=body.name, kind=body.kind)
    return await door.execute(lambda tx: agreements.admit_partner(tx, partner), keys=[body.partner_id], status=201)


@router.post("/agreements", status_code=201, response_model=Agreement)
async def admit_agreement(body: AgreementIn, door: Door) -> Response:
    """Admit a version of an agreement with an admitted partner; it counts once both sides have signed it (admin)."""
    door.require("admin")
    drafter = door.caller.subject
    return await door.execute(lambda tx: agreements.admit_agreement(tx, body.agreement(drafter)), keys=[], status=201)


@router.get("/agreements", response_model=Page[views.AgreementView], openapi_extra=by_scope(scopes.AGREEMENTS_READ))
async def list_agreements(door: PartnerReadDoor, cursor: Cursor = "", limit: Limit = PAGE_ROWS) -> Response:
    """Agreements by code, with what is left of each capacity; a partner's own only."""
    door.require(*auth.BANK, scope=scopes.AGREEMENTS_READ)
    place, party = after(cursor), door.caller.party

    async def read(tx: Tx) -> Page[views.AgreementView]:
        rows = await views.agreements(tx, place, limit + 1, party)
        return page(rows, limit, lambda row: row.agreement.code)

    return await door.query(read)


@router.get("/agreements/{code}", response_model=views.AgreementView, openapi_extra=by_scope(scopes.AGREEMENTS_READ))
async def show_agreement(code: InPath, door: PartnerReadDoor) -> Response:
    """One agreement with what is left of its capacity; a partner's own only."""
    door.require(*auth.BANK, scope=scopes.AGREEMENTS_READ)
    return await door.query(lambda tx: views.agreement(tx, code, door.caller.party))


@router.post("/agreements/{code}/signatures", response_model=Agreement, openapi_extra=by_scope(scopes.AGREEMENTS_SIGN))
async def sign_agreement(code: InPath, body: SignatureIn, door: PartnerDoor) -> Response:
    """The bank signs a version, by another than drafted it, or puts the partner's paper on record (admin).

    Or the partner signs itself (scope agreements.sign). Either side signs the `digest` of the terms.
    """
    door.require("admin", scope=scopes.AGREEMENTS_SIGN)
    party = door.caller.party
    if party and body.party != party:
        raise NotAllowed("not_a_party", f"a partner signs for itself, and not for {body.party}")
    return await door.execute(
        lambda tx: agreements.sign_agreement(tx, code, body.effective, party=body.party, digest=body.digest),
        keys=[],
        own=lambda tx: partner_answers.require_own_version(tx, code, body.effective, party),
    )


@router.post("/agreements/{code}/adoptions", response_model=Adoption)
async def adopt_agreement(code: InPath, body: AdoptionIn, door: Door) -> Response:
    """A branch adopts an agreement within limits of its own (admin)."""
    door.require("admin")
    actor = door.caller.subject

    def adoption(on: date) -> Adoption:
        return Adoption(
            adoption_id=f"{code}/{body.branch}",
            code=code,
            branch=body.branch,
            currency=body.capacity.currency,
            capacity=body.capacity.money(),
            amount_max=None if body.amount_max is None else body.amount_max.money(),
            grades=tuple(body.grades),
            adopted_by=actor,
            adopted_on=on,
        )

    door.require_reach(body.branch)
    return await door.execute(lambda tx: agreements.adopt_agreement(tx, adoption(tx.date)), keys=[])


@router.post("/agreements/{code}/suspension", response_model=Suspension)
async def suspend_agreement(code: InPath, body: ReasonIn, door: Door) -> Response:
    """Bind nothing under an agreement for now; existing covers stay (risk_director)."""
    door.require("risk_director")
    return await door.execute(lambda tx: agreements.suspend_agreement(tx, code, body.reason), keys=[])


@router.post("/agreements/{code}/reinstatement", response_model=Suspension)
async def reinstate_agreement(code: InPath, body: ReasonIn, door: Door) -> Response:
    """Bind under an agreement again (risk_director)."""
    door.require("risk_director")
    return await door.execute(lambda tx: agreements.reinstate_agreement(tx, code, body.reason), keys=[])


@router.post("/partners/{partner_id}/standing", response_model=Standing, openapi_extra=by_scope(scopes.REPORTS_WRITE))
async def report_standing(partner_id: InPath, body: StandingIn, door: PartnerDoor) -> Response:
    """A partner reports its own figures, which bound what may be bound with it (admin; scope reports.write)."""
    door.require("admin", scope=scopes.REPORTS_WRITE)
    partner_answers.require_own_name(partner_id, door.caller.party)
    standing = Standing(
        partner_id=partner_id,
        currency=body.net_assets.currency,
        net_assets=body.net_assets.money(),
        outside=body.outside.money(),
        mainly_small=body.mainly_small,
        as_of=body.as_of,
    )
    return await door.execute(lambda tx: agreements.report_standing(tx, standing), keys=[])


@router.post("/partners/{partner_id}/exposures", response_model=Exposure, openapi_extra=by_scope(scopes.REPORTS_WRITE))
async def report_exposure(partner_id: InPath, body: ExposureIn, door: PartnerDoor) -> Response:
    """A partner reports what it guarantees elsewhere for one obligor (admin; scope reports.write)."""
    door.require("admin", scope=scopes.REPORTS_WRITE)
    partner_answers.require_own_name(partner_id, door.caller.party)
    return await door.execute(lambda tx: agreements.report_exposure(tx, body.exposure(partner_id)), keys=[])


@router.post(
    "/partners/{partner_id}/exposure-lists", response_model=BulkResult, openapi_extra=by_scope(scopes.REPORTS_WRITE)
)
async def report_exposures(partner_id: InPath, body: ExposuresIn, door: PartnerDoor) -> Response:
    """A partner reports what it guarantees elsewhere for many obligors, each row with its own result.

    For admin, or the scope reports.write.
    """
    door.require("admin", scope=scopes.REPORTS_WRITE)
    partner_answers.require_own_name(partner_id, door.caller.party)
    door.require_rows(body.rows)
    rows = [row.exposure(partner_id) for row in body.rows]
    return await door.execute(lambda tx: partner_answers.report_exposures(tx, rows), keys=[])
