"""The door for guarantors and counter-guarantees of a facility: ids and documents, never a person's data."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from libs.runtime.http import Door, MoneyIn
from services.guarantee.api.bodies import Code, InPath, Text
from services.guarantee.commands import undertakings
from services.guarantee.domain.terms import LiabilityKind
from services.guarantee.domain.undertaking import Undertaking, UndertakingKind

router = APIRouter(prefix="/v1")


class UndertakingIn(BaseModel):
    """What a guarantor signed: `guarantor` is an id that application knows, never a name."""

    model_config = ConfigDict(extra="forbid")

    kind: UndertakingKind
    guarantor: Code
    liability: LiabilityKind = LiabilityKind.GENERAL
    amount: MoneyIn
    document: Text


class PerfectionIn(BaseModel):
    """The registry's number."""

    model_config = ConfigDict(extra="forbid")

    registration: Text


@router.post("/facilities/{facility_id}/undertakings", status_code=201, response_model=Undertaking)
async def sign_undertaking(facility_id: InPath, body: UndertakingIn, door: Door) -> Response:
    """Put on record that a guarantor signed, for the bank or for the partner of the cover (customer_manager)."""
    door.require("customer_manager")
    return await door.execute(
        lambda tx: undertakings.sign_undertaking(
            tx,
            facility_id,
            kind=body.kind,
            guarantor=body.guarantor,
            liability=body.liability,
            amount=body.amount.money(),
            document=body.document,
        ),
        keys=[facility_id],
        status=201,
    )


@router.post("/facilities/{facility_id}/undertakings/{undertaking_id}/perfection", response_model=Undertaking)
async def perfect_undertaking(facility_id: InPath, undertaking_id: InPath, body: PerfectionIn, door: Door) -> Response:
    """Put on record that a registry entered a counter-guarantee in the partner's favour (customer_manager)."""
    door.require("customer_manager")
    return await door.execute(
        lambda tx: undertakings.perfect_undertaking(tx, facility_id, undertaking_id, body.registration),
        keys=[facility_id],
    )
