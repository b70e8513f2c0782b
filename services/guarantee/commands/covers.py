"""Ask for a cover when its facts are complete, bind what the partner agrees to, and give capacity back at the end."""

from __future__ import annotations

from dataclasses import replace

from libs.events.application import ApplicationRefused, ApplicationSubmitted, LoanDisbursed, RepaymentReceived
from libs.events.guarantee import CapacityReserved, CoverRequested
from libs.events.rating import RatingAssigned
from libs.kernel.errors import NotFound
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.domain import premium
from services.guarantee.domain.agreement import hold_for
from services.guarantee.domain.claim import OPEN
from services.guarantee.domain.cover import (
    Cover,
    CoverAnswer,
    CoverFile,
    CoverState,
    CoverTerms,
    cover_wanted,
    drop_cover,
    refuse_cover,
    release_cover,
    request_cover,
    settle_answer,
    why_not_eligible,
)
from services.guarantee.domain.loan import activate_cover as activate
from services.guarantee.store import (
    AGREEMENTS,
    CLAIMS,
    COVERS,
    FILES,
    LOANS,
    free_cover,
    free_hold,
    keep_capacity,
    reserve_capacity,
)


async def note_application(tx: Tx, event: ApplicationSubmitted) -> None:
    """Keep what the application asks for; ask the partner if the rating came first."""
    file = replace(
        await _file(tx, event.facility_id),
        agreement=event.agreement,
        amount=event.amount,
        currency=event.amount.currency,
    )
    await _save_and_request(tx, file)


async def note_rating(tx: Tx, event: RatingAssigned) -> None:
    """Keep the grade; ask the partner if the application is known."""
    await _save_and_request(tx, replace(await _file(tx, event.facility_id), grade=event.grade))


async def note_refusal(tx: Tx, event: ApplicationRefused) -> None:
    """The application was refused, so no cover will be needed: what was held or bound goes back."""
    tx.put(FILES, replace(await _file(tx, event.facility_id), application_refused=True))
    cover = await cover_of(tx, event.facility_id)
    if cover is None:
        return
    dropped, events = drop_cover(cover)
    tx.put(COVERS, dropped)
    for body in events:
        tx.publish(body)
    if cover.state is CoverState.REQUESTED:
        await free_hold(tx, cover.agreement, cover.held)
    if cover.state is CoverState.BOUND:
        await free_cover(tx, cover.agreement, cover.held)


async def take_cover_answer(tx: Tx, facility_id: str, answer: CoverAnswer) -> None:
    """The partner answered: the cover binds within terms or is refused, and the hold becomes what was guaranteed."""
    cover = await known_cover(tx, facility_id)
    agreement = await tx.get(AGREEMENTS, cover.agreement)
    terms = tx.policy(CoverTerms, "guarantee/cover")
    settled, events = settle_answer(cover, agreement, answer, terms.terms)
    if not events:
        return
    tx.put(COVERS, settled)
    for body in events:
        tx.publish(body, policy=terms.ref)
    if settled.state is CoverState.BOUND:
        await keep_capacity(tx, cover.agreement, held=cover.held, kept=settled.held)
    else:
        await free_hold(tx, cover.agreement, cover.held)


async def activate_cover(tx: Tx, event: LoanDisbursed) -> None:
    """The loan was paid out: its cover is in force and the premium falls due. A loan nobody covers is not followed."""
    cover = await cover_of(tx, event.facility_id)
    if cover is None or cover.state in (CoverState.REFUSED, CoverState.RELEASED):
        return
    active, loan, activated = activate(cover, event)
    tx.put(COVERS, active)
    tx.publish(activated)
    agreement = await tx.get(AGREEMENTS, cover.agreement)
    terms = tx.policy(premium.PremiumTerms, "guarantee/premium")
    loan, due = premium.charge_premium(loan, cover, agreement, tx.date, terms.terms)
    tx.put(LOANS, loan)
    if due is not None:
        tx.publish(due, policy=terms.ref)


async def pay_premium(tx: Tx, facility_id: str, amount: Money) -> Cover:
    """Core banking paid a premium; it must be exactly one that is due."""
    cover = await known_cover(tx, facility_id)
    loan, paid = premium.pay_premium(await tx.of(LOANS, facility_id), amount)
    tx.put(LOANS, loan)
    tx.publish(paid)
    return cover


async def note_repayment(tx: Tx, event: RepaymentReceived) -> None:
    """Keep the principal that is left: a claim asks for no more."""
    for loan in await tx.of(LOANS, event.facility_id):
        if loan.loan_id == event.loan_id:
            tx.put(LOANS, replace(loan, outstanding=event.outstanding))


async def release_when_over(tx: Tx, cover: Cover) -> None:
    """End the cover once every loan under it is closed and no claim waits for its outcome."""
    if not all(loan.closed for loan in await tx.of(LOANS, cover.facility_id)):
        return
    if any(claim.state in OPEN for claim in await tx.of(CLAIMS, cover.facility_id)):
        return
    released, (event,) = release_cover(cover)
    tx.put(COVERS, released)
    tx.publish(event)
    await free_cover(tx, cover.agreement, cover.held)


async def cover_of(tx: Tx, facility_id: str) -> Cover | None:
    """The facility's cover, or None while it is undecided."""
    return next(iter(await tx.of(COVERS, facility_id)), None)


async def known_cover(tx: Tx, facility_id: str) -> Cover:
    """The facility's cover; raises NotFound while it is undecided."""
    cover = await cover_of(tx, facility_id)
    if cover is None:
        raise NotFound("no_cover", facility_id)
    return cover


async def _file(tx: Tx, facility_id: str) -> CoverFile:
    return await tx.find(FILES, facility_id) or CoverFile(facility_id=facility_id)


async def _save_and_request(tx: Tx, file: CoverFile) -> None:
    """Save the facts; the first time they are complete, take capacity and ask the partner, or refuse the cover."""
    tx.put(FILES, file)
    amount = cover_wanted(file)
    if amount is None or await cover_of(tx, file.facility_id) is not None:
        return
    terms = tx.policy(CoverTerms, "guarantee/cover")
    agreement = await tx.find(AGREEMENTS, file.agreement or "")
    reason = why_not_eligible(file, agreement, tx.date, terms.terms)
    if agreement is not None and not reason:
        if await reserve_capacity(tx, agreement.code, hold_for(agreement, amount)):
            _request(tx, request_cover(file, agreement, amount, tx.new_id("cover")), terms.ref)
            return
        reason = "capacity_exhausted"
    cover, refused = refuse_cover(file, amount, tx.new_id("cover"), reason)
    tx.put(COVERS, cover)
    tx.publish(refused, policy=terms.ref)


def _request(tx: Tx, requested: tuple[Cover, tuple[CoverRequested, CapacityReserved]], policy: str) -> None:
    cover, events = requested
    tx.put(COVERS, cover)
    for body in events:
        tx.publish(body, policy=policy)
    asked = {
        "reference": cover.cover_id,
        "agreement": cover.agreement,
        "facility_ref": cover.facility_id,
        "amount": str(cover.amount.amount),
        "currency": cover.currency,
        "business_date": tx.date.isoformat(),
    }
    request = {"facility_id": cover.facility_id, "body": asked}
    tx.call("partner.cover", key=cover.facility_id, reference=cover.cover_id, request=request)
