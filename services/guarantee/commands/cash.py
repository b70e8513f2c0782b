"""Cash behind the direct payer: what re-guarantor and fund owe it for a paid claim, and what of it has come."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from libs.kernel.errors import NotFound
from libs.kernel.money import Money, total
from libs.runtime.tx import Tx
from services.guarantee.commands.covers import known_cover, terms_of
from services.guarantee.commands.records import note
from services.guarantee.domain import cash as rules
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.cash import CashLeg
from services.guarantee.domain.claim import Claim
from services.guarantee.store import LEGS

LEG_DUE = "leg.due"


async def owe_behind(tx: Tx, claim: Claim, agreement: Agreement) -> None:
    """The direct payer has paid: start the clock of each party behind it."""
    legs = rules.legs_behind(
        claim.parts,
        agreement,
        facility_id=claim.facility_id,
        cover_id=claim.cover_id,
        claim_id=claim.claim_id,
        paid_on=tx.date,
        calendar=tx.calendar,
    )
    for leg in legs:
        tx.put(LEGS, leg)
        tx.timer(LEG_DUE, ref=leg.leg_id, key=leg.facility_id, due=leg.due + timedelta(days=1))
    owed = total((leg.amount for leg in legs), claim.currency)
    if owed:
        await note(tx, agreement, lambda record: replace(record, behind=record.behind + owed))


async def take_reimbursement(
    tx: Tx, facility_id: str, claim_id: str, *, party: str, amount: Money, receipt: str
) -> CashLeg:
    """Money came to the direct payer from a party behind it, as the payer reported."""
    leg = await _leg(tx, facility_id, f"{claim_id}/{party}")
    paid, event = rules.reimburse(leg, amount, receipt)
    tx.put(LEGS, paid)
    tx.publish(event)
    if not paid.arrears:
        tx.cancel_timer(LEG_DUE, ref=leg.leg_id)
    if tx.date > leg.due:
        await _note_late(tx, facility_id, amount.zero - amount)
    return paid


async def owes(tx: Tx, facility_id: str, claim_id: str, party: str) -> bool:
    """Whether the party stands behind the payer of this claim, paid or not."""
    return any(leg.leg_id == f"{claim_id}/{party}" for leg in await tx.of(LEGS, facility_id))


async def miss_reimbursement(tx: Tx, leg_id: str, facility_id: str) -> None:
    """The last day has passed: tell what is still owed."""
    event = rules.miss_reimbursement(await _leg(tx, facility_id, leg_id))
    if event is not None:
        tx.publish(event)
        await _note_late(tx, facility_id, event.amount)


async def _note_late(tx: Tx, facility_id: str, change: Money) -> None:
    agreement = await terms_of(tx, await known_cover(tx, facility_id))
    await note(tx, agreement, lambda record: replace(record, behind_late=record.behind_late + change))


async def _leg(tx: Tx, facility_id: str, leg_id: str) -> CashLeg:
    for leg in await tx.of(LEGS, facility_id):
        if leg.leg_id == leg_id:
            return leg
    raise NotFound("no_reimbursement_due", leg_id)
