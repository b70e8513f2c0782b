"""Between approval and pay-out: ask the partner to bind what is held, and take its disbursement notice."""

from __future__ import annotations

from dataclasses import replace

from libs.events.application import FacilityGranted
from libs.runtime.tx import Tx
from services.guarantee.commands.binding import turn_away
from services.guarantee.commands.covers import ask, cover_of, is_suspended, known_cover, terms_of
from services.guarantee.domain import notice
from services.guarantee.domain.cover import Cover, CoverState, ask_partner, turn_down
from services.guarantee.domain.guarantors import check_backed
from services.guarantee.domain.undertaking import lacking
from services.guarantee.store import COVERS, UNDERTAKINGS, take_turn


async def ask_to_bind(tx: Tx, event: FacilityGranted) -> None:
    """The facility was approved: a cover only held so far is asked for now, unless its agreement stands still."""
    cover = await cover_of(tx, event.facility_id)
    if cover is None or cover.asked or cover.state is not CoverState.REQUESTED:
        return
    await take_turn(tx)
    if await is_suspended(tx, cover.agreement):
        refused, events = turn_down(cover, "agreement_suspended")
        await turn_away(tx, cover, refused, events)
        return
    asked = replace(cover, asked=True, asked_on=tx.date)
    tx.put(COVERS, asked)
    tx.publish(ask_partner(asked))
    await ask(tx, asked, await terms_of(tx, cover))


async def issue_notice(tx: Tx, facility_id: str, number: str) -> Cover:
    """The guarantor's disbursement notice is here: as far as the cover goes, the money may be paid."""
    cover = await known_cover(tx, facility_id)
    agreement = await terms_of(tx, cover)
    undertakings = await tx.of(UNDERTAKINGS, facility_id)
    noticed, event = notice.issue_notice(cover, agreement, number, lacking(agreement, undertakings))
    check_backed(agreement.liability.guarantors, undertakings, cover.amount)
    tx.put(COVERS, noticed)
    tx.publish(event)
    return noticed
