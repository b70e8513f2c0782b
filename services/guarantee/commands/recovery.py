"""Both sides answer for a month of the shared recovery book."""

from __future__ import annotations

from libs.runtime.tx import Tx
from services.guarantee.domain.bordereau import days_of
from services.guarantee.domain.recovery import Agreed, Balance, RecoveryBook, Word, answer, balance_name
from services.guarantee.store import BALANCES
from services.guarantee.views import recovery as views


async def answer_balance(
    tx: Tx, partner_id: str, month: str, *, side: str, agreed: Agreed, digest: str, reason: str
) -> RecoveryBook:
    """One side confirms or contests; raises Refused for a month that is not over, or for another digest."""
    book = await views.recovery_book(tx, partner_id, month)
    name = balance_name(partner_id, month)
    before = await tx.find(BALANCES, name) or Balance(balance_id=name, partner_id=partner_id, month=month)
    word = Word(side=side, agreed=agreed, digest=digest, by=tx.actor, on=tx.date, reason=reason)
    after, event = answer(before, book, word, days_of(month)[1])
    tx.put(BALANCES, after)
    if event is not None:
        tx.publish(event, key=partner_id)
    return await views.recovery_book(tx, partner_id, month)
