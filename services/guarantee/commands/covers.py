"""Hold capacity for a cover, bind what the partner agrees to, follow what is drawn, give capacity back at the end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from libs.events.application import ApplicationRefused, LoanDisbursed, RepaymentReceived
from libs.events.guarantee import PremiumDue
from libs.kernel.errors import NotFound
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.commands.payouts import surcharge_on
from services.guarantee.commands.records import keep_loan, note, note_use
from services.guarantee.domain import change as changes
from services.guarantee.domain import loan as drawn
from services.guarantee.domain import premium
from services.guarantee.domain.agreement import Adoption, Agreement, hold_for
from services.guarantee.domain.capacity import Bound, Holding, LimitTerms, bounds_for, too_old
from services.guarantee.domain.claim import claim_open, claim_paid
from services.guarantee.domain.cover import (
    Cover,
    CoverAnswer,
    CoverFile,
    CoverState,
    CoverTerms,
    ask_partner,
    drop_cover,
    hold_cover,
    present,
    release_cover,
    settle_answer,
)
from services.guarantee.domain.health import throttled
from services.guarantee.domain.law import LawTerms, under_law
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.domain.routing import quoted
from services.guarantee.domain.suspension import suspended
from services.guarantee.domain.terms import BindTiming, Contact
from services.guarantee.store import (
    ADOPTIONS,
    AGREEMENTS,
    CLAIMS,
    COVERS,
    EXPOSURES,
    FILES,
    LOANS,
    PARTNERS,
    RECORDS,
    ROUTINGS,
    STANDINGS,
    SUSPENSIONS,
    move,
    reserve,
    take_turn,
)

HOLD_EXPIRES, FILING_ENDS, CONFIRMATION_DUE = "hold.expires", "filing.ends", "filing.confirmation"
COVER_EXPIRES, PREMIUM_NEXT = "cover.expires", "premium.next"
ACCEPTED = CoverAnswer(accepted=True, guaranteed=None, reason="")


async def note_refusal(tx: Tx, event: ApplicationRefused) -> None:
    """The application was refused, so no cover will be needed: what was held or bound goes back."""
    tx.put(FILES, replace(await file_of(tx, event.facility_id), application_refused=True))
    cover = await cover_of(tx, event.facility_id)
    if cover is not None:
        dropped, events = drop_cover(cover)
        await settle(tx, cover, dropped, events)


async def weigh_answer(tx: Tx, cover: Cover, answer: CoverAnswer) -> tuple[Cover, tuple[Any, ...], str]:
    """What becomes of the cover by the partner's answer, the events of it, and the policy; nothing is saved yet."""
    await take_turn(tx)
    agreement = await terms_of(tx, cover)
    terms = tx.policy(CoverTerms, "guarantee/cover")
    if answer.accepted and await is_suspended(tx, cover.agreement):
        answer = replace(answer, accepted=False, reason="agreement_suspended")
    quote = None
    if cover.premium_rate is not None:
        quote = quoted(await tx.get(ROUTINGS, cover.facility_id), cover.agreement, cover.amount)
    settled, events = settle_answer(cover, agreement, answer, terms.terms, quote)
    tx.cancel_timer(HOLD_EXPIRES, ref=cover.cover_id)
    return settled, events, terms.ref


async def activate_cover(tx: Tx, event: LoanDisbursed) -> None:
    """The loan was paid out: its cover is in force and the premium falls due. A loan nobody covers is not followed."""
    cover = await cover_of(tx, event.facility_id)
    if cover is None or cover.state in (CoverState.REFUSED, CoverState.RELEASED):
        return
    agreement = await terms_of(tx, cover)
    file = await file_of(tx, event.facility_id)
    active, loan, activated = drawn.activate_cover(cover, event, agreement, tx.date, file.pd)
    terms = tx.policy(premium.PremiumTerms, "guarantee/premium")
    surcharge = await surcharge_on(tx, agreement)
    loan, dues = premium.charge_premium(loan, cover, agreement, tx.date, terms.terms, surcharge)
    await keep_loan(tx, agreement, None, loan)
    await settle(tx, cover, active, (activated,))
    bill(tx, loan, dues, terms.ref)
    watch_period(tx, loan, agreement)
    if loan.file_by is not None:
        day = loan.file_by + timedelta(days=1)
        tx.timer(FILING_ENDS, ref=loan.loan_id, key=loan.facility_id, due=day)


