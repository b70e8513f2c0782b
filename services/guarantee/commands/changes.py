"""Changes of a covered loan: endorse what is lighter, ask the partner for the rest; warn before a period ends."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from libs.events.application_upkeep import ExtensionApproved
from libs.kernel.errors import NotFound
from libs.runtime.tx import Tx
from services.guarantee.commands.covers import bill, known_cover, known_loan, loan_of, terms_of, watch_period
from services.guarantee.commands.defence import look
from services.guarantee.domain import change as rules
from services.guarantee.domain.change import Change, ChangeKind, ChangeState, UpkeepTerms
from services.guarantee.domain.claim import claimed
from services.guarantee.domain.terms import Contact
from services.guarantee.store import CHANGES, CLAIMS, LOANS

CONSENT_ENDS = "consent.ends"


async def propose_change(
    tx: Tx,
    facility_id: str,
    loan_id: str,
    kind: ChangeKind,
    *,
    annual_rate: Decimal,
    maturity: date,
    document: str,
    change_id: str = "",
) -> Change:
    """The bank and the borrower agreed on new terms: endorse them, or ask the partner to consent within its days."""
    loan = await known_loan(tx, facility_id, loan_id)
    change, changed, endorsed = rules.propose(
        await tx.of(CHANGES, facility_id),
        loan,
        kind,
        change_id=change_id or tx.new_id("change"),
        annual_rate=annual_rate,
        maturity=maturity,
        document=document,
        on=tx.date,
    )
    tx.put(CHANGES, change)
    if endorsed is not None:
        tx.put(LOANS, changed)
        tx.publish(endorsed)
        await look(tx, facility_id)
        return change
    terms = tx.policy(UpkeepTerms, "guarantee/upkeep")
    due = tx.date + timedelta(days=terms.terms.consent_days)
    tx.timer(CONSENT_ENDS, ref=change.change_id, key=facility_id, due=due)
    await _ask(tx, change, due)
    await look(tx, facility_id)
    return change


async def note_extension(tx: Tx, event: ExtensionApproved) -> None:
    """The bank agreed to a later maturity of a covered loan: the partner is asked, and its answer goes back by the
    extension's own name. What it stands for already, nobody is asked again; while another change waits, it is a no."""
    loan = await loan_of(tx, event.facility_id, event.loan_id)
    if loan is None or loan.closed:
        return
    if event.maturity == loan.maturity:
        tx.publish(rules.endorsement(event.extension_id, loan))
        return
    changes = await tx.of(CHANGES, event.facility_id)
    if rules.waits(changes, loan.loan_id):
        tx.publish(rules.turned_away(event.extension_id, loan, ChangeKind.EXTENDED))
        return
    await propose_change(
        tx,
        event.facility_id,
        event.loan_id,
        ChangeKind.EXTENDED,
        annual_rate=loan.annual_rate,
        maturity=event.maturity,
        document=event.document,
        change_id=event.extension_id,
    )


async def answer_change(tx: Tx, facility_id: str, change_id: str, *, consented: bool, reason: str) -> Change:
    """The partner's word; raises Refused once the change is decided, also by the end of its days."""
    change = await _change(tx, facility_id, change_id)
    loan = await known_loan(tx, facility_id, change.loan_id)
    if consented:
        decided, now, events = rules.consent(change, loan, tx.date)
    else:
        decided, now, events = rules.refuse(change, loan, reason or "refused", tx.date)
    tx.put(CHANGES, decided)
    tx.put(LOANS, now)
    tx.cancel_timer(CONSENT_ENDS, ref=change_id)
    for event in events:
        tx.publish(event)
    if now.maturity != loan.maturity:
        watch_period(tx, now, await terms_of(tx, await known_cover(tx, facility_id)))
        bill(tx, now, (), "")
    await look(tx, facility_id)
    return decided


async def take_answer(tx: Tx, facility_id: str, change_id: str, *, consented: bool, reason: str) -> None:
    """The partner's answer to our call; one that comes after the change was decided is too late for both sides."""
    if (await _change(tx, facility_id, change_id)).state is ChangeState.ASKED:
        await answer_change(tx, facility_id, change_id, consented=consented, reason=reason)


async def end_consent(tx: Tx, change_id: str, facility_id: str) -> None:
    """The partner's days are over: what it did not agree to it does not guarantee."""
    change = await _change(tx, facility_id, change_id)
    if change.state is ChangeState.ASKED:
        await answer_change(tx, facility_id, change_id, consented=False, reason="no_answer_in_time")


async def warn_of_end(tx: Tx, loan_id: str, facility_id: str) -> None:
    """The guarantee period ends soon: who has not claimed by then claims nothing."""
    loan, cover = await known_loan(tx, facility_id, loan_id), await known_cover(tx, facility_id)
    ends = rules.period_ends(loan, await terms_of(tx, cover))
    in_time = claimed(await tx.of(CLAIMS, facility_id), loan_id)
    event = None if ends is None or in_time else rules.expiring(loan, cover, ends)
    if event is not None:
        tx.publish(event, policy=tx.policy(UpkeepTerms, "guarantee/upkeep").ref)


async def _ask(tx: Tx, change: Change, answer_by: date) -> None:
    body = {
        "reference": change.change_id,
        "cover_reference": change.cover_id,
        "change": change.kind.value,
        "heavier": list(change.heavier),
        "annual_rate": str(change.annual_rate),
        "maturity": change.maturity.isoformat(),
        "answer_by": answer_by.isoformat(),
        "business_date": tx.date.isoformat(),
    }
    cover = await known_cover(tx, change.facility_id)
    tx.publish(rules.requested(change, answer_by))
    if (await terms_of(tx, cover)).contact is Contact.PARTNER_CALLS:
        return
    request = {"facility_id": change.facility_id, "partner": cover.partner, "body": body}
    tx.call("partner.change", key=change.facility_id, reference=change.change_id, request=request)


async def _change(tx: Tx, facility_id: str, change_id: str) -> Change:
    for change in await tx.of(CHANGES, facility_id):
        if change.change_id == change_id:
            return change
    raise NotFound("no_change", change_id)
