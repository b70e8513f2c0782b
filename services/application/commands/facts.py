"""Stores what rating, collateral and guarantee say of a facility; the last missing fact releases a waiting drawdown."""

from __future__ import annotations

from dataclasses import replace

from libs.events.collateral import CollateralPerfected, CollateralValued
from libs.events.guarantee import CapacityReserved, CoverBound, CoverRefused
from libs.events.guarantee_upkeep import DisbursementNoticeIssued
from libs.events.rating import InformationDisputed, InformationVerified, RatingAssigned
from libs.runtime.tx import Tx
from services.application.commands.drawing import pay_when_ready
from services.application.domain.facility import CoverState, Facility, with_capacity, with_perfected
from services.application.store import FACILITIES


async def note_information(tx: Tx, event: InformationVerified | InformationDisputed) -> None:
    """Whether the borrower's information is true, and the borrower's size class."""
    word = "verified" if isinstance(event, InformationVerified) else "disputed"
    facility = await tx.get(FACILITIES, event.facility_id)
    tx.put(FACILITIES, replace(facility, information=word, size_class=event.size_class))


async def note_rating(tx: Tx, event: RatingAssigned) -> None:
    """How good the borrower is."""
    facility = await tx.get(FACILITIES, event.facility_id)
    tx.put(FACILITIES, replace(facility, grade=event.grade, score=event.score, pd=event.pd))


async def note_valuation(tx: Tx, event: CollateralValued) -> None:
    """What one item of security may carry."""
    facility = await tx.get(FACILITIES, event.facility_id)
    tx.put(FACILITIES, with_capacity(facility, event.collateral_id, event.capacity))


async def note_perfection(tx: Tx, event: CollateralPerfected) -> None:
    """One security interest exists."""
    facility = await tx.get(FACILITIES, event.facility_id)
    await _settle(tx, with_perfected(facility, event.collateral_id))


async def note_hold(tx: Tx, event: CapacityReserved) -> None:
    """Capacity is held; where the partner binds only after the approval, the file goes on with what is held."""
    if event.bind_after_approval:
        facility = await tx.get(FACILITIES, event.facility_id)
        tx.put(FACILITIES, replace(facility, cover_promised=True, guaranteed=event.amount))


async def note_notice(tx: Tx, event: DisbursementNoticeIssued) -> None:
    """The guarantor lets the money go out."""
    facility = await tx.get(FACILITIES, event.facility_id)
    await _settle(tx, replace(facility, notice_awaited=False))


async def note_cover(tx: Tx, event: CoverBound | CoverRefused) -> None:
    """The partner bound or refused the cover."""
    facility = await tx.get(FACILITIES, event.facility_id)
    if isinstance(event, CoverBound):
        bound = replace(facility, cover=CoverState.BOUND, guaranteed=event.guaranteed)
        await _settle(tx, replace(bound, notice_awaited=event.notice_needed))
    else:
        await _settle(tx, replace(facility, cover=CoverState.REFUSED))


async def _settle(tx: Tx, facility: Facility) -> None:
    tx.put(FACILITIES, facility)
    await pay_when_ready(tx, facility)
