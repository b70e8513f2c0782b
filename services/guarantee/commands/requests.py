"""Collect what a cover request needs, in whatever order it comes; then ask whom the application names, or find one."""

from __future__ import annotations

from dataclasses import replace

from libs.events.application import ApplicationSubmitted
from libs.events.rating import InformationDisputed, InformationVerified, RatingAssigned
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.commands import routing
from services.guarantee.commands.covers import cover_of, file_of, hold
from services.guarantee.commands.packs import refusing_pack
from services.guarantee.domain.agreement import in_force
from services.guarantee.domain.cover import CoverFile, CoverTerms, cover_wanted, refuse_cover, with_application
from services.guarantee.domain.routing import ANY
from services.guarantee.store import AGREEMENTS, COVERS, FILES, LOANS, take_turn


async def note_application(tx: Tx, event: ApplicationSubmitted) -> None:
    """Keep what the application asks for; ask for the cover if the rating came first."""
    await _save_and_request(tx, with_application(await file_of(tx, event.facility_id), event, tx.org))


async def note_size(tx: Tx, event: InformationVerified | InformationDisputed) -> None:
    """Keep the size class that was found; it comes before the grade."""
    tx.put(FILES, replace(await file_of(tx, event.facility_id), size_class=event.size_class))


async def note_rating(tx: Tx, event: RatingAssigned) -> None:
    """Keep grade and probability of default; ask for the cover if the application is known."""
    file = await file_of(tx, event.facility_id)
    await _save_and_request(tx, replace(file, grade=event.grade, pd=event.pd))
    for loan in await tx.of(LOANS, event.facility_id):
        tx.put(LOANS, replace(loan, pd=event.pd))


async def _save_and_request(tx: Tx, file: CoverFile) -> None:
    """Save the facts; the first time they are complete, ask for the cover."""
    tx.put(FILES, file)
    amount = cover_wanted(file)
    if amount is None or await cover_of(tx, file.facility_id) is not None:
        return
    if file.agreement == ANY:
        await routing.find_partner(tx, file, amount)
    else:
        await _request(tx, file, amount)


async def _request(tx: Tx, file: CoverFile, amount: Money) -> None:
    """Take capacity under the agreement that was named and ask its partner, or refuse the cover."""
    await take_turn(tx)
    terms = tx.policy(CoverTerms, "guarantee/cover")
    versions = await tx.of(AGREEMENTS, file.agreement or "")
    agreement = in_force(versions, tx.date)
    if agreement is None:
        reason = "agreement_not_in_force" if versions else "agreement_unknown"
    else:
        reason = await routing.why_not(tx, file, amount, agreement) or await hold(tx, file, agreement, amount)
    if reason:
        pack = await refusing_pack(tx, file.facility_id, file.agreement or "")
        cover, refused = refuse_cover(file, amount, tx.new_id("cover"), reason, pack)
        tx.put(COVERS, cover)
        tx.publish(refused, policy=terms.ref)
