"""Admit partners and versions of agreements, sign, adopt, suspend and reinstate them; hear what partners report.

A version never changes once it is admitted, because covers were bound on it; only signatures are added.
"""

from __future__ import annotations

from datetime import date
from typing import TypeVar

from libs.kernel.errors import Invalid, NotFound, Refused
from libs.runtime.tx import Tx
from services.guarantee.domain import agreement as rules
from services.guarantee.domain import suspension as pauses
from services.guarantee.domain.agreement import Adoption, Agreement, Partner
from services.guarantee.domain.capacity import Exposure, Standing
from services.guarantee.domain.suspension import Suspension
from services.guarantee.domain.terms import Signature
from services.guarantee.store import (
    ADOPTIONS,
    AGREEMENTS,
    EXPOSURES,
    PARTNERS,
    STANDINGS,
    SUSPENSIONS,
    take_turn,
)

Reported = TypeVar("Reported", Standing, Exposure)


async def admit_partner(tx: Tx, partner: Partner) -> Partner:
    """Admit a partner once; Refused when the id is taken."""
    if await tx.find(PARTNERS, partner.partner_id) is not None:
        raise Refused("partner_exists", partner.partner_id)
    tx.put(PARTNERS, partner)
    return partner


async def admit_agreement(tx: Tx, agreement: Agreement) -> Agreement:
    """Admit a version of an agreement with an admitted partner; it counts once both sides have signed it."""
    await take_turn(tx)
    await tx.get(PARTNERS, agreement.partner_id)
    rules.follow(await tx.of(AGREEMENTS, agreement.code), agreement)
    tx.put(AGREEMENTS, agreement)
    return agreement


async def sign_agreement(tx: Tx, code: str, effective: date, *, party: str, digest: str) -> Agreement:
    """The bank signs a version, or the partner's signature under it is put on record."""
    await take_turn(tx)
    version = await tx.get(AGREEMENTS, rules.version_ref(code, effective))
    signed = rules.sign(version, Signature(party=party, by=tx.actor, on=tx.date, digest=digest))
    tx.put(AGREEMENTS, signed)
    return signed


async def adopt_agreement(tx: Tx, adoption: Adoption) -> Adoption:
    """A branch adopts the version in force within limits of its own, which replace those it had."""
    await take_turn(tx)
    versions = await tx.of(AGREEMENTS, adoption.code)
    agreement = rules.in_force(versions, tx.date)
    if agreement is None:
        raise NotFound("not_found", f"no agreement {adoption.code} is in force")
    tx.put(ADOPTIONS, rules.adopt(agreement, adoption))
    return adoption


async def suspend_agreement(tx: Tx, code: str, reason: str) -> Suspension:
    """Bind nothing under the agreement until it is reinstated, not even what is being asked for now."""
    await take_turn(tx)
    versions = await tx.of(AGREEMENTS, code)
    if not versions:
        raise NotFound("not_found", f"no agreement {code}")
    last = await tx.find(SUSPENSIONS, code)
    row, event = pauses.suspend(last, code=code, partner=versions[0].partner_id, reason=reason, by=tx.actor, on=tx.date)
    tx.put(SUSPENSIONS, row)
    await tx.unit.lock([row.partner])
    tx.publish(event, key=row.partner)
    return row


async def reinstate_agreement(tx: Tx, code: str, reason: str) -> Suspension:
    """Bind under the agreement again."""
    await take_turn(tx)
    last = await tx.find(SUSPENSIONS, code)
    row, event = pauses.reinstate(last, code=code, reason=reason, by=tx.actor, on=tx.date)
    tx.put(SUSPENSIONS, row)
    await tx.unit.lock([row.partner])
    tx.publish(event, key=row.partner)
    return row


async def report_standing(tx: Tx, standing: Standing) -> Standing:
    """A partner reports its net assets and what it guarantees elsewhere; an older report never replaces a newer."""
    await take_turn(tx)
    await tx.get(PARTNERS, standing.partner_id)
    last = await tx.find(STANDINGS, standing.partner_id)
    _check_newer(last, standing, tx.date)
    tx.put(STANDINGS, standing)
    return standing


async def report_exposure(tx: Tx, exposure: Exposure) -> Exposure:
    """A partner reports what it guarantees elsewhere for one obligor, and to which group it counts him."""
    await take_turn(tx)
    await tx.get(PARTNERS, exposure.partner_id)
    last = await tx.find(EXPOSURES, exposure.exposure_id)
    _check_newer(last, exposure, tx.date)
    tx.put(EXPOSURES, exposure)
    return exposure


def _check_newer(last: Reported | None, new: Reported, on: date) -> None:
    if new.as_of > on:
        raise Invalid("report_from_the_future", f"{new.as_of} has not come yet")
    if last is not None and new.as_of < last.as_of:
        raise Refused("report_outdated", f"there is one as of {last.as_of}")
