"""Premiums after the first: charged period by period while a loan is covered, refunded when it is repaid early."""

from __future__ import annotations

from dataclasses import replace

from libs.events.application import LoanClosed
from libs.runtime.tx import Tx
from services.guarantee.commands.covers import bill, known_cover, known_loan, loan_of, terms_of
from services.guarantee.commands.payouts import surcharge_on
from services.guarantee.commands.records import note
from services.guarantee.domain import premium
from services.guarantee.domain.claim import claim_paid
from services.guarantee.store import CLAIMS, LOANS


async def charge_next(tx: Tx, loan_id: str, facility_id: str) -> None:
    """Another period begins: its premium is due for what is still guaranteed, unless the partner has paid for it."""
    loan, cover = await known_loan(tx, facility_id, loan_id), await known_cover(tx, facility_id)
    if loan.closed or claim_paid(await tx.of(CLAIMS, facility_id), loan_id) is not None:
        return
    terms = tx.policy(premium.PremiumTerms, "guarantee/premium")
    agreement = await terms_of(tx, cover)
    surcharge = await surcharge_on(tx, agreement)
    charged, dues = premium.charge_next(loan, cover, agreement, tx.date, terms.terms, surcharge)
    if dues:  # nothing is guaranteed any longer, or less than a cent is due: no further period is looked at
        tx.put(LOANS, charged)
        bill(tx, charged, dues, terms.ref)


async def refund_unearned(tx: Tx, event: LoanClosed) -> None:
    """The loan was repaid: the agreed part of what was charged for days to come goes back."""
    loan = await loan_of(tx, event.facility_id, event.loan_id)
    if loan is None or loan.closed or event.outcome != "repaid":
        return
    agreement = await terms_of(tx, await known_cover(tx, event.facility_id))
    for refunded in premium.refund_unearned(loan, agreement, tx.date):
        tx.publish(refunded)
        back = refunded.amount
        await note(tx, agreement, lambda record, back=back: replace(record, premiums=record.premiums - back))  # type: ignore[misc]  # mypy cannot type a lambda's default
