"""Look at the covers of a facility when something happened, and tell when more of them would be denied than before."""

from __future__ import annotations

from dataclasses import replace

from libs.events.application import InspectionCompleted
from libs.events.collateral import CollateralDisposed, CollateralOffered, CollateralPerfected, CollateralReleased
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.commands import claim_life, covers
from services.guarantee.commands.covers import known_loan, loan_of
from services.guarantee.commands.staged import DECREE, note_decree
from services.guarantee.domain.cover import Cover
from services.guarantee.domain.defence import (
    DefenceTerms,
    Look,
    Proof,
    Security,
    at_risk,
    changed,
    next_look,
    nothing_at_risk,
)
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.store import LOANS, LOOKS, PROOFS, SECURITIES
from services.guarantee.views.defence import facts_of

LOOK_AGAIN = "cover.look"


async def look(tx: Tx, facility_id: str) -> None:
    """Judge every loan of the facility, tell what changed, and look again when days alone can change it."""
    loans = await tx.of(LOANS, facility_id)
    if not loans:
        return
    terms = tx.policy(DefenceTerms, "guarantee/defence")
    live = {facts.loan.loan_id: facts for facts in await facts_of(tx, facility_id, terms.terms)}
    for loan in loans:
        facts, before = live.get(loan.loan_id), await _look(tx, loan)
        now = at_risk(facts) if facts else nothing_at_risk(loan)
        event = changed(before.told, now, terms.terms.growth_min)
        if event is not None:
            tx.put(LOOKS, replace(before, told=now.at_risk))
            tx.publish(event, policy=terms.ref)
        day = next_look(facts) if facts else None
        if day is not None:
            tx.timer(LOOK_AGAIN, ref=loan.loan_id, key=facility_id, due=day)
        else:
            tx.cancel_timer(LOOK_AGAIN, ref=loan.loan_id)


async def look_again(tx: Tx, _: str, facility_id: str) -> None:
    """A day came on which a duty or a period has ended."""
    await look(tx, facility_id)


async def end_filing(tx: Tx, loan_id: str, facility_id: str) -> None:
    """The days to file a drawdown are over."""
    await covers.end_filing(tx, loan_id, facility_id)
    await look(tx, facility_id)


async def pay_premium(tx: Tx, facility_id: str, amount: Money) -> Cover:
    """Core banking paid a premium; it must be exactly one that is due."""
    cover = await covers.pay_premium(tx, facility_id, amount)
    await look(tx, facility_id)
    return cover


async def notify_loss(tx: Tx, facility_id: str, loan_id: str) -> CoveredLoan:
    """The bank gives the partner notice of arrears, once."""
    loan = await claim_life.notify_loss(tx, facility_id, loan_id)
    await look(tx, facility_id)
    return loan


async def note_security(
    tx: Tx, event: CollateralOffered | CollateralPerfected | CollateralReleased | CollateralDisposed
) -> None:
    """Security was offered, registered, released or sold."""
    held = await tx.of(SECURITIES, event.facility_id)
    known = next((each for each in held if each.collateral_id == event.collateral_id), None)
    before = known or Security(collateral_id=event.collateral_id, facility_id=event.facility_id)
    match event:
        case CollateralOffered():
            after = before
        case CollateralPerfected():
            after = replace(before, perfected=True, released=False)
        case CollateralReleased():
            after = replace(before, released=True)
        case CollateralDisposed():
            after = replace(before, disposed=True)
    tx.put(SECURITIES, after)
    await look(tx, event.facility_id)


async def note_inspection(tx: Tx, event: InspectionCompleted) -> None:
    """An inspection ended; its findings stay with the loan."""
    loan = await loan_of(tx, event.facility_id, event.loan_id)
    if loan is None or not event.findings:
        return
    before = await _look(tx, loan)
    found = tuple(sorted({*before.findings, *(finding.code for finding in event.findings)}))
    tx.put(LOOKS, replace(before, findings=found))
    await look(tx, event.facility_id)


async def prove(tx: Tx, facility_id: str, loan_id: str, duty: str) -> Proof:
    """A duty was done today, or a document came on file; raises NotFound for a loan that nobody covers."""
    await known_loan(tx, facility_id, loan_id)
    proof = Proof(
        proof_id=f"{loan_id}/{duty}", facility_id=facility_id, loan_id=loan_id, duty=duty, on=tx.date, by=tx.actor
    )
    proof = await tx.find(PROOFS, proof.proof_id) or proof
    tx.put(PROOFS, proof)
    if duty == DECREE:
        await note_decree(tx, facility_id, loan_id)
    await look(tx, facility_id)
    return proof


async def _look(tx: Tx, loan: CoveredLoan) -> Look:
    found = next((each for each in await tx.of(LOOKS, loan.facility_id) if each.loan_id == loan.loan_id), None)
    return found or Look(
        loan_id=loan.loan_id, facility_id=loan.facility_id, currency=loan.currency, told=loan.amount.zero
    )
