"""From arrears to the outcome: file, withdraw and settle claims, share the recoveries that waited, end the cover."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

from libs.events.application import LoanClosed, LoanCured, LoanOverdue
from libs.kernel.errors import NotFound
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.commands.caps import book_of, give_cap_back, use_cap
from services.guarantee.commands.cash import owe_behind
from services.guarantee.commands.covers import (
    is_suspended,
    known_cover,
    known_loan,
    loan_of,
    release_when_over,
    terms_of,
)
from services.guarantee.commands.ledger import enter_interest
from services.guarantee.commands.payouts import wait_for_year
from services.guarantee.commands.records import keep_loan, note
from services.guarantee.commands.recovered import share
from services.guarantee.commands.staged import DUE, REST_DUE, wait_for_rest
from services.guarantee.domain import cap as caps
from services.guarantee.domain import claim as rules
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.cap import CapBook
from services.guarantee.domain.claim import Claim, ClaimState
from services.guarantee.domain.claim_life import PAYMENT, REFUSAL, first_paid
from services.guarantee.domain.claim_life import missed as late
from services.guarantee.domain.claim_rules import Basis, ClaimFault, Demand, fault_of, files_itself, loss_today
from services.guarantee.domain.cover import Cover
from services.guarantee.domain.health import with_denial, with_payment, with_recovery
from services.guarantee.domain.law import LawTerms, pay_by, refusal_by
from services.guarantee.domain.loan import CoveredLoan, claimable_on, notify_loss
from services.guarantee.domain.terms import Contact
from services.guarantee.store import CLAIMS, LOANS, take_turn

CLAIM_DUE, PAYMENT_DUE = "claim.due", DUE
NOTICE_DUE, TURN_ENDS, INTERIM_DUE = "claim.notice", "claim.turn", "claim.interim"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimDecision:
    """A claim was filed under `claim_id`, or `refused` says by which rule it was not."""

    claim_id: str = ""
    refused: ClaimFault | None = None


async def note_overdue(tx: Tx, event: LoanOverdue) -> None:
    """Arrears began: unless they are cured, a claim is due when the agreement's waiting period is over.

    Where a claim needs documents, people file it: nothing is set.
    """
    loan = await loan_of(tx, event.facility_id, event.loan_id)
    if loan is None:
        return
    overdue = replace(loan, overdue_since=event.since, outstanding=event.outstanding)
    agreement = await terms_of(tx, await known_cover(tx, event.facility_id))
    if agreement.claims.notice_days is not None and loan.notified_on is None:
        overdue = _give_notice(tx, agreement, overdue)
    await keep_loan(tx, agreement, loan, overdue)
    if rules.claim_paid(await tx.of(CLAIMS, event.facility_id), loan.loan_id) is not None:
        return
    if files_itself(agreement):
        due = claimable_on(overdue, event.since, agreement)
        tx.timer(CLAIM_DUE, ref=loan.loan_id, key=loan.facility_id, due=due)


async def note_cure(tx: Tx, event: LoanCured) -> None:
    """Arrears were cleared: a claim not yet filed is forgotten, one not yet paid falls away."""
    loan = await loan_of(tx, event.facility_id, event.loan_id)
    if loan is None:
        return
    agreement = await terms_of(tx, await known_cover(tx, event.facility_id))
    cured = replace(loan, overdue_since=None, outstanding=event.outstanding, notified_on=None)
    await keep_loan(tx, agreement, loan, cured)
    tx.cancel_timer(NOTICE_DUE, ref=loan.loan_id)
    await _drop_claim(tx, loan)


async def file_due_claim(tx: Tx, loan_id: str, facility_id: str) -> None:
    """The waiting period is over and arrears stand: claim what the terms allow of the loss in our books."""
    loan, cover = await known_loan(tx, facility_id, loan_id), await known_cover(tx, facility_id)
    loss = loss_today(loan, await terms_of(tx, cover), tx.date)
    await _decide(tx, Demand(partner=cover.partner, loss=loss, claimed=None), cover, loan)


async def file_claim(tx: Tx, facility_id: str, loan_id: str, demand: Demand) -> ClaimDecision:
    """A person claims; a demand that breaks a rule leaves an event that says which, and nothing else."""
    loan, cover = await known_loan(tx, facility_id, loan_id), await known_cover(tx, facility_id)
    return await _decide(tx, demand, cover, loan)


async def accept_claim(tx: Tx, facility_id: str, claim_id: str) -> None:
    """The partner accepted; its payment is asked after on the last day it has."""
    claim = await known_claim(tx, facility_id, claim_id)
    if claim.state is ClaimState.WITHDRAWN:  # cured while the partner was deciding: nobody will pay or wait
        return
    cover = await known_cover(tx, claim.facility_id)
    agreement = await terms_of(tx, cover)
    # A claim filed while a day is being opened may be answered before the date has moved; it is never answered earlier.
    on = max(tx.date, claim.filed_on)
    law = tx.policy(LawTerms, "guarantee/law")
    accepted, event = rules.accept_claim(claim, pay_by(agreement, on, tx.calendar, law.terms))
    tx.put(CLAIMS, accepted)
    tx.publish(event)
    tx.cancel_timer(TURN_ENDS, ref=claim_id)
    tx.timer(PAYMENT_DUE, ref=claim_id, key=claim.facility_id, due=event.pay_by)
    await wait_for_rest(tx, accepted, agreement)


async def deny_claim(tx: Tx, facility_id: str, claim_id: str, reason: str, decided_on: date | None = None) -> None:
    """The partner will not pay: loss and recoveries stay with the bank, once it cannot appeal any more.

    Where it says when it `decided`, a notice that comes later than law allows is told as a deadline missed.
    """
    claim = await known_claim(tx, facility_id, claim_id)
    if claim.state is ClaimState.WITHDRAWN:
        return
    agreement = await terms_of(tx, await known_cover(tx, facility_id))
    law = tx.policy(LawTerms, "guarantee/law")
    notice_by = None if decided_on is None else refusal_by(agreement, decided_on, law.terms)
    if notice_by is not None and tx.date > notice_by:
        tx.publish(late(claim, REFUSAL, agreement.partner_id, notice_by), policy=law.ref)
    appeal_by = rules.days_from(tx.date, agreement.claims.appeal_days or None)
    denied, event = rules.deny_claim(claim, reason, appeal_by)
    tx.put(CLAIMS, denied)
    tx.publish(event)
    set_turn(tx, denied)
    if not denied.open:
        cancel_clocks(tx, claim_id)
        await give_up(tx, denied)


async def ask_payment(tx: Tx, claim_id: str, facility_id: str) -> None:
    """The payment is due: ask the partner whether it paid, unless the year's payouts have no room for it.

    Each time asked is a call of its own. A partner that calls us has had its days, and was not asked: what it did not
    report has not come.
    """
    claim = await known_claim(tx, facility_id, claim_id)
    agreement = await terms_of(tx, await known_cover(tx, facility_id))
    next_year = await wait_for_year(tx, agreement, claim)
    if next_year is not None:
        tx.timer(PAYMENT_DUE, ref=claim_id, key=facility_id, due=next_year)
        return
    if agreement.contact is Contact.PARTNER_CALLS:
        await miss_payment(tx, facility_id, claim_id, tx.date)
        return
    reference = f"{claim_id}/{claim.rechecks}" if claim.rechecks else claim_id
    request = {
        "facility_id": facility_id,
        "partner": agreement.partner_id,
        "claim_id": claim_id,
        "on": tx.date.isoformat(),
    }
    tx.call("partner.claim_payment", key=facility_id, reference=reference, request=request)


async def take_payment(tx: Tx, facility_id: str, claim_id: str, receipt: str) -> None:
    """The partners paid: the loss is split for good, and recoveries that waited are shared.

    Raises Refused when the claim was withdrawn meanwhile: people must send that money back.
    """
    claim = await known_claim(tx, facility_id, claim_id)
    paid, event = rules.pay_claim(claim, receipt)
    tx.put(CLAIMS, paid)
    tx.publish(event)
    cancel_clocks(tx, claim_id)
    agreement = await terms_of(tx, await known_cover(tx, facility_id))
    await owe_behind(tx, paid, agreement)
    await note(tx, agreement, lambda record: with_payment(record, paid))
    await _end_claim(tx, paid)


async def miss_payment(tx: Tx, facility_id: str, claim_id: str, asked_on: date) -> None:
    """The partner had not paid on the day it was asked for: ask again later, and give up after the last time."""
    claim = await known_claim(tx, facility_id, claim_id)
    if claim.state is ClaimState.WITHDRAWN:
        return
    terms = tx.policy(rules.ClaimTerms, "guarantee/claim")
    cover = await known_cover(tx, facility_id)
    in_part = first_paid(claim, (await terms_of(tx, cover)).claims)
    missed, outcome = rules.miss_payment(claim, asked_on, tx.calendar, terms.terms, in_part=in_part)
    tx.put(CLAIMS, missed)
    if not claim.rechecks and claim.pay_by is not None:
        tx.publish(late(claim, PAYMENT, cover.partner, claim.pay_by), policy=terms.ref)
    match outcome:
        case rules.PaymentLate(ask_on=day):
            tx.timer(PAYMENT_DUE, ref=claim_id, key=claim.facility_id, due=day)
        case None:
            pass
        case _:
            tx.publish(outcome, policy=terms.ref)
            cancel_clocks(tx, claim_id)
            await give_up(tx, missed)


async def close_loan(tx: Tx, event: LoanClosed) -> None:
    """The account is closed: the cover ends, though an accepted claim on a written-off loan is seen through first."""
    loan = await loan_of(tx, event.facility_id, event.loan_id)
    if loan is None:
        return
    agreement = await terms_of(tx, await known_cover(tx, loan.facility_id))
    await keep_loan(tx, agreement, loan, replace(loan, closed=True))
    tx.cancel_timer(CLAIM_DUE, ref=loan.loan_id)
    if event.outcome == "repaid":
        await _drop_claim(tx, loan)
    await release_when_over(tx, await known_cover(tx, loan.facility_id))


async def known_claim(tx: Tx, facility_id: str, claim_id: str) -> Claim:
    """The claim of this id under the facility; raises NotFound."""
    for claim in await tx.of(CLAIMS, facility_id):
        if claim.claim_id == claim_id:
            return claim
    raise NotFound("no_claim", claim_id)


async def give_up(tx: Tx, claim: Claim) -> None:
    """The partners do not pay: what the claim used of the cap goes back, unless denied claims count."""
    agreement = await terms_of(tx, await known_cover(tx, claim.facility_id))
    await give_cap_back(tx, agreement, claim, denied=True)
    await note(tx, agreement, with_denial)
    await _end_claim(tx, claim)


def set_turn(tx: Tx, claim: Claim) -> None:
    """Whoever has to act on the claim has until its last day; no timer where no days were agreed."""
    last = claim.appeal_by or claim.act_by
    if last is None:
        tx.cancel_timer(TURN_ENDS, ref=claim.claim_id)
    else:
        tx.timer(TURN_ENDS, ref=claim.claim_id, key=claim.facility_id, due=last + timedelta(days=1))


def cancel_clocks(tx: Tx, claim_id: str) -> None:
    """The claim has its outcome: nobody's days run any more."""
    for kind in (TURN_ENDS, INTERIM_DUE, PAYMENT_DUE, REST_DUE):
        tx.cancel_timer(kind, ref=claim_id)


