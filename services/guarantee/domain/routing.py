"""Which admitted partner a request goes to: every agreement that fits is an offer, and the best one is tried first.

An offer is the agreement's own terms, or a quote where the agreement lets the bank ask for one. What was offered, what
each was worth and why it was passed over stay on record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from libs.events.guarantee_upkeep import QuoteDeclined, QuoteReceived
from libs.kernel.money import Money
from services.guarantee.domain.agreement import RESERVED, Agreement, ShareSource
from services.guarantee.domain.health import TrackRecord, throttle_of, value_of
from services.guarantee.domain.sharing import bank_share
from services.guarantee.domain.terms import LegMeasure, Measure

ANY = RESERVED
"""Asked for instead of an agreement's code: guarantee chooses among those that fit."""
NONE, ONE = Decimal(0), Decimal(1)
BORROWER, BANK = "borrower", "bank"


@dataclass(frozen=True, slots=True)
class RoutingTerms:
    """Policy `guarantee/routing`: how offers are ranked, and how many partners are asked how long for a quote.

    `lgd` is the part of a defaulted loan that is lost. A rate of `denial`, `late` payments or `arrears` of those behind
    the partner takes so much of what it stands for off its worth, each times its weight. The borrower's cost and the
    bank's net benefit are yearly fractions of the loan.
    """

    lgd: Decimal
    cost_weight: Decimal
    benefit_weight: Decimal
    denial_weight: Decimal
    late_weight: Decimal
    arrears_weight: Decimal
    quotes_max: int
    quote_days: int


