"""Find a partner for a request that names none: quotes where agreements allow it, then the best that can bind.

An agreement suspended, changed or filled up between a quote and the choice is passed over for the next, and so is a
partner that declines what it was chosen for.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from libs.kernel.errors import NotFound
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.commands.covers import adoption_of, hold, is_suspended
from services.guarantee.commands.packs import judge_request, refusing_pack
from services.guarantee.domain import routing as rules
from services.guarantee.domain.agreement import Agreement, hold_for, in_force
from services.guarantee.domain.cover import Cover, CoverFile, CoverTerms, cover_wanted, refuse_cover, why_not_eligible
from services.guarantee.domain.routing import Offer, OfferState, Quote, Routing, RoutingTerms
from services.guarantee.store import (
    AGREEMENTS,
    COVERS,
    FILES,
    RECORDS,
    ROUTINGS,
    agreements_in_force,
    drew_before,
    take_turn,
)

QUOTES_END = "quotes.end"


async def find_partner(tx: Tx, file: CoverFile, amount: Money) -> None:
    """Look at every agreement in force; where quotes may be asked wait for them, else choose at once."""
    await take_turn(tx)
    terms = tx.policy(RoutingTerms, "guarantee/routing")
    offers, quoted = [], set()
    for agreement in await agreements_in_force(tx, file.currency):
        reason = await why_not(tx, file, amount, agreement)
        if reason:
            pack = await refusing_pack(tx, file.facility_id, agreement.code)
            offers.append(rules.unfit(agreement, reason, pack))
            continue
        record = await tx.find(RECORDS, agreement.code)
        offers.append(rules.standing_offer(agreement, record, file.pd, terms.terms))
        if agreement.binding.quoted:
            quoted.add(agreement.code)
    marked = rules.ask_quotes(tuple(offers), frozenset(quoted), terms.terms.quotes_max)
    wait = any(offer.state is OfferState.ASKED for offer in marked)
    until = tx.date + timedelta(days=terms.terms.quote_days) if wait else None
    asked = tuple(_asked(tx, file, amount, offer) for offer in marked)
    routing = Routing(
        facility_id=file.facility_id, policy=terms.ref, pd=file.pd, asked_on=tx.date, until=until, offers=asked
    )
    if until is None:
        await _choose(tx, routing)
        return
    tx.put(ROUTINGS, routing)
    tx.timer(QUOTES_END, ref=file.facility_id, key=file.facility_id, due=until)


async def take_quote(tx: Tx, facility_id: str, quote_id: str, quote: Quote) -> None:
    """A partner answered; with the last answer the choice is made. A quote after the choice changes nothing."""
    routing = await tx.get(ROUTINGS, facility_id)
    terms = tx.policy(RoutingTerms, "guarantee/routing", routing.asked_on)
    offer = next((offer for offer in routing.offers if offer.quote_id == quote_id), None)
    amount = (await tx.get(FILES, facility_id)).amount
    if offer is None or amount is None:
        raise NotFound("no_quote_asked", quote_id)
    agreement = await tx.get(AGREEMENTS, offer.terms)
    heard, event = rules.hear(routing, quote_id, quote, agreement, amount, terms.terms)
    if event is None:
        return
    tx.put(ROUTINGS, heard)
    tx.publish(event, policy=terms.ref)
    if not heard.waiting:
        tx.cancel_timer(QUOTES_END, ref=facility_id)
        await _choose(tx, heard)


async def end_quotes(tx: Tx, ref: str, facility_id: str) -> None:
    """The days for quotes are over: choose among what there is."""
    routing = await tx.get(ROUTINGS, ref)
    if routing.closed:
        return
    heard, events = rules.give_up_waiting(routing)
    for event in events:
        tx.publish(event, key=facility_id, policy=routing.policy)
    await _choose(tx, heard)


async def searched(tx: Tx, facility_id: str) -> bool:
    """Whether the partner was found by a search, so that there may be a next one."""
    return await tx.find(ROUTINGS, facility_id) is not None


async def go_on(tx: Tx, declined: Cover, reason: str) -> bool:
    """The chosen partner does not stand for it: take the next best offer; False when none is left that fits.

    After the approval another partner must stand for no less than the first one was to. The turn must have been taken.
    """
    routing, file = await tx.get(ROUTINGS, declined.facility_id), await tx.get(FILES, declined.facility_id)
    chosen = next((offer for offer in routing.offers if offer.state is OfferState.CHOSEN), None)
    amount = cover_wanted(file)
    if chosen is None or amount is None:
        return False
    least = await _approved(tx, declined.facility_id, amount)
    return await _take_best(tx, rules.passed_over(routing, chosen, reason), file, amount, least=least)


async def _approved(tx: Tx, facility_id: str, amount: Money) -> Money | None:
    """What partners were to stand for when the facility was approved; None while it is not.

    Who binds only after the approval is asked only then, so the first of them to be asked is what was approved on.
    """
    found = []
    for cover in await tx.of(COVERS, facility_id):
        terms = await tx.find(AGREEMENTS, cover.terms)
        if terms is not None and cover.asked and terms.binding.before_disbursement:
            found.append(hold_for(terms, amount))
    return min(found, default=None)


async def why_not(tx: Tx, file: CoverFile, amount: Money, agreement: Agreement) -> str:
    """The code of what rules a request out under this agreement; empty when capacity may be looked for."""
    terms = tx.policy(CoverTerms, "guarantee/cover")
    adoption = await adoption_of(tx, agreement, file.branch)
    reason = why_not_eligible(file, amount, agreement, adoption, terms.terms)
    if reason or await is_suspended(tx, agreement.code):
        return reason or "agreement_suspended"
    if agreement.eligibility.first_not_rollover and file.renews and not await drew_before(tx, file, agreement.code):
        return "first_loan_is_rollover"
    judgement = await judge_request(tx, file, agreement, amount)
    return "" if judgement is None else judgement.reason


def _asked(tx: Tx, file: CoverFile, amount: Money, offer: Offer) -> Offer:
    """The offer with its quote asked for, where it is one of those to ask."""
    if offer.state is not OfferState.ASKED:
        return offer
    quote_id = tx.new_id("quote")
    body = {
        "reference": quote_id,
        "agreement": offer.agreement,
        "facility_ref": file.facility_id,
        "amount": str(amount.amount),
        "currency": amount.currency,
        "tenor_months": file.tenor_months,
        "annual_rate": str(file.annual_rate),
        "business_date": tx.date.isoformat(),
    }
    request = {"facility_id": file.facility_id, "partner": offer.partner, "body": body}
    tx.call("partner.quote", key=file.facility_id, reference=quote_id, request=request)
    return replace(offer, quote_id=quote_id)


async def _choose(tx: Tx, routing: Routing) -> None:
    """Take the best offer whose agreement still binds and has room; none left means no cover."""
    await take_turn(tx)
    file = await tx.get(FILES, routing.facility_id)
    amount = cover_wanted(file)
    if amount is None:  # the application was refused meanwhile
        tx.put(ROUTINGS, replace(routing, closed=True))
        return
    if await _take_best(tx, routing, file, amount):
        return
    offers = (await tx.get(ROUTINGS, routing.facility_id)).offers
    packs = tuple(offer.pack for offer in offers if offer.pack)
    cover, refused = refuse_cover(file, amount, tx.new_id("cover"), "no_agreement_fits", packs=packs)
    tx.put(COVERS, cover)
    tx.publish(refused, policy=routing.policy)


async def _take_best(tx: Tx, routing: Routing, file: CoverFile, amount: Money, *, least: Money | None = None) -> bool:
    """Take the best offer that still fits, or none; with `least` the facility is granted and needs so much of it."""
    for offer in rules.ranked(routing.offers):
        reason = await _why_not_taken(tx, offer, file, amount, least)
        if not reason:
            tx.put(ROUTINGS, rules.chosen(routing, offer))
            return True
        pack = await refusing_pack(tx, file.facility_id, offer.agreement)
        routing = rules.passed_over(routing, offer, reason, pack)
    tx.put(ROUTINGS, replace(routing, closed=True))
    return False


async def _why_not_taken(tx: Tx, offer: Offer, file: CoverFile, amount: Money, least: Money | None) -> str:
    """Hold what the offer stands for; the code of what speaks against it, empty when it was taken."""
    agreement = in_force(await tx.of(AGREEMENTS, offer.agreement), tx.date)
    if agreement is None or agreement.ref != offer.terms:
        return "terms_changed"
    if least is not None and hold_for(agreement, amount) < least:
        return "less_than_approved"
    rate = offer.premium_rate if offer.state is OfferState.QUOTED else None
    granted = least is not None
    return await why_not(tx, file, amount, agreement) or await hold(tx, file, agreement, amount, rate, granted=granted)
