"""The door for webhooks: a partner says where it wants to be told what happened, and looks at what reached it."""

import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from libs.kernel.errors import Invalid, NotFound
from libs.runtime.auth import BANK
from libs.runtime.http import RequestDoor
from libs.runtime.openapi import by_scope
from libs.runtime.paging import PAGE_ROWS, Cursor, Limit, Page, after, page
from libs.runtime.parties import PartnerDoor
from libs.runtime.reading import PartnerReadDoor
from libs.runtime.tx import Tx
from services.guarantee.api import scopes
from services.guarantee.api.bodies import InPath
from services.guarantee.commands import webhooks
from services.guarantee.domain.webhook import Endpoint, EndpointState
from services.guarantee.views import reach

router = APIRouter(prefix="/v1/partners/{partner_id}/webhooks")

_SPACE = uuid.UUID("0d7c2f0e-7a43-4d53-9c0c-6f0f9d7a5b1e")
_LAST = 2**63 - 1
EndpointId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
Moment = Annotated[AwareDatetime, Field(description="RFC 3339, with its offset from UTC.")]


class EndpointIn(BaseModel):
    """Where to send what happens from now on, and which types of it; without types, all."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^https?://[^\s]+$")]
    types: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=100)] = ()


class ReplayIn(BaseModel):
    """Which time to send again: from `since` on, before `until`, by the moment it was told."""

    model_config = ConfigDict(extra="forbid")

    since: Moment
    until: Moment


class DeliveryState(StrEnum):
    """What became of a delivery."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


@router.post("", status_code=201, response_model=webhooks.Registered, openapi_extra=by_scope(scopes.WEBHOOKS_WRITE))
async def register_webhook(partner_id: InPath, body: EndpointIn, door: PartnerDoor) -> Response:
    """Register an endpoint; the secret in the answer is told this once (the partner, admin).

    A repeat with the same Idempotency-Key is told the same endpoint and secret again.
    """
    _admit(door, partner_id, scopes.WEBHOOKS_WRITE, "admin")
    born, private = _born(door), door.parts.settings.private_targets

    async def register(tx: Tx) -> webhooks.Registered:
        endpoint = Endpoint(
            endpoint_id=born,
            partner_id=partner_id,
            url=body.url,
            types=tuple(dict.fromkeys(body.types)),
            state=EndpointState.ENABLED,
            reason="",
            since=tx.date,
            registered_by=tx.actor,
        )
        return await webhooks.register_endpoint(tx, door.keyring, endpoint, private=private)

    return await door.once(register, keys=[partner_id], status=201)


@router.get("", response_model=tuple[Endpoint, ...], openapi_extra=by_scope(scopes.WEBHOOKS_READ))
async def list_webhooks(partner_id: InPath, door: PartnerReadDoor) -> Response:
    """The partner's endpoints and whether they are alive (the partner, the bank)."""
    _admit(door, partner_id, scopes.WEBHOOKS_READ, *BANK)
    return await door.query(lambda tx: reach.endpoints(tx, partner_id))


@router.post(
    "/{endpoint_id}/keys",
    status_code=201,
    response_model=webhooks.NewKey,
    openapi_extra=by_scope(scopes.WEBHOOKS_WRITE),
)
async def add_webhook_key(partner_id: InPath, endpoint_id: EndpointId, door: PartnerDoor) -> Response:
    """A new signing key, told this once; the older ones sign beside it for `WEBHOOK_KEY_HOURS` (the partner, admin)."""
    _admit(door, partner_id, scopes.WEBHOOKS_WRITE, "admin")
    born, hours = _born(door), door.parts.settings.webhook_key_hours
    return await door.once(
        lambda tx: webhooks.add_key(tx, door.keyring, partner_id, endpoint_id, key_id=born, hours=hours),
        keys=[partner_id],
        status=201,
    )


@router.post("/{endpoint_id}/disabling", response_model=Endpoint, openapi_extra=by_scope(scopes.WEBHOOKS_WRITE))
async def disable_webhook(partner_id: InPath, endpoint_id: EndpointId, door: PartnerDoor) -> Response:
    """Send nothing there for now; what happens meanwhile waits (the partner, admin)."""
    _admit(door, partner_id, scopes.WEBHOOKS_WRITE, "admin")
    return await door.execute(lambda tx: webhooks.disable_endpoint(tx, partner_id, endpoint_id), keys=[partner_id])