async def _decide(tx: Tx, demand: Demand, cover: Cover, loan: CoveredLoan) -> ClaimDecision:
    """File the claim, or tell the rule that it breaks; whoever decides on a cap or a suspension takes the turn."""
    await take_turn(tx)
    agreement = await terms_of(tx, cover)
    book = await book_of(tx, agreement, loan.disbursed_on) if agreement.cap is not None else None
    basis = Basis(
        cover=cover,
        loan=loan,
        agreement=agreement,
        claimed_before=rules.claimed(await tx.of(CLAIMS, loan.facility_id), loan.loan_id),
        suspended=await is_suspended(tx, agreement.code),
        cap_room=_room(agreement, book, tx.date),
        on=tx.date,
    )
    fault = fault_of(demand, basis)
    if fault is not None:
        tx.publish(rules.refuse_claim(demand, basis, fault))
        return ClaimDecision(refused=fault)
    claim, filed = rules.file_claim(demand, basis, tx.new_id("claim"), book.book_id if book else "")
    tx.put(CLAIMS, claim)
    tx.publish(filed)
    if beside := demand.loss.whole - demand.loss.principal:
        enter_interest(tx, claim, beside)
    if book is not None:
        await use_cap(tx, agreement, claim, book)
    tx.cancel_timer(CLAIM_DUE, ref=loan.loan_id)
    set_turn(tx, claim)
    if agreement.claims.interim_days is not None:
        day = tx.date + timedelta(days=agreement.claims.interim_days + 1)
        tx.timer(INTERIM_DUE, ref=claim.claim_id, key=claim.facility_id, due=day)
    if agreement.contact is Contact.WE_CALL:
        _send(tx, claim, agreement.partner_id)
    return ClaimDecision(claim_id=claim.claim_id)


