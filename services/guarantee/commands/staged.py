"""A claim paid in two parts (F7): the first in the partner's days, the rest after recovery or years after a decree."""

from __future__ import annotations

from dataclasses import replace

from libs.kernel.calendar import add_months
from libs.runtime.tx import Tx
from services.guarantee.commands.covers import known_cover, terms_of
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.claim import Claim, ClaimState, claim_open
from services.guarantee.domain.claim_life import first_paid
from services.guarantee.domain.defence import Proof
from services.guarantee.domain.law import LawTerms, pay_by
from services.guarantee.store import CLAIMS, PROOFS

DUE, REST_DUE = "claim.payment", "claim.rest"
RECOVERY_ENDED = "recovery_ended"
DECREE = "decree"
"""What proves that a court ordered the debtor to pay; its day is the day it came on file."""


async def wait_for_rest(tx: Tx, claim: Claim, agreement: Agreement) -> None:
    """Once the first part of an accepted claim is paid nothing is due until recovery ends, or years after a decree."""
    if claim.state is not ClaimState.ACCEPTED or not first_paid(claim, agreement.claims):
        return
    tx.cancel_timer(DUE, ref=claim.claim_id)
    waiting = replace(claim, pay_by=None, rechecks=0)
    tx.put(CLAIMS, waiting)
    if await tx.find(PROOFS, f"{claim.loan_id}/{RECOVERY_ENDED}") is not None:
        await rest_falls_due(tx, waiting)
        return
    years = agreement.claims.rest_years
    decree = await tx.find(PROOFS, f"{claim.loan_id}/{DECREE}")
    if years is not None and decree is not None:
        due = max(add_months(decree.on, 12 * years), tx.date)
        tx.timer(REST_DUE, ref=claim.claim_id, key=claim.facility_id, due=due)


async def note_decree(tx: Tx, facility_id: str, loan_id: str) -> None:
    """A court's decree came on file: the years after which the rest is due begin."""
    claim = claim_open(await tx.of(CLAIMS, facility_id), loan_id)
    if claim is not None and claim.pay_by is None:
        await wait_for_rest(tx, claim, await terms_of(tx, await known_cover(tx, facility_id)))


async def end_recovery(tx: Tx, claim: Claim) -> None:
    """The last of what can be recovered came in: the rest falls due, or will once the first part is paid."""
    agreement = await terms_of(tx, await known_cover(tx, claim.facility_id))
    if agreement.claims.first_share < 1:
        ended = f"{claim.loan_id}/{RECOVERY_ENDED}"
        proof = Proof(
            proof_id=ended,
            facility_id=claim.facility_id,
            loan_id=claim.loan_id,
            duty=RECOVERY_ENDED,
            on=tx.date,
            by=tx.actor,
        )
        tx.put(PROOFS, await tx.find(PROOFS, ended) or proof)
        await rest_falls_due(tx, claim)


async def rest_falls_due(tx: Tx, claim: Claim) -> None:
    """Recovery has ended, or the years after the decree have: the partner has its days to pay the rest."""
    agreement = await terms_of(tx, await known_cover(tx, claim.facility_id))
    if claim.state is not ClaimState.ACCEPTED or claim.pay_by is not None or not first_paid(claim, agreement.claims):
        return
    last = pay_by(agreement, tx.date, tx.calendar, tx.policy(LawTerms, "guarantee/law").terms)
    tx.cancel_timer(REST_DUE, ref=claim.claim_id)
    tx.put(CLAIMS, replace(claim, pay_by=last))
    tx.timer(DUE, ref=claim.claim_id, key=claim.facility_id, due=last)


async def end_years(tx: Tx, claim_id: str, facility_id: str) -> None:
    """The years after the decree are over."""
    for claim in await tx.of(CLAIMS, facility_id):
        if claim.claim_id == claim_id:
            await rest_falls_due(tx, claim)