@router.post("/{endpoint_id}/enabling", response_model=Endpoint, openapi_extra=by_scope(scopes.WEBHOOKS_WRITE))
async def enable_webhook(partner_id: InPath, endpoint_id: EndpointId, door: PartnerDoor) -> Response:
    """Send there again: what waits goes first, in its order (the partner, admin)."""
    _admit(door, partner_id, scopes.WEBHOOKS_WRITE, "admin")
    return await door.execute(lambda tx: webhooks.enable_endpoint(tx, partner_id, endpoint_id), keys=[partner_id])


@router.post("/{endpoint_id}/closing", response_model=Endpoint, openapi_extra=by_scope(scopes.WEBHOOKS_WRITE))
async def close_webhook(partner_id: InPath, endpoint_id: EndpointId, door: PartnerDoor) -> Response:
    """End an endpoint for good; what waits for it is dropped (the partner, admin)."""
    _admit(door, partner_id, scopes.WEBHOOKS_WRITE, "admin")
    return await door.execute(lambda tx: webhooks.close_endpoint(tx, partner_id, endpoint_id), keys=[partner_id])


@router.post(
    "/{endpoint_id}/replays",
    status_code=202,
    response_model=webhooks.Replayed,
    openapi_extra=by_scope(scopes.WEBHOOKS_WRITE),
)
async def replay_webhook(partner_id: InPath, endpoint_id: EndpointId, body: ReplayIn, door: PartnerDoor) -> Response:
    """Send what was told in a time once more, each event under the id that it had (the partner, admin)."""
    _admit(door, partner_id, scopes.WEBHOOKS_WRITE, "admin")
    if body.since > body.until:
        raise Invalid("time_reversed", "`since` comes before `until`")
    since, until = _utc(body.since), _utc(body.until)
    return await door.execute(
        lambda tx: webhooks.replay(tx, partner_id, endpoint_id, since, until), keys=[partner_id], status=202
    )


@router.get(
    "/{endpoint_id}/deliveries", response_model=Page[reach.DeliveryView], openapi_extra=by_scope(scopes.WEBHOOKS_READ)
)
async def list_deliveries(
    partner_id: InPath,
    endpoint_id: EndpointId,
    door: PartnerReadDoor,
    state: DeliveryState | None = None,
    cursor: Cursor = "",
    limit: Limit = PAGE_ROWS,
) -> Response:
    """What was sent to an endpoint, newest first, with every try (the partner, the bank)."""
    _admit(door, partner_id, scopes.WEBHOOKS_READ, *BANK)
    before = _place(after(cursor))

    async def read(tx: Tx) -> Page[reach.DeliveryView]:
        endpoint = await webhooks.known_endpoint(tx, partner_id, endpoint_id)
        rows = await reach.deliveries(tx, endpoint, state or "", before, limit + 1)
        return page(rows, limit, lambda row: str(row.delivery_id))

    return await door.query(read)


def _admit(door: RequestDoor, partner_id: str, scope: str, *roles: str) -> None:
    """The partner by its scope, at its own things alone, or the bank by a role; raises NotAllowed or NotFound."""
    door.require(*roles, scope=scope)
    if door.caller.party and door.caller.party != partner_id:
        raise NotFound("not_found", f"no Partner {partner_id}")


def _born(door: PartnerDoor) -> str:
    """The id of what a request makes: the same for its repeats, so that nothing told once has to be stored."""
    return str(uuid.uuid5(_SPACE, f"{door.caller.name}/{door.request.headers.get('idempotency-key', '')}"))


def _place(name: str) -> int:
    """The delivery that the page before ended with; raises Invalid."""
    if name and not (name.isascii() and name.isdigit() and len(name) < 19):  # noqa: PLR2004 - what a bigint holds
        raise Invalid("cursor_invalid", "this is no cursor of a page before")
    return int(name or _LAST)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