def _room(agreement: Agreement, book: CapBook | None, on: date) -> Money | None:
    return None if book is None or agreement.cap is None else caps.room(book, agreement.cap, on)


def _send(tx: Tx, claim: Claim, partner: str) -> None:
    asked = {
        "reference": claim.claim_id,
        "cover_reference": claim.cover_id,
        "loss": str(claim.loss.amount),
        "claimed": str(claim.claimed.amount),
        "currency": claim.currency,
        "business_date": tx.date.isoformat(),
    }
    request = {"facility_id": claim.facility_id, "partner": partner, "body": asked}
    tx.call("partner.claim", key=claim.facility_id, reference=claim.claim_id, request=request)


def _give_notice(tx: Tx, agreement: Agreement, loan: CoveredLoan) -> CoveredLoan:
    """A partner that calls us finds the notice among its events at once; for another one a person gives it in time."""
    if agreement.contact is Contact.PARTNER_CALLS:
        notified, event = notify_loss(loan, tx.date)
        tx.publish(event)
        return notified
    days = (agreement.claims.notice_days or 0) + 1
    due = (loan.overdue_since or tx.date) + timedelta(days=days)
    tx.timer(NOTICE_DUE, ref=loan.loan_id, key=loan.facility_id, due=due)
    return loan


async def _drop_claim(tx: Tx, loan: CoveredLoan) -> None:
    tx.cancel_timer(CLAIM_DUE, ref=loan.loan_id)
    claim = rules.claim_open(await tx.of(CLAIMS, loan.facility_id), loan.loan_id)
    if claim is None:
        return
    withdrawn, event = rules.withdraw_claim(claim)
    tx.put(CLAIMS, withdrawn)
    cancel_clocks(tx, claim.claim_id)
    tx.publish(event)
    agreement = await terms_of(tx, await known_cover(tx, loan.facility_id))
    await give_cap_back(tx, agreement, claim, denied=False)


async def _end_claim(tx: Tx, claim: Claim) -> None:
    """The claim has its outcome: share what waited for it if it was paid, and end the cover of a closed loan."""
    loan = await known_loan(tx, claim.facility_id, claim.loan_id)
    cover = await known_cover(tx, claim.facility_id)
    agreement = await terms_of(tx, cover)
    waiting, loan = loan.waiting, replace(loan, waiting=())
    if claim.state is ClaimState.PAID:
        for amount in waiting:
            loan, event = share(loan, claim, cover, agreement, amount)
            tx.publish(event)
            parts = event.parts
            await note(tx, agreement, lambda record, parts=parts: with_recovery(record, parts))  # type: ignore[misc]  # a lambda's default
    tx.put(LOANS, loan)
    await release_when_over(tx, cover)
