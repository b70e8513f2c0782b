"""What a partner's answer, or its silence, makes of a cover: bound, refused, or offered to the next partner.

Where the application named no agreement, a partner that declines is passed over for the next that fits, before the
approval as after it. The cover that was declined stays on record with its reason; the next one has an id of its own, so
an answer that comes late cannot bind for another partner.
"""

from __future__ import annotations

from typing import Any

from libs.events.guarantee import CapacityReleased
from libs.runtime.tx import Tx
from services.guarantee.commands import routing, undertakings
from services.guarantee.commands.covers import known_cover, settle, weigh_answer
from services.guarantee.domain.cover import Cover, CoverAnswer, CoverState, expire_hold
from services.guarantee.store import COVERS, take_turn


async def take_cover_answer(tx: Tx, facility_id: str, cover_id: str, answer: CoverAnswer) -> None:
    """The partner answered: the cover binds within terms or is refused, and the hold becomes what was guaranteed."""
    asked = next((one for one in await tx.of(COVERS, facility_id) if one.cover_id == cover_id), None)
    cover = asked or await known_cover(tx, facility_id)
    settled, events, policy = await weigh_answer(tx, cover, answer)
    await turn_away(tx, cover, settled, events, policy=policy)


async def expire(tx: Tx, cover_id: str, facility_id: str) -> None:
    """The partner's days to answer are over: what is still only held goes back."""
    cover = await known_cover(tx, facility_id)
    if cover.cover_id == cover_id:
        await take_turn(tx)
        expired, events = expire_hold(cover)
        await turn_away(tx, cover, expired, events)


async def turn_away(tx: Tx, before: Cover, after: Cover, events: tuple[Any, ...], *, policy: str = "") -> None:
    """Save what became of the cover; one that was declined goes to the next offer, and only with none left is refused.

    Counter-guarantees in favour of a partner that declined are released. The turn must have been taken.
    """
    declined = after.state is CoverState.REFUSED and before.state is CoverState.REQUESTED
    if declined:
        await undertakings.release(tx, before.facility_id, before.partner)
    if not declined or not await routing.searched(tx, before.facility_id):
        await settle(tx, before, after, events, policy=policy)
        return
    released = tuple(event for event in events if isinstance(event, CapacityReleased))
    await settle(tx, before, after, released, policy=policy)
    if not await routing.go_on(tx, before, after.reason):
        for event in events:
            if event not in released:
                tx.publish(event, policy=policy)
