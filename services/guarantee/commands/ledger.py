"""Keep the ledger: every event that is published, and what moves without one, is entered in the same transaction."""

from __future__ import annotations

from typing import Any

from libs.events.envelope import kind_of
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.domain.claim import Claim
from services.guarantee.domain.cover import Cover
from services.guarantee.domain.ledger import BALANCE, CAP_USED, COSTS, INTEREST, Entry, entries_of
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.store import ENTRIES


def enter_event(tx: Tx, body: Any, event_id: str) -> None:
    """Enter what the event says of money; the runtime calls this with each event."""
    for entry in entries_of(body, kind_of(body).name, event_id, tx.date):
        tx.put(ENTRIES, entry)


def enter_balance(tx: Tx, loan: CoveredLoan, change: Money) -> None:
    """The guaranteed balance of a loan rose or fell."""
    _enter(tx, BALANCE, loan.facility_id, loan.cover_id, loan.loan_id, change)


def enter_cap_use(tx: Tx, claim: Claim, book_id: str, amount: Money) -> None:
    """A claim used a cap, or (a negative amount) gave it back."""
    _enter(tx, CAP_USED, claim.facility_id, claim.cover_id, book_id, amount)


def enter_interest(tx: Tx, claim: Claim, interest: Money) -> None:
    """So much of a claimed loss is not principal."""
    _enter(tx, INTEREST, claim.facility_id, claim.cover_id, claim.claim_id, interest)


def enter_costs(tx: Tx, cover: Cover, costs: Money) -> None:
    """Security under the cover was sold, and what the sale cost came off its price first."""
    _enter(tx, COSTS, cover.facility_id, cover.cover_id, cover.cover_id, costs)


def _enter(tx: Tx, kind: str, facility_id: str, cover_id: str, reference: str, amount: Money) -> None:
    entry = Entry(
        entry_id=tx.new_id(kind),
        facility_id=facility_id,
        cover_id=cover_id,
        kind=kind,
        reference=reference,
        currency=amount.currency,
        amount=amount,
        on=tx.date,
    )
    tx.put(ENTRIES, entry)