def bill(tx: Tx, loan: CoveredLoan, dues: tuple[PremiumDue, ...], policy: str) -> None:
    """Tell what fell due, and set the day of the next premium where another period follows."""
    for due in dues:
        tx.publish(due, policy=policy)
    following = premium.next_charge_on(loan)
    if following is not None:
        tx.timer(PREMIUM_NEXT, ref=loan.loan_id, key=loan.facility_id, due=following)


def watch_period(tx: Tx, loan: CoveredLoan, agreement: Agreement) -> None:
    """Set the day on which the bank is warned that the guarantee period ends, where it has one."""
    ends = changes.period_ends(loan, agreement)
    if ends is not None:
        terms = tx.policy(changes.UpkeepTerms, "guarantee/upkeep").terms
        tx.timer(COVER_EXPIRES, ref=loan.loan_id, key=loan.facility_id, due=changes.warn_on(ends, terms))


async def file_drawdown(tx: Tx, facility_id: str, loan_id: str) -> CoveredLoan:
    """A batch drawdown is filed with the partner; raises Refused when that is not needed, done, or too late."""
    loan = await known_loan(tx, facility_id, loan_id)
    filed, event = drawn.file_drawdown(loan, tx.date)
    tx.put(LOANS, filed)
    tx.publish(event)
    tx.cancel_timer(FILING_ENDS, ref=loan_id)
    last = drawn.confirm_by(filed, await terms_of(tx, await known_cover(tx, facility_id)))
    if last is not None:
        tx.timer(CONFIRMATION_DUE, ref=loan_id, key=facility_id, due=last + timedelta(days=1))
    return filed


async def confirm_drawdown(tx: Tx, facility_id: str, loan_id: str) -> CoveredLoan:
    """The partner confirms a batch drawdown that was filed with it; raises Refused when there is nothing to confirm."""
    confirmed, event = drawn.confirm_drawdown(await known_loan(tx, facility_id, loan_id), tx.date)
    tx.put(LOANS, confirmed)
    tx.publish(event)
    return confirmed


async def remove_drawdown(tx: Tx, facility_id: str, loan_id: str, reason: str) -> CoveredLoan:
    """The partner strikes a filed drawdown off its list: it is not covered; raises Refused once it was confirmed."""
    loan, cover = await known_loan(tx, facility_id, loan_id), await known_cover(tx, facility_id)
    agreement = await terms_of(tx, cover)
    freed, removed, event = drawn.remove_filed(cover, loan, reason, drawn.confirm_by(loan, agreement), tx.date)
    await keep_loan(tx, agreement, loan, removed)
    await settle(tx, cover, freed, (event,))
    return removed


async def miss_confirmation(tx: Tx, loan_id: str, facility_id: str) -> None:
    """The partner's days to confirm a drawdown are over: silence is a yes, and a deadline missed."""
    loan, cover = await known_loan(tx, facility_id, loan_id), await known_cover(tx, facility_id)
    due = drawn.confirm_by(loan, await terms_of(tx, cover))
    event = None if due is None else drawn.miss_confirmation(loan, cover, due)
    if event is not None:
        tx.publish(event)


async def end_filing(tx: Tx, loan_id: str, facility_id: str) -> None:
    """The days to file a batch drawdown are over and it was not filed: it is not covered."""
    loan = await known_loan(tx, facility_id, loan_id)
    if loan.filed_on is not None or loan.closed:
        return
    cover = await known_cover(tx, facility_id)
    freed, removed, event = drawn.remove_unfiled(cover, loan)
    await keep_loan(tx, await terms_of(tx, cover), loan, removed)
    await settle(tx, cover, freed, (event,))


