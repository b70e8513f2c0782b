"""The door for partners' rule packs: keys, signed versions, and what a pack said of a request."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.runtime import auth
from libs.runtime.http import Door
from libs.runtime.openapi import by_scope
from libs.runtime.parties import PartnerDoor
from libs.runtime.reading import PartnerReadDoor
from services.guarantee import views
from services.guarantee.api import scopes
from services.guarantee.api.bodies import Code, InPath, Text, Word
from services.guarantee.commands import packs
from services.guarantee.domain.pack import Hit, Judgement, Pack, PartnerKey, Verdict

router = APIRouter(prefix="/v1")

RULES_MAX = 500
VERSION_MAX = 1_000_000
Exact = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,14})(\.[0-9]{0,5}[1-9])?$")]
PackVersion = Annotated[int, Field(strict=True, ge=1, le=VERSION_MAX)]
VersionInPath = Annotated[int, Path(ge=1, le=VERSION_MAX)]
SignedDay = Annotated[
    str, Field(pattern=r"^(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}$", json_schema_extra={"format": "date"})
]
Some = Annotated[list[Text], Field(min_length=1, max_length=200)]


class Signed(BaseModel):
    """A part of what is signed: its digest is of exactly what was sent, so nothing is filled in."""

    model_config = ConfigDict(extra="forbid")


class SpanIn(Signed):
    """A number of at least `from` and below `below`; one of them may be left out."""

    at_least: Annotated[Exact, Field(alias="from")] = ""
    below: Exact = ""


class AmongIn(Signed):
    """One of these words."""

    among: Annotated[Some, Field(alias="in")]


class NotAmongIn(Signed):
    """None of these words."""

    not_in: Some


class RuleIn(Signed):
    """All conditions hold: then the verdict; a refusal names its reason."""

    when: Annotated[dict[Word, SpanIn | AmongIn | NotAmongIn], Field(max_length=8)]
    verdict: Verdict
    reason: Word = ""


class TableIn(Signed):
    """A version of the rules. Every request must meet exactly one rule; with `hit` "first", the first of several."""

    agreement: Code
    partner: Code
    version: PackVersion
    effective: SignedDay
    hit: Hit
    rules: Annotated[list[RuleIn], Field(min_length=1, max_length=RULES_MAX)]


class PackIn(BaseModel):
    """A pack, the partner's signature (Ed25519, base64) over its canonical JSON (RFC 8785), and the key's name."""

    model_config = ConfigDict(extra="forbid")

    pack: TableIn
    signed_by: Code
    signature: Annotated[str, Field(max_length=88, pattern=r"^[A-Za-z0-9+/]+={0,2}$")]

    def document(self) -> dict[str, Any]:
        """The pack exactly as it was sent."""
        return self.pack.model_dump(mode="json", by_alias=True, exclude_unset=True)


class KeyIn(BaseModel):
    """A partner's public key (Ed25519, base64) and its name."""

    model_config = ConfigDict(extra="forbid")

    key_id: Code
    public_key: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9+/]{43}=$", examples=["11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="]),
    ]


@router.post("/partners/{partner_id}/keys", status_code=201, response_model=PartnerKey)
async def register_key(partner_id: InPath, body: KeyIn, door: Door) -> Response:
    """Register a key that a partner signs its packs with (admin)."""
    door.require("admin")
    return await door.execute(
        lambda tx: packs.register_key(tx, partner_id, body.key_id, body.public_key), keys=[], status=201
    )


@router.post("/partners/{partner_id}/keys/{key_id}/revocation", response_model=PartnerKey)
async def revoke_key(partner_id: InPath, key_id: InPath, door: Door) -> Response:
    """Take in nothing more that a key signs (admin)."""
    door.require("admin")
    return await door.execute(lambda tx: packs.revoke_key(tx, partner_id, key_id), keys=[])


@router.post(
    "/agreements/{code}/packs", status_code=201, response_model=Pack, openapi_extra=by_scope(scopes.PACKS_WRITE)
)
async def admit_pack(code: InPath, body: PackIn, door: PartnerDoor) -> Response:
    """Take in a version of a partner's rules of admission (核保) that it signed (admin; scope packs.write)."""
    door.require("admin", scope=scopes.PACKS_WRITE)
    document, party = body.document(), door.caller.party
    return await door.execute(
        lambda tx: packs.admit_pack(tx, code, document, signed_by=body.signed_by, signature=body.signature),
        keys=[],
        own=lambda tx: packs.require_own_agreement(tx, code, party),
        status=201,
    )


@router.get(
    "/agreements/{code}/packs/{pack_version}", response_model=Pack, openapi_extra=by_scope(scopes.AGREEMENTS_READ)
)
async def show_pack(code: InPath, pack_version: VersionInPath, door: PartnerReadDoor) -> Response:
    """One version of a partner's rules as it was signed; a partner's own only."""
    door.require(*auth.BANK, scope=scopes.AGREEMENTS_READ)
    return await door.query(lambda tx: views.pack(tx, code, pack_version, door.caller.party))


@router.get(
    "/facilities/{facility_id}/pack-verdicts/{code}",
    response_model=Judgement,
    openapi_extra=by_scope(scopes.COVERS_READ),
)
async def show_judgement(facility_id: InPath, code: InPath, door: PartnerReadDoor) -> Response:
    """What the pack of an agreement said of a request (核保) on which inputs, to be replayed; a partner's own only."""
    door.require(*auth.BANK, scope=scopes.COVERS_READ)
    return await door.query(lambda tx: views.judgement(tx, facility_id, code, door.caller.party), key=facility_id)
