"""The door for events: each is handed to the command that takes it, nothing else."""

from __future__ import annotations

from libs.events.collateral import CollateralDisposed, CollateralPerfected, CollateralValued
from libs.events.envelope import Meta
from libs.events.guarantee import (
    CapacityReserved,
    ClaimAppealed,
    ClaimDenied,
    ClaimFiled,
    ClaimPaid,
    ClaimWithdrawn,
    CoverBound,
    CoverRefused,
)
from libs.events.guarantee_upkeep import ChangeRefused, CoverEndorsed, DisbursementNoticeIssued
from libs.events.incentive import CaseDetermined
from libs.events.rating import InformationDisputed, InformationVerified, RatingAssigned
from libs.runtime.service import Reactions
from libs.runtime.tx import Tx
from services.application.commands import extensions, facts, workout
from services.application.domain.loan import ClaimState

_CLAIMS: dict[type, ClaimState] = {
    ClaimFiled: ClaimState.OPEN,
    ClaimAppealed: ClaimState.OPEN,
    ClaimDenied: ClaimState.DENIED,
    ClaimWithdrawn: ClaimState.WITHDRAWN,
}


async def information_settled(tx: Tx, event: InformationVerified | InformationDisputed, _: Meta) -> None:
    await facts.note_information(tx, event)


async def rating_assigned(tx: Tx, event: RatingAssigned, _: Meta) -> None:
    await facts.note_rating(tx, event)


async def collateral_valued(tx: Tx, event: CollateralValued, _: Meta) -> None:
    await facts.note_valuation(tx, event)


async def collateral_perfected(tx: Tx, event: CollateralPerfected, _: Meta) -> None:
    await facts.note_perfection(tx, event)


async def capacity_reserved(tx: Tx, event: CapacityReserved, _: Meta) -> None:
    await facts.note_hold(tx, event)


async def notice_issued(tx: Tx, event: DisbursementNoticeIssued, _: Meta) -> None:
    await facts.note_notice(tx, event)


async def cover_settled(tx: Tx, event: CoverBound | CoverRefused, _: Meta) -> None:
    await facts.note_cover(tx, event)


async def claim_moved(tx: Tx, event: ClaimFiled | ClaimAppealed | ClaimDenied | ClaimWithdrawn, _: Meta) -> None:
    await workout.note_claim(tx, event.facility_id, _CLAIMS[type(event)])


async def claim_paid(tx: Tx, event: ClaimPaid, _: Meta) -> None:
    await workout.note_claim_paid(tx, event.facility_id, event.amount)


async def case_determined(tx: Tx, event: CaseDetermined, _: Meta) -> None:
    await workout.note_determination(tx, event.facility_id, event.loan_id)


async def collateral_disposed(tx: Tx, event: CollateralDisposed, _: Meta) -> None:
    await workout.note_disposal(tx, event.facility_id, event.collateral_id, event.net)


async def cover_endorsed(tx: Tx, event: CoverEndorsed, _: Meta) -> None:
    await extensions.note_endorsement(tx, event)


async def change_refused(tx: Tx, event: ChangeRefused, _: Meta) -> None:
    await extensions.note_change_refused(tx, event)


REACTIONS: Reactions = {
    InformationVerified: information_settled,
    InformationDisputed: information_settled,
    RatingAssigned: rating_assigned,
    CollateralValued: collateral_valued,
    CollateralPerfected: collateral_perfected,
    CollateralDisposed: collateral_disposed,
    CapacityReserved: capacity_reserved,
    DisbursementNoticeIssued: notice_issued,
    CoverBound: cover_settled,
    CoverRefused: cover_settled,
    CoverEndorsed: cover_endorsed,
    ChangeRefused: change_refused,
    ClaimFiled: claim_moved,
    ClaimAppealed: claim_moved,
    ClaimDenied: claim_moved,
    ClaimWithdrawn: claim_moved,
    ClaimPaid: claim_paid,
    CaseDetermined: case_determined,
}
