"""The door for the ways to a partner: which interface, where, with which credential, from which day on."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.runtime.http import Day, Door
from libs.runtime.reading import ReadDoor
from libs.runtime.tx import Tx
from services.guarantee.api.bodies import InPath
from services.guarantee.commands import connections
from services.guarantee.domain.agreement import version_ref
from services.guarantee.domain.connection import Adapter, Connection
from services.guarantee.views import reach

router = APIRouter(prefix="/v1/partners/{partner_id}/connections")
Purpose = Annotated[str, Field(max_length=64, pattern=r"^([a-z][a-z0-9_]*)?$")]


class ConnectionIn(BaseModel):
    """The way to a partner from a day on. `purpose` lets the borrower's identity go out with a request for cover,
    `claim_purpose` with a claim; each by the borrower's consent for it alone."""

    model_config = ConfigDict(extra="forbid")

    effective: Day
    adapter: Adapter
    base_url: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^https?://[^\s]+$")]
    header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] = "Authorization"
    credential: Annotated[str, Field(min_length=1, max_length=4_000, pattern=r"^[\x20-\x7e]+$", repr=False)]
    purpose: Purpose = ""
    claim_purpose: Purpose = ""


@router.post("", status_code=201, response_model=reach.ConnectionView)
async def admit_connection(partner_id: InPath, body: ConnectionIn, door: Door) -> Response:
    """Admit a version of the way to a partner; its credential is kept sealed and never shown (admin)."""
    door.require("admin")
    private = door.parts.settings.private_targets

    async def admit(tx: Tx) -> reach.ConnectionView:
        connection = Connection(
            ref=version_ref(partner_id, body.effective),
            partner_id=partner_id,
            effective=body.effective,
            adapter=body.adapter,
            base_url=body.base_url,
            header=body.header,
            purpose=body.purpose,
            claim_purpose=body.claim_purpose,
            admitted_by=tx.actor,
            sealed="",
            wrapped="",
            master="",
        )
        admitted = await connections.admit_connection(tx, door.keyring, connection, body.credential, private=private)
        return reach.connection(admitted)

    return await door.execute(admit, keys=[], status=201)


@router.get("", response_model=tuple[reach.ConnectionView, ...])
async def list_connections(partner_id: InPath, door: ReadDoor) -> Response:
    """Every version of the way to a partner, without its credential (admin, auditor, operator)."""
    door.require("admin", "auditor", "operator")
    return await door.query(lambda tx: reach.connections(tx, partner_id))
