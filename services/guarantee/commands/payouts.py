"""Keep each year's payouts within what the agreement allows; a claim that finds no room waits for the next year."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.domain import payout as rules
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.claim import Claim
from services.guarantee.domain.payout import Payout, PayoutBook
from services.guarantee.store import AGREEMENTS, PAYOUT_BOOKS, PAYOUTS, take_turn


async def note_income(tx: Tx, agreement: Agreement, amount: Money) -> None:
    """Premiums were paid to the partner, or a recovery shared with it: next year it can pay more."""
    if agreement.payout is None or not amount:
        return
    book = await _book(tx, agreement, tx.date.year)
    tx.put(PAYOUT_BOOKS, replace(book, income=book.income + amount))


async def wait_for_year(tx: Tx, agreement: Agreement, claim: Claim) -> date | None:
    """Count a payout that is due on this year; the day to look again where the year has no room for it."""
    if agreement.payout is None or await tx.find(PAYOUTS, claim.claim_id) is not None:
        return None
    await take_turn(tx)
    year = tx.date.year
    book = await _book(tx, agreement, year)
    versions = await tx.of(AGREEMENTS, agreement.code)
    # In its first year an agreement has no year before to measure on.
    began = min(version.effective.year for version in versions)
    cap = None if began >= year else rules.cap_of(agreement.payout, await _book(tx, agreement, year - 1))
    promised = rules.promise(book, cap, claim)
    if promised is not None:
        tx.put(PAYOUT_BOOKS, promised)
        tx.put(PAYOUTS, Payout(claim_id=claim.claim_id, facility_id=claim.facility_id, book_id=book.book_id))
        return None
    assert cap is not None, agreement.ref  # noqa: S101 - without a cap every claim finds room
    tx.put(PAYOUT_BOOKS, replace(book, crossed=True))
    event = rules.defer(book, cap, claim, agreement.partner_id, tx.date, tx.calendar)
    tx.publish(event)
    return event.until


async def surcharge_on(tx: Tx, agreement: Agreement) -> Decimal:
    """The part by which this year's premiums are higher, for years in which payouts crossed their line."""
    if agreement.payout is None or not agreement.payout.surcharge:
        return Decimal(0)
    books = await tx.of(PAYOUT_BOOKS, agreement.code)
    crossed = [int(book.book_id.rpartition("/")[2]) for book in books if book.crossed]
    return rules.surcharge_on(agreement.payout, crossed, tx.date.year)


async def give_back(tx: Tx, claim: Claim) -> None:
    """The claim came to nothing: the year it was counted on has its room again."""
    payout = await tx.find(PAYOUTS, claim.claim_id)
    if payout is not None:
        await take_turn(tx)
        book = await tx.get(PAYOUT_BOOKS, payout.book_id)
        tx.put(PAYOUT_BOOKS, replace(book, promised=book.promised - claim.claimed))


async def _book(tx: Tx, agreement: Agreement, year: int) -> PayoutBook:
    return await tx.find(PAYOUT_BOOKS, f"{agreement.code}/{year}") or rules.new_book(agreement, year)