async def pay_premium(tx: Tx, facility_id: str, amount: Money) -> Cover:
    """Core banking paid a premium; it must be exactly one that is due."""
    cover = await known_cover(tx, facility_id)
    loan, paid = premium.pay_premium(await tx.of(LOANS, facility_id), amount)
    tx.put(LOANS, loan)
    tx.publish(paid)
    await note(tx, await terms_of(tx, cover), lambda record: replace(record, premiums=record.premiums + amount))
    return cover


async def note_repayment(tx: Tx, event: RepaymentReceived) -> None:
    """Keep the principal that is left; the cover runs down with it, unless a claim has fixed what is owed."""
    loan = await loan_of(tx, event.facility_id, event.loan_id)
    if loan is None:
        return
    claims = await tx.of(CLAIMS, event.facility_id)
    if claim_open(claims, loan.loan_id) or claim_paid(claims, loan.loan_id):
        tx.put(LOANS, replace(loan, outstanding=event.outstanding))
        return
    cover = await known_cover(tx, event.facility_id)
    lower, repaid = drawn.run_down(cover, loan, event.outstanding)
    await keep_loan(tx, await terms_of(tx, cover), loan, repaid)
    await settle(tx, cover, lower)


async def release_when_over(tx: Tx, cover: Cover) -> None:
    """End the cover once every loan under it is closed and no claim waits for its outcome."""
    loans = await tx.of(LOANS, cover.facility_id)
    if not all(loan.closed for loan in loans):
        return
    if any(claim.open for claim in await tx.of(CLAIMS, cover.facility_id)):
        return
    agreement = await terms_of(tx, cover)
    for loan in loans:
        for kind in (COVER_EXPIRES, PREMIUM_NEXT):
            tx.cancel_timer(kind, ref=loan.loan_id)
        await keep_loan(tx, agreement, loan, replace(loan, guaranteed=loan.guaranteed.zero))
    released, events = release_cover(cover)
    await settle(tx, cover, released, events)


async def cover_of(tx: Tx, facility_id: str) -> Cover | None:
    """The facility's cover, or None while it is undecided."""
    return present(await tx.of(COVERS, facility_id))


async def known_cover(tx: Tx, facility_id: str) -> Cover:
    """The facility's cover; raises NotFound while it is undecided."""
    cover = await cover_of(tx, facility_id)
    if cover is None:
        raise NotFound("no_cover", facility_id)
    return cover


async def terms_of(tx: Tx, cover: Cover) -> Agreement:
    """The version of the agreement that the cover was asked for under, with what law adds to it."""
    agreed = await tx.get(AGREEMENTS, cover.terms)
    return under_law(agreed, tx.policy(LawTerms, "guarantee/law").terms)


async def is_suspended(tx: Tx, code: str) -> bool:
    """Whether nothing may be bound under the agreement; the turn must have been taken, so that it stays true."""
    last = await tx.find(SUSPENSIONS, code)
    return suspended(last)


async def loan_of(tx: Tx, facility_id: str, loan_id: str) -> CoveredLoan | None:
    """A loan under cover; None for one that nobody covers. Read for a whole batch at once."""
    return next((loan for loan in await tx.of(LOANS, facility_id) if loan.loan_id == loan_id), None)


async def known_loan(tx: Tx, facility_id: str, loan_id: str) -> CoveredLoan:
    """A loan under cover; raises NotFound for one that nobody covers."""
    loan = await loan_of(tx, facility_id, loan_id)
    if loan is None:
        raise NotFound("no_covered_loan", loan_id)
    return loan


async def adoption_of(tx: Tx, agreement: Agreement, branch: str) -> Adoption | None:
    """How a branch adopted the agreement, if it did."""
    return await tx.find(ADOPTIONS, f"{agreement.code}/{branch}")


