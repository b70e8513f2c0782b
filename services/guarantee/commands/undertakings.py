"""Guarantors sign, registries perfect, and repayment frees them all."""

from __future__ import annotations

from libs.events.application import LoanClosed
from libs.kernel.errors import NotFound
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.commands.covers import cover_of
from services.guarantee.domain import undertaking as rules
from services.guarantee.domain.cover import CoverState
from services.guarantee.domain.terms import LiabilityKind
from services.guarantee.domain.undertaking import Undertaking, UndertakingKind, UndertakingState
from services.guarantee.store import FILES, UNDERTAKINGS

GONE = (CoverState.REFUSED, CoverState.WITHDRAWN, CoverState.RELEASED)


async def sign_undertaking(
    tx: Tx,
    facility_id: str,
    *,
    kind: UndertakingKind,
    guarantor: str,
    liability: LiabilityKind,
    amount: Money,
    document: str,
) -> Undertaking:
    """Put a guarantor's signature on record, towards the bank or, for a counter-guarantee, the cover's partner."""
    await tx.get(FILES, facility_id)
    cover = await cover_of(tx, facility_id)
    new = Undertaking(
        undertaking_id=tx.new_id("undertaking"),
        facility_id=facility_id,
        kind=kind,
        guarantor=guarantor,
        creditor="",
        liability=liability,
        currency=amount.currency,
        amount=amount,
        document=document,
        state=UndertakingState.SIGNED,
        signed_on=tx.date,
    )
    partner = "" if cover is None or cover.state in GONE else cover.partner
    signed, event = rules.sign(await tx.of(UNDERTAKINGS, facility_id), new, partner)
    tx.put(UNDERTAKINGS, signed)
    tx.publish(event)
    return signed


async def perfect_undertaking(tx: Tx, facility_id: str, undertaking_id: str, registration: str) -> Undertaking:
    """A registry entered a counter-guarantee."""
    for one in await tx.of(UNDERTAKINGS, facility_id):
        if one.undertaking_id == undertaking_id:
            perfected, event = rules.perfect(one, registration, tx.date)
            tx.put(UNDERTAKINGS, perfected)
            tx.publish(event)
            return perfected
    raise NotFound("no_undertaking", undertaking_id)


async def note_closing(tx: Tx, event: LoanClosed) -> None:
    """The loan is closed: repaid, it frees everybody; a write-off frees nobody."""
    if event.outcome == "repaid":
        await release(tx, event.facility_id)


async def release(tx: Tx, facility_id: str, creditor: str = "") -> None:
    """Nothing is owed, or nothing was ever granted: nobody stands for it any longer, towards `creditor` or anybody."""
    for one in await tx.of(UNDERTAKINGS, facility_id):
        if creditor not in ("", one.creditor):
            continue
        over = rules.released(one, tx.date)
        if over != one:
            tx.put(UNDERTAKINGS, over)
