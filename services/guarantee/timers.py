"""What guarantee does when a day comes: waits for claims, payments, answers, quotes and filings end."""

from __future__ import annotations

from libs.runtime.service import Timers
from services.guarantee.commands import cash, claims, covers, routing

TIMERS: Timers = {
    claims.CLAIM_DUE: claims.file_due_claim,
    claims.PAYMENT_DUE: claims.ask_payment,
    covers.HOLD_EXPIRES: covers.expire,
    covers.FILING_ENDS: covers.end_filing,
    routing.QUOTES_END: routing.end_quotes,
    cash.LEG_DUE: cash.miss_reimbursement,
}
