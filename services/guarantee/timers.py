"""What guarantee does when a day comes: waits for claims, payments, answers and filings end."""

from __future__ import annotations

from libs.runtime.service import Timers
from services.guarantee.commands import cash, claim_life, claims, covers

TIMERS: Timers = {
    claims.CLAIM_DUE: claims.file_due_claim,
    claims.PAYMENT_DUE: claims.ask_payment,
    claims.NOTICE_DUE: claim_life.miss_notice,
    claims.TURN_ENDS: claim_life.end_turn,
    claims.INTERIM_DUE: claim_life.miss_interim,
    covers.HOLD_EXPIRES: covers.expire,
    covers.FILING_ENDS: covers.end_filing,
    covers.CONFIRMATION_DUE: covers.miss_confirmation,
    cash.LEG_DUE: cash.miss_reimbursement,
}
