"""The door through which personal data leaves: asked with a consent and a purpose, recorded, else masked or erased."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.runtime.http import Day, Door
from libs.runtime.paging import PAGE_ROWS, Cursor, Limit, Page, after, page
from libs.runtime.reading import ReadDoor
from libs.runtime.tx import Tx
from services.application import views
from services.application.commands import identity
from services.application.domain.identity import Asked, Consent
from services.application.domain.people import CUSTOMER_MANAGER

router = APIRouter(prefix="/v1", tags=["personal data"])

PRIVACY_OFFICER = "privacy_officer"
IDENTITY_READER = "identity_reader"
KEYS_AT_ONCE = 200

Word = Annotated[str, Field(min_length=1, max_length=64)]
FacilityId = Annotated[str, Path(min_length=1, max_length=64)]
ConsentId = Annotated[str, Path(min_length=1, max_length=64)]


class ConsentIn(BaseModel):
    """What the borrower agreed to; without partners it is for our own use. `valid_until` is inclusive."""

    model_config = ConfigDict(extra="forbid")

    purposes: Annotated[list[Word], Field(min_length=1, max_length=20)]
    partners: Annotated[list[Word], Field(max_length=20)] = []
    valid_until: Day | None = None


class AskedIn(BaseModel):
    """Who is asked about, under which consent, what for, and for which partner."""

    model_config = ConfigDict(extra="forbid")

    facility_id: Word
    consent_id: Word
    purpose: Word
    partner: Word


@router.post("/facilities/{facility_id}/consents", status_code=201, response_model=Consent)
async def grant_consent(facility_id: FacilityId, body: ConsentIn, door: Door) -> Response:
    """Record a consent of the borrower: purposes, and the partners it names (customer manager)."""
    door.require(CUSTOMER_MANAGER)
    purposes, partners = tuple(dict.fromkeys(body.purposes)), tuple(dict.fromkeys(body.partners))
    until: date | None = body.valid_until
    return await door.execute(
        lambda tx: identity.grant_consent(tx, facility_id, purposes, partners, until), keys=[facility_id], status=201
    )


@router.post("/facilities/{facility_id}/consents/{consent_id}/revocation", response_model=Consent)
async def revoke_consent(facility_id: FacilityId, consent_id: ConsentId, door: Door) -> Response:
    """Record that the borrower withdrew a consent; it closes at once (customer manager, privacy officer)."""
    door.require(CUSTOMER_MANAGER, PRIVACY_OFFICER)
    return await door.execute(lambda tx: identity.revoke_consent(tx, facility_id, consent_id), keys=[facility_id])


@router.get("/facilities/{facility_id}/borrower", response_model=views.BorrowerView)
async def show_borrower(facility_id: FacilityId, door: ReadDoor) -> Response:
    """Who the borrower is, masked, and the consents given (customer manager, privacy officer)."""
    door.require(CUSTOMER_MANAGER, PRIVACY_OFFICER)
    return await door.query(lambda tx: views.borrower(tx, door.keyring, facility_id), key=facility_id)


@router.post("/facilities/{facility_id}/borrower/erasure", response_model=identity.Erased)
async def erase_party(facility_id: FacilityId, door: Door) -> Response:
    """Destroy the borrower's data key once no law wants the data kept; this cannot be undone (privacy officer)."""
    door.require(PRIVACY_OFFICER)
    return await door.execute(lambda tx: identity.erase_party(tx, facility_id), keys=[facility_id])


@router.post("/identity-disclosures", status_code=201, response_model=identity.Disclosed)
async def disclose_identity(body: AskedIn, door: Door) -> Response:
    """Tell who the borrower is, in the fields that the purpose needs, if the consent covers it (identity reader).

    Each request is judged and recorded for itself, whatever its Idempotency-Key: the answer is stored nowhere.
    """
    door.require(IDENTITY_READER)
    asked = Asked(**body.model_dump())
    return await door.once(
        lambda tx: identity.disclose_identity(tx, door.keyring, asked), keys=[asked.facility_id], status=201
    )


@router.get("/identity-disclosures", response_model=Page[views.DisclosureRow])
async def list_disclosures(door: ReadDoor, cursor: Cursor = "", limit: Limit = PAGE_ROWS) -> Response:
    """Everything that was told and refused, oldest first, borrowers masked (privacy officer of the head office)."""
    door.require(PRIVACY_OFFICER)
    door.require_head_office()
    place = after(cursor)

    async def read(tx: Tx) -> Page[views.DisclosureRow]:
        rows = await views.disclosures(tx, door.keyring, place, limit + 1)
        return page(rows, limit, lambda row: row.disclosure_id)

    return await door.query(read)


@router.post("/data-keys/rewrapping", response_model=identity.Rewrapped)
async def rewrap_keys(door: Door) -> Response:
    """Wrap up to 200 data keys anew with the newest master key; repeat until none is left (privacy officer)."""
    door.require(PRIVACY_OFFICER)
    return await door.execute(lambda tx: identity.rewrap_keys(tx, door.keyring, KEYS_AT_ONCE), keys=[])
