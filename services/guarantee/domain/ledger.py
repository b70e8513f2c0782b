"""The ledger of covers: what each published event did to the money between bank and partners, one entry for each sum.

Statements, lists and the recovery book are sums of entries, so they agree with the events to the cent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from libs.events import guarantee as told
from libs.events import guarantee_losses as losses
from libs.events import guarantee_upkeep as upkeep
from libs.kernel.money import Money

BALANCE, CAP_USED = "balance", "cap.used"
"""Entries that no event tells: a loan's guaranteed balance moved, a claim used a cap or gave it back."""
BORNE, INTEREST, COSTS = "loss.borne", "loss.interest", "recovery.costs"
"""Entries of the recovery book beside the events' own: each party's part of a loss paid, the interest in that loss,
and what selling the security cost before anything was recovered."""
RETURNED = "claim.returned"
"""What was paid in advance on a claim that came to nothing goes back."""
OWN = (BALANCE, CAP_USED, BORNE, INTEREST, COSTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One sum of one event on one business date; of a claim that came to nothing there is no amount.

    `reference` is what a partner's own list would name: the cover, the loan, or the claim. `party` is named where an
    event divides a sum among several.
    """

    entry_id: str
    facility_id: str
    cover_id: str
    kind: str
    reference: str
    currency: str
    amount: Money | None
    on: date
    party: str = ""


# Which field names what the entry is about, and which its sum.
BOOKED: dict[type, tuple[str, str]] = {
    told.CoverBound: ("cover_id", "guaranteed"),
    told.CoverActivated: ("loan_id", "amount"),
    told.CoverFiled: ("loan_id", "amount"),
    told.CoverConfirmed: ("loan_id", "amount"),
    told.CoverRemoved: ("loan_id", "amount"),
    told.CoverReleased: ("cover_id", "amount"),
    told.PremiumDue: ("cover_id", "amount"),
    told.PremiumPaid: ("cover_id", "amount"),
    upkeep.PremiumRefunded: ("cover_id", "amount"),
    losses.ClaimFiled: ("claim_id", "claimed"),
    losses.ClaimAccepted: ("claim_id", "amount"),
    losses.ClaimDenied: ("claim_id", ""),
    losses.ClaimWithdrawn: ("claim_id", ""),
    losses.ClaimInterimPaid: ("claim_id", "amount"),
    losses.ClaimPaid: ("claim_id", "amount"),
    upkeep.PayoutDeferred: ("claim_id", "amount"),
    losses.ReguaranteeReimbursed: ("claim_id", "amount"),
}


def entries_of(body: Any, kind: str, event_id: str, on: date) -> tuple[Entry, ...]:
    """What an event called `kind` enters in the ledger; nothing for one that moves no money between the parties."""
    match body:
        case losses.RecoveryShared():
            return _parts(body, kind, event_id, on, body.cover_id)
        case losses.ClaimPaid():
            return (*_booked(body, kind, event_id, on), *_parts(body, BORNE, event_id, on, body.claim_id))
        case losses.ClaimDenied(returned=Money() as back) | losses.ClaimWithdrawn(returned=Money() as back):
            (entry,) = _booked(body, kind, event_id, on)
            name = f"{event_id}/{RETURNED}"
            return entry, replace(entry, entry_id=name, kind=RETURNED, currency=back.currency, amount=back)
    return _booked(body, kind, event_id, on)


def _parts(
    body: losses.RecoveryShared | losses.ClaimPaid, kind: str, event_id: str, on: date, of: str
) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            entry_id=f"{event_id}/{part.party}",
            facility_id=body.facility_id,
            cover_id=body.cover_id,
            kind=kind,
            reference=of,
            currency=part.amount.currency,
            amount=part.amount,
            on=on,
            party=part.party,
        )
        for part in body.parts
    )


def _booked(body: Any, kind: str, event_id: str, on: date) -> tuple[Entry, ...]:
    if type(body) not in BOOKED:
        return ()
    reference, sum_of = BOOKED[type(body)]
    amount: Money | None = getattr(body, sum_of) if sum_of else None
    return (
        Entry(
            entry_id=event_id,
            facility_id=body.facility_id,
            cover_id=body.cover_id,
            kind=kind,
            reference=getattr(body, reference),
            currency=amount.currency if amount else "",
            amount=amount,
            on=on,
            party=body.party if isinstance(body, losses.ReguaranteeReimbursed) else "",
        ),
    )
