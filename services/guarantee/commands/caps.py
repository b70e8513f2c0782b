"""Keep the books of compensation caps: what was disbursed under cover, its balance, and what claims have used."""

from __future__ import annotations

from datetime import date

from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.commands.ledger import enter_cap_use
from services.guarantee.commands.payouts import give_back
from services.guarantee.domain import cap as rules
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.cap import CapBook
from services.guarantee.domain.claim import Claim
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.store import CAP_BOOKS, active_balance, take_turn


async def note_balance(tx: Tx, agreement: Agreement, loan: CoveredLoan, change: Money) -> None:
    """The guaranteed balance of a loan rose or fell; nothing is kept where no cap was agreed."""
    if agreement.cap is None:
        return
    book = await book_of(tx, agreement, loan.disbursed_on)
    tx.put(CAP_BOOKS, rules.move_balance(book, change, tx.date))


async def book_of(tx: Tx, agreement: Agreement, disbursed_on: date) -> CapBook:
    """The book that a loss on a loan of that day belongs to; takes the turn, for who reads it decides on room."""
    assert agreement.cap is not None, agreement.ref  # noqa: S101 - asked for only where a cap was agreed
    await take_turn(tx)
    year = rules.book_year(agreement.cap, disbursed_on, tx.date)
    found = await tx.find(CAP_BOOKS, rules.book_name(agreement.code, year))
    if found is not None:
        return found
    balance = await active_balance(tx, agreement.code, agreement.currency)
    return rules.open_book(agreement.code, year, agreement.cap, balance)


async def use_cap(tx: Tx, agreement: Agreement, claim: Claim, book: CapBook) -> None:
    """The claim takes its part of what the partners can still be asked for."""
    if agreement.cap is None:
        return
    used, reached = rules.use(book, agreement.cap, claim.counted, tx.date, claim.facility_id)
    tx.put(CAP_BOOKS, used)
    enter_cap_use(tx, claim, book.book_id, claim.counted)
    if reached is not None:
        tx.publish(reached)


async def give_cap_back(tx: Tx, agreement: Agreement, claim: Claim, *, denied: bool) -> None:
    """The claim came to nothing."""
    await give_back(tx, claim)
    if agreement.cap is None or not claim.book:
        return
    await take_turn(tx)
    book = await tx.get(CAP_BOOKS, claim.book)
    less = rules.give_back(book, agreement.cap, claim.counted, denied=denied)
    tx.put(CAP_BOOKS, less)
    if change := less.used - book.used:
        enter_cap_use(tx, claim, book.book_id, change)
