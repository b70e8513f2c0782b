"""What a partner is told of its own business, and what stays the bank's: what stands in neither is not told."""

from __future__ import annotations

TOLD = frozenset(
    {
        *("cover.requested", "capacity.reserved", "capacity.released", "quote.received", "quote.declined"),
        *("cover.bound", "cover.refused", "disbursement_notice.issued", "cover.activated", "cover.filed"),
        *(
            "cover.confirmed",
            "cover.removed",
            "cover.endorsed",
            "change.requested",
            "change.consented",
            "change.refused",
            "cover.expiring",
        ),
        *("cover.released", "premium.due", "premium.paid", "premium.refunded", "loss.notified", "claim.filed"),
        *("claim.queried", "claim.answered", "claim.accepted", "claim.denied", "claim.appealed", "claim.withdrawn"),
        *("claim.interim_paid", "claim.paid", "deadline.missed", "reguarantee.reimbursed", "reguarantee.overdue"),
        *("recovery.shared", "cap.reached", "balance.confirmed", "balance.contested", "partner.warned"),
        *("partner.suspended", "partner.reinstated", "partner.unreachable", "payout.deferred"),
    }
)
WITHHELD = {
    "claim.refused": "our own rules refused it: nothing was ever put to the partner",
    "cover.endangered": "by which defences a claim would fail is the bank's to know and to mend",
    "cover.mended": "by which defences a claim would fail is the bank's to know and to mend",
    "guarantor.signed": "names the people who stand behind the borrower",
    "counter_guarantee.perfected": "names the people who stand behind the borrower",
}
"""Each with the reason."""