async def file_of(tx: Tx, facility_id: str) -> CoverFile:
    """What is known of a facility so far."""
    return await tx.find(FILES, facility_id) or CoverFile(facility_id=facility_id)


async def settle(tx: Tx, before: Cover, after: Cover, events: tuple[Any, ...] = (), *, policy: str = "") -> None:
    """Save the cover, count what it now holds, and tell what happened."""
    if after == before:
        return
    tx.put(COVERS, after)
    await move(tx, after.lines, before.holding, after.holding)
    for body in events:
        tx.publish(body, policy=policy)
    if after.holding.bound != before.holding.bound:
        await note_use(tx, after.agreement, after.currency)


async def hold(
    tx: Tx,
    file: CoverFile,
    agreement: Agreement,
    amount: Money,
    premium_rate: Decimal | None = None,
    *,
    granted: bool = False,
) -> str:
    """Take capacity for the cover and go on with it; the code of what left no room, empty when it was taken.

    The turn must have been taken. `premium_rate` is a quote's, None where the agreement's own holds; once the facility
    is `granted`, the partner is asked at once whatever its agreement says.
    """
    adoption = await adoption_of(tx, agreement, file.branch)
    limits = tx.policy(LimitTerms, "guarantee/limits")
    record = await tx.find(RECORDS, agreement.code)
    partner = await tx.get(PARTNERS, agreement.partner_id)
    standing = await tx.find(STANDINGS, partner.partner_id)
    if standing is not None and standing.currency != agreement.currency:
        standing = None
    if too_old(standing, tx.date, limits.terms):
        return "partner_figures_too_old"
    exposures = tuple(e for e in await tx.of(EXPOSURES, partner.partner_id) if e.currency == agreement.currency)
    bounds: tuple[Bound, ...] = bounds_for(
        throttled(agreement, record),
        partner,
        file.applicant,
        tx.date,
        limits.terms,
        adoption=adoption,
        standing=standing,
        exposures=exposures,
    )
    held, none = hold_for(agreement, amount), amount.zero
    reason = await reserve(tx, bounds, Holding(held=held, bound=none, active=none, used=none))
    if reason:
        return reason
    lines = tuple(bound.line for bound in bounds)
    cover, reserved = hold_cover(file, agreement, amount, tx.new_id("cover"), lines, premium_rate, granted=granted)
    if cover.asked and agreement.binding.timing is BindTiming.BEFORE_APPROVAL:
        tx.publish(ask_partner(cover), policy=limits.ref)
    cover = replace(cover, asked_on=tx.date if cover.asked else None)
    tx.put(COVERS, cover)
    tx.publish(reserved, policy=limits.ref)
    if cover.asked:
        await ask(tx, cover, agreement)
    return ""


async def ask(tx: Tx, cover: Cover, agreement: Agreement) -> None:
    """Ask the partner, or bind at once where the agreement lets the bank file drawdowns later (总对总).

    A partner that calls us finds the request among its open ones.
    """
    if agreement.binding.timing is BindTiming.FILED:
        bound, events, policy = await weigh_answer(tx, cover, ACCEPTED)
        await settle(tx, cover, bound, events, policy=policy)
        return
    if agreement.binding.hold_days:
        due = tx.date + timedelta(days=agreement.binding.hold_days)
        tx.timer(HOLD_EXPIRES, ref=cover.cover_id, key=cover.facility_id, due=due)
    if agreement.contact is Contact.PARTNER_CALLS:
        return
    asked = {
        "reference": cover.cover_id,
        "agreement": cover.agreement,
        "facility_ref": cover.facility_id,
        "amount": str(cover.amount.amount),
        "currency": cover.currency,
        "business_date": tx.date.isoformat(),
    }
    request = {"facility_id": cover.facility_id, "partner": cover.partner, "body": asked}
    tx.call("partner.cover", key=cover.facility_id, reference=cover.cover_id, request=request)
