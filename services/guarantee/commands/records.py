"""Keep each agreement's track record and do what its triggers say: warn, throttle, suspend, reinstate.

Records are kept only where an agreement measures by them; who changes one takes the turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from libs.events.guarantee import PartnerWarned
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.commands.caps import note_balance
from services.guarantee.commands.ledger import enter_balance
from services.guarantee.commands.payouts import note_income
from services.guarantee.domain import suspension as pauses
from services.guarantee.domain.agreement import Agreement, in_force
from services.guarantee.domain.health import TrackRecord, judge, new_record, value_of
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.store import AGREEMENTS, LOANS, RECORDS, SUSPENSIONS, bound_amount, take_turn


async def keep_loan(tx: Tx, agreement: Agreement, before: CoveredLoan | None, after: CoveredLoan) -> None:
    """Save a loan; where its guaranteed balance or its arrears moved, caps and the track record follow."""
    tx.put(LOANS, after)
    none = after.guaranteed.zero
    change = after.guaranteed - (before.guaranteed if before else none)
    overdue = _in_arrears(after) - (_in_arrears(before) if before else none)
    if change:
        enter_balance(tx, after, change)
        await note_balance(tx, agreement, after, change)

    def moved(record: TrackRecord) -> TrackRecord:
        return replace(
            record,
            disbursed=record.disbursed if before else record.disbursed + change,
            balance=record.balance + change,
            in_arrears=record.in_arrears + overdue,
        )

    if change or overdue:
        await note(tx, agreement, moved)


async def note(tx: Tx, agreement: Agreement, change: Callable[[TrackRecord], TrackRecord]) -> None:
    """Change the agreement's track record, and do what its triggers ask for then."""
    if not agreement.watched and agreement.payout is None:
        return
    await take_turn(tx)
    found = await tx.find(RECORDS, agreement.code)
    last = await tx.find(SUSPENSIONS, agreement.code)
    reason = last.reason if last is not None and pauses.suspended(last) else ""
    before = found or new_record(agreement)
    verdict = judge(change(before), agreement.watched, reason)
    tx.put(RECORDS, verdict.record)
    await note_income(tx, agreement, verdict.record.income - before.income)
    if not (verdict.warn or verdict.suspend or verdict.reinstate):
        return
    await tx.unit.lock([agreement.partner_id])
    for trigger in verdict.warn:
        event = PartnerWarned(
            partner=agreement.partner_id,
            agreement=agreement.code,
            measure=trigger.measure,
            value=round(value_of(verdict.record, trigger.measure) or Decimal(0), 6),
            level=trigger.warn_at or Decimal(0),
        )
        tx.publish(event, key=agreement.partner_id)
    code, partner, by = agreement.code, agreement.partner_id, tx.actor
    if verdict.suspend is not None:
        measure = verdict.suspend.measure.value
        row, suspended = pauses.suspend(last, code=code, partner=partner, reason=measure, by=by, on=tx.date)
        tx.put(SUSPENSIONS, row)
        tx.publish(suspended, key=partner)
    elif verdict.reinstate:
        row, reinstated = pauses.reinstate(last, code=code, reason=reason, by=by, on=tx.date)
        tx.put(SUSPENSIONS, row)
        tx.publish(reinstated, key=partner)


async def note_use(tx: Tx, code: str, currency: str) -> None:
    """What covers hold under the agreement has changed: how full it is may warn, throttle, suspend or reinstate."""
    agreement = in_force(await tx.of(AGREEMENTS, code), tx.date)
    if agreement is None or agreement.use is None:
        return
    capacity, bound = agreement.capacity, await bound_amount(tx, code, currency)
    await note(tx, agreement, lambda record: replace(record, bound=bound, capacity=capacity))


def _in_arrears(loan: CoveredLoan) -> Money:
    return loan.guaranteed if loan.overdue_since is not None and not loan.closed else loan.guaranteed.zero
