"""Take in partners' signed rule packs, and have the one in force judge each request for cover."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from libs.kernel.errors import Invalid, NotFound, Refused
from libs.kernel.money import Money
from libs.runtime.signature import is_signed
from libs.runtime.tx import Tx
from services.guarantee.domain import pack as rules
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.cover import CoverFile
from services.guarantee.domain.pack import Judgement, Pack, PartnerKey
from services.guarantee.store import AGREEMENTS, JUDGEMENTS, PACKS, PARTNER_KEYS, PARTNERS, take_turn


async def register_key(tx: Tx, partner_id: str, key_id: str, public_key: str) -> PartnerKey:
    """Know a partner's key by its name from now on; a name is used once."""
    await tx.get(PARTNERS, partner_id)
    ref = _key_ref(partner_id, key_id)
    if await tx.find(PARTNER_KEYS, ref) is not None:
        raise Refused("key_exists", f"{key_id}: a new key needs a new name")
    key = PartnerKey(
        key_ref=ref, partner_id=partner_id, key_id=key_id, public_key=public_key, known_since=tx.date, revoked_on=None
    )
    tx.put(PARTNER_KEYS, key)
    return key


async def revoke_key(tx: Tx, partner_id: str, key_id: str) -> PartnerKey:
    """Take in nothing more that this key signs; packs taken in before stay until a newer one replaces them."""
    key = await tx.get(PARTNER_KEYS, _key_ref(partner_id, key_id))
    revoked = replace(key, revoked_on=key.revoked_on or tx.date)
    tx.put(PARTNER_KEYS, revoked)
    return revoked


async def admit_pack(tx: Tx, code: str, document: dict[str, Any], *, signed_by: str, signature: str) -> Pack:
    """Take in a version of a partner's rules, exactly as it signed them; they judge from their effective day."""
    await take_turn(tx)
    versions = await tx.of(AGREEMENTS, code)
    if not versions:
        raise NotFound("not_found", f"no agreement {code}")
    await _check_signature(tx, versions[-1], rules.canonical(document), signed_by=signed_by, signature=signature)
    pack = rules.signed_pack(
        document, signed_by=signed_by, signature=signature, received_from=tx.actor, received_on=tx.date
    )
    rules.follow_pack(await tx.of(PACKS, code), versions[-1], pack)
    tx.put(PACKS, pack)
    return pack


async def judge_request(tx: Tx, file: CoverFile, agreement: Agreement, amount: Money) -> Judgement | None:
    """What the pack in force says of a request, on record from now on; None where the partner has none."""
    pack = rules.pack_in_force(await tx.of(PACKS, agreement.code), tx.date)
    if pack is None:
        return None
    judgement = rules.judge(pack, file, amount, tx.date)
    tx.put(JUDGEMENTS, judgement)
    return judgement


async def require_own_agreement(tx: Tx, code: str, party: str) -> None:
    """A partner (`party`, empty for the bank) hands in rules of its own agreements; else NotFound, as for no such."""
    if party and not any(version.partner_id == party for version in await tx.of(AGREEMENTS, code)):
        raise NotFound("not_found", f"no agreement {code}")


async def refusing_pack(tx: Tx, facility_id: str, code: str) -> str:
    """The version of the rules that refused the facility's request under an agreement; empty when none did."""
    judgement = await tx.find(JUDGEMENTS, rules.judgement_id(facility_id, code))
    return "" if judgement is None or judgement.admitted else judgement.pack


async def _check_signature(tx: Tx, agreement: Agreement, text: bytes, *, signed_by: str, signature: str) -> None:
    key = await tx.find(PARTNER_KEYS, _key_ref(agreement.partner_id, signed_by))
    if key is None:
        raise Refused("pack_key_unknown", f"{agreement.partner_id} has no key {signed_by}")
    if key.revoked_on is not None:
        raise Refused("pack_key_revoked", f"{signed_by} signs nothing since {key.revoked_on}")
    if not is_signed(key.public_key, signature, text):
        raise Invalid("pack_signature_wrong", f"{signed_by} did not sign exactly this pack")


def _key_ref(partner_id: str, key_id: str) -> str:
    return f"{partner_id}/{key_id}"
