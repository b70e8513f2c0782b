"""What guarantee does when a day comes: file a claim whose waiting period is over, ask after a payment that is due."""

from __future__ import annotations

from libs.runtime.service import Timers
from services.guarantee.commands import claims

TIMERS: Timers = {
    claims.CLAIM_DUE: claims.file_claim,
    claims.PAYMENT_DUE: claims.ask_payment,
}