class OfferState(StrEnum):
    """`unfit`, `declined`, `silent` and `passed_over` cannot be taken (any more); `standing` and `quoted` can."""

    UNFIT = "unfit"
    STANDING = "standing"
    ASKED = "asked"
    QUOTED = "quoted"
    DECLINED = "declined"
    SILENT = "silent"
    PASSED_OVER = "passed_over"
    CHOSEN = "chosen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one agreement offers: the partners' `share` of the loan at `premium_rate` a year, paid by `payer`.

    `reliability` (0 to 1) is what the partner's record leaves of its word; `cost`, `benefit` and `score` say what the
    offer is worth under the routing policy. `pack` is the version of the partner's own rules that refused the request.
    """

    agreement: str
    terms: str
    partner: str
    state: OfferState
    share: Decimal = NONE
    premium_rate: Decimal = NONE
    payer: str = ""
    reliability: Decimal = ONE
    cost: Decimal = NONE
    benefit: Decimal = NONE
    score: Decimal = NONE
    quote_id: str = ""
    reason: str = ""
    pack: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The search for one facility's partner: all offers, and until when quotes are waited for (None: none asked)."""

    facility_id: str
    policy: str
    pd: Decimal
    asked_on: date
    until: date | None
    offers: tuple[Offer, ...]
    closed: bool = False

    @property
    def waiting(self) -> bool:
        """Whether a quote is still out."""
        return any(offer.state is OfferState.ASKED for offer in self.offers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A partner's word on a quote request; what it leaves out is as in its agreement."""

    offered: bool
    premium_rate: Decimal | None = None
    guaranteed: Money | None = None
    reason: str = ""


def unfit(agreement: Agreement, reason: str, pack: str = "") -> Offer:
    """An agreement whose terms, or whose partner's `pack` of rules, rule the request out."""
    return Offer(
        agreement=agreement.code,
        terms=agreement.ref,
        partner=agreement.partner_id,
        state=OfferState.UNFIT,
        reason=reason,
        pack=pack,
    )


def standing_offer(agreement: Agreement, record: TrackRecord | None, pd: Decimal, terms: RoutingTerms) -> Offer:
    """What the agreement itself offers, with the record of its partner in it."""
    match agreement.share_source:
        case ShareSource.AGREEMENT:
            share = ONE - bank_share(agreement.sharing)
        case ShareSource.ANSWER:
            share = agreement.share_max
    offer = replace(
        unfit(agreement, ""),
        state=OfferState.STANDING,
        share=share,
        premium_rate=agreement.premium_rate,
        payer=agreement.premium_payer,
        reliability=reliability(agreement, record, terms),
    )
    return _valued(offer, pd, terms)


def reliability(agreement: Agreement, record: TrackRecord | None, terms: RoutingTerms) -> Decimal:
    """What a partner's record leaves of its word, 0 to 1; one of whom nothing is known counts as good for all of it."""
    if record is None:
        return ONE
    doubt = (
        (value_of(record, Measure.DENIAL_RATE) or NONE) * terms.denial_weight
        + (value_of(record, Measure.LATE_PAYMENT_RATE) or NONE) * terms.late_weight
        + (value_of(record, LegMeasure.REIMBURSEMENT_ARREARS) or NONE) * terms.arrears_weight
    )
    return max(NONE, ONE - doubt) * throttle_of(agreement, record)


def ask_quotes(offers: tuple[Offer, ...], allowed: frozenset[str], most: int) -> tuple[Offer, ...]:
    """The offers with the best `most` of those that may be quoted (by their code) marked as asked."""
    may = [offer for offer in ranked(offers) if offer.agreement in allowed][:most]
    asked = {offer.agreement for offer in may}
    return tuple(replace(o, state=OfferState.ASKED) if o.agreement in asked else o for o in offers)


def hear(
    routing: Routing, quote_id: str, quote: Quote, agreement: Agreement, amount: Money, terms: RoutingTerms
) -> tuple[Routing, QuoteReceived | QuoteDeclined | None]:
    """A partner's quote, within its agreement's terms, or why it is none; nothing once the search is over."""
    asked = next((o for o in routing.offers if o.quote_id == quote_id and o.state is OfferState.ASKED), None)
    if asked is None or routing.closed:
        return routing, None
    named = quote.guaranteed if agreement.share_source is ShareSource.ANSWER else None
    share = asked.share if named is None else named.ratio(amount)
    rate = asked.premium_rate if quote.premium_rate is None else quote.premium_rate
    reason = _why_no_quote(quote, agreement, share, rate)
    if reason:
        return _declined(routing, asked, OfferState.DECLINED, reason)
    quoted = _valued(replace(asked, state=OfferState.QUOTED, share=share, premium_rate=rate), routing.pd, terms)
    event = QuoteReceived(
        facility_id=routing.facility_id,
        quote_id=quote_id,
        agreement=asked.agreement,
        partner=asked.partner,
        premium_rate=rate,
        guaranteed=amount * share,
    )
    return _with(routing, quoted), event


def give_up_waiting(routing: Routing) -> tuple[Routing, tuple[QuoteDeclined, ...]]:
    """The days for quotes are over: who has not answered has none, the others stand."""
    events = []
    for offer in routing.offers:
        if offer.state is OfferState.ASKED:
            routing, event = _declined(routing, offer, OfferState.SILENT, "no_answer_in_time")
            events.append(event)
    return routing, tuple(events)


def ranked(offers: tuple[Offer, ...]) -> list[Offer]:
    """The offers that can be taken, the best first; equal ones by their codes."""
    able = [offer for offer in offers if offer.state in (OfferState.STANDING, OfferState.QUOTED)]
    return sorted(able, key=lambda offer: (-offer.score, offer.agreement))


def passed_over(routing: Routing, offer: Offer, reason: str, pack: str = "") -> Routing:
    """The offer could not be taken when its turn came."""
    return _with(routing, replace(offer, state=OfferState.PASSED_OVER, reason=reason, pack=pack))


def chosen(routing: Routing, offer: Offer) -> Routing:
    """The search ends with this offer."""
    return replace(_with(routing, replace(offer, state=OfferState.CHOSEN)), closed=True)


def quoted(routing: Routing, agreement: str, amount: Money) -> Money | None:
    """What the quote that was chosen under this agreement says is guaranteed; None where it was chosen without one."""
    for offer in routing.offers:
        if offer.agreement == agreement and offer.state is OfferState.CHOSEN and offer.quote_id:
            return amount * offer.share
    return None


def _valued(offer: Offer, pd: Decimal, terms: RoutingTerms) -> Offer:
    price = offer.share * offer.premium_rate
    cost = price if offer.payer == BORROWER else NONE
    relief = pd * terms.lgd * offer.share * offer.reliability
    benefit = relief - (price if offer.payer == BANK else NONE)
    return replace(offer, cost=cost, benefit=benefit, score=terms.benefit_weight * benefit - terms.cost_weight * cost)


def _why_no_quote(quote: Quote, agreement: Agreement, share: Decimal, rate: Decimal) -> str:
    if not quote.offered:
        return quote.reason or "declined"
    if agreement.premium_rate_max is not None and rate > agreement.premium_rate_max:
        return "premium_above_ceiling"
    if share > agreement.share_max:
        return "guaranteed_above_maximum"
    return ""


def _declined(routing: Routing, offer: Offer, state: OfferState, reason: str) -> tuple[Routing, QuoteDeclined]:
    event = QuoteDeclined(
        facility_id=routing.facility_id,
        quote_id=offer.quote_id,
        agreement=offer.agreement,
        partner=offer.partner,
        reason=reason,
    )
    return _with(routing, replace(offer, state=state, reason=reason)), event


def _with(routing: Routing, offer: Offer) -> Routing:
    return replace(routing, offers=tuple(offer if o.agreement == offer.agreement else o for o in routing.offers))
