"""What guarantee does when a day comes: waits for claims, payments, answers and filings end, periods run out."""

from __future__ import annotations

from libs.runtime.service import Timers
from services.guarantee.commands import (
    binding,
    cash,
    changes,
    claim_life,
    claims,
    covers,
    defence,
    premiums,
    routing,
    staged,
)

TIMERS: Timers = {
    claims.CLAIM_DUE: claims.file_due_claim,
    claims.PAYMENT_DUE: claims.ask_payment,
    staged.REST_DUE: staged.end_years,
    claims.NOTICE_DUE: claim_life.miss_notice,
    claims.TURN_ENDS: claim_life.end_turn,
    claims.INTERIM_DUE: claim_life.miss_interim,
    covers.HOLD_EXPIRES: binding.expire,
    covers.FILING_ENDS: defence.end_filing,
    defence.LOOK_AGAIN: defence.look_again,
    covers.COVER_EXPIRES: changes.warn_of_end,
    covers.PREMIUM_NEXT: premiums.charge_next,
    changes.CONSENT_ENDS: changes.end_consent,
    routing.QUOTES_END: routing.end_quotes,
    covers.CONFIRMATION_DUE: covers.miss_confirmation,
    cash.LEG_DUE: cash.miss_reimbursement,
}
