"""A request that names no agreement goes to the best partner that fits, by quotes where they may be asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.events.application import FacilityGranted
from libs.events.guarantee import CoverBound, CoverRequested, PremiumDue
from libs.events.guarantee_upkeep import QuoteDeclined, QuoteReceived
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.health import TrackRecord, new_record
from services.guarantee.domain.routing import (
    Offer,
    OfferState,
    Quote,
    Routing,
    RoutingTerms,
    ask_quotes,
    hear,
    ranked,
    reliability,
    standing_offer,
)
from services.guarantee.domain.terms import Measure, Trigger
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, DAY, MATURITY, NAMED, Story, admit, agree, capacity, cny
from tests.guarantee.test_cover import AGREED as INSURED
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
ONE = Story(agreement="any")
TERMS = RoutingTerms(
    lgd=Decimal("0.5"),
    cost_weight=Decimal(1),
    benefit_weight=Decimal(1),
    denial_weight=Decimal(1),
    late_weight=Decimal("0.5"),
    arrears_weight=Decimal("0.25"),
    quotes_max=2,
    quote_days=3,
)
RECORD = new_record(INSURED)
QUOTED = {"binding": {"quoted": True}}


def offer(agreement: Agreement = INSURED, record: TrackRecord | None = None, pd: str = "0.04") -> Offer:
    return standing_offer(agreement, record, Decimal(pd), TERMS)


async def routing_of(bench: Bench) -> dict[str, dict[str, Any]]:
    """The offers on record, by agreement."""
    view = (await bench.get(f"/v1/facilities/{ONE.facility_id}")).json()["routing"]
    return {offer["agreement"]: offer for offer in view["offers"]}


# --- the rule -----------------------------------------------------------------------------------------------------


def test_an_offer_is_worth_the_loss_it_takes_off_the_bank_less_what_it_costs_whoever_pays() -> None:
    borrower = offer(replace(INSURED, premium_rate=Decimal("0.01"), premium_payer="borrower"))
    bank = offer(replace(INSURED, premium_rate=Decimal("0.01"), premium_payer="bank"))
    # 4 % PD x 50 % LGD x 80 % share = 1.6 % a year; 1 % of 80 % = 0.8 % a year
    assert (borrower.cost, borrower.benefit, borrower.score) == (Decimal("0.008"), Decimal("0.016"), Decimal("0.008"))
    assert (bank.cost, bank.benefit, bank.score) == (0, Decimal("0.008"), Decimal("0.008"))


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({}, "1"),
        ({"claims_decided": 10, "claims_denied": 3}, "0.7"),
        ({"payments": 10, "late": 4}, "0.80"),
        ({"behind": cny("100"), "behind_late": cny("40")}, "0.900"),
        ({"claims_decided": 1, "claims_denied": 1, "payments": 1, "late": 1}, "0"),
    ],
)
def test_outcomes_take_off_the_worth_of_a_partners_word(change: dict[str, Any], left: str) -> None:
    assert reliability(INSURED, replace(RECORD, **change), TERMS) == Decimal(left)


def test_a_partner_that_is_throttled_is_worth_that_much_less() -> None:
    trigger = Trigger(
        measure=Measure.LOSS_RATIO, warn_at=Decimal("0.5"), suspend_at=Decimal(1), throttle_to=Decimal("0.6")
    )
    warned = replace(RECORD, premiums=cny("100"), paid=cny("50"))
    assert reliability(replace(INSURED, triggers=(trigger,)), warned, TERMS) == Decimal("0.6")
    assert reliability(INSURED, None, TERMS) == 1


def test_only_the_best_of_those_that_may_be_asked_are_asked() -> None:
    rates = {"a": "0.03", "b": "0.01", "c": "0.02", "d": "0.005"}
    offers = tuple(replace(offer(), agreement=code, score=-Decimal(rate)) for code, rate in rates.items())
    asked = ask_quotes(offers, frozenset("abc"), 2)
    assert [o.agreement for o in asked if o.state is OfferState.ASKED] == ["b", "c"]
    assert [o.agreement for o in ranked(asked)] == ["d", "a"]


@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        (Quote(offered=True, premium_rate=Decimal("0.02")), ""),
        (Quote(offered=True, premium_rate=Decimal("0.020001")), "premium_above_ceiling"),
        (Quote(offered=False), "declined"),
        (Quote(offered=False, reason="industry"), "industry"),
    ],
)
def test_a_quote_keeps_within_its_agreement(quote: Quote, reason: str) -> None:
    ceiling = replace(INSURED, premium_rate_max=Decimal("0.02"))
    asked = replace(offer(), state=OfferState.ASKED, quote_id="q")
    routing = Routing(facility_id="f", policy="p", pd=Decimal("0.04"), asked_on=DAY, until=DAY, offers=(asked,))
    heard, event = hear(routing, "q", quote, ceiling, cny("100"), TERMS)
    assert getattr(event, "reason", "") == reason
    assert heard.offers[0].state is (OfferState.DECLINED if reason else OfferState.QUOTED)
    assert hear(heard, "q", quote, ceiling, cny("100"), TERMS) == (heard, None)  # a second word changes nothing


# --- on a real database -------------------------------------------------------------------------------------------


async def test_without_quotes_the_request_goes_to_the_cheapest_that_fits_and_has_room(bench: Benches) -> None:
    dear = {**AGREED, "code": "dear", "premium_rate": "0.03"}
    full = {**AGREED, "code": "full", "premium_rate": "0.001", "capacity": {"amount": "1.00", "currency": "CNY"}}
    strict = {**AGREED, "code": "strict", "grades": ["AAA"]}
    async with bench(service) as b:
        await admit(b, AGREED, dear, full, strict)
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        requested = next(body for body in await b.published() if isinstance(body, CoverRequested))
        assert requested.agreement == "reg-4321"
        offers = await routing_of(b)
        assert {code: (one["state"], one["reason"]) for code, one in offers.items()} == {
            "reg-4321": ("chosen", ""),
            "dear": ("standing", ""),
            "full": ("passed_over", "capacity_exhausted"),
            "strict": ("unfit", "grade_not_eligible"),
        }
        assert Decimal(offers["reg-4321"]["score"]) > Decimal(offers["dear"]["score"])


async def test_quotes_are_asked_and_the_best_binds_at_the_rate_it_quoted(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, {**AGREED, **QUOTED}, {**NAMED, **QUOTED}, {**AGREED, "code": "plain", "premium_rate": "0.02"})
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        assert [kind for kind, _, _ in await b.calls()] == ["partner.quote", "partner.quote"]
        asked = {request["body"]["agreement"] for _, _, request in await b.calls()}
        assert asked == {"reg-4321", "named"}
        for rate in ("0.008", "0.004"):
            await b.answer("partner.quote", 200, offered=True, premium_rate=rate, guaranteed="80000.00")
        quotes = [body for body in await b.published() if isinstance(body, QuoteReceived)]
        best = min(quotes, key=lambda quote: quote.premium_rate)
        assert [quote.guaranteed for quote in quotes] == [cny("80000")] * 2
        await b.answer("partner.cover", 200, accepted=True, guaranteed="80000.00")
        assert (await b.published())[-1].agreement == best.agreement
        await b.react(ONE.disbursed(), on=DAY)
        due = next(body for body in await b.published() if isinstance(body, PremiumDue))
        assert due.amount == cny("320")  # 80,000 at 0.4 % for a year
        assert (await b.parked(), len(await b.calls())) == ([], 0)


async def test_a_partner_that_binds_less_than_it_quoted_does_not_bind(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, {**NAMED, **QUOTED})
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        await b.answer("partner.quote", 200, offered=True, premium_rate="0.004", guaranteed="75000.00")
        await b.answer("partner.cover", 200, accepted=True, guaranteed="60000.00")
        assert "cover.bound" not in await b.names()
        assert (await b.published())[-2].reason == "answer_contradicts_quote"


async def test_who_does_not_answer_in_time_is_left_out_and_a_late_quote_changes_nothing(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, {**AGREED, **QUOTED}, {**NAMED, **QUOTED})
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        await b.answer("partner.quote", 200, offered=True, premium_rate="0.05")
        await b.tick(DAY + timedelta(days=2))
        assert await b.names() == ["quote.received"]
        await b.tick(DAY + timedelta(days=3))
        assert (await b.names())[1:] == ["quote.declined", "cover.requested", "capacity.reserved"]
        before = await b.names()
        await b.answer("partner.quote", 200, offered=True, premium_rate="0.001")
        assert (await b.names(), await b.parked()) == (before, [])
        assert [one["state"] for one in (await routing_of(b)).values()].count("silent") == 1


@pytest.mark.parametrize("how", ["suspended", "changed"])
async def test_an_agreement_that_no_longer_binds_is_passed_over_however_good_its_quote(
    bench: Benches, how: str
) -> None:
    async with bench(service) as b:
        await admit(b, {**AGREED, **QUOTED}, {**AGREED, "code": "plain", "premium_rate": "0.02"})
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        if how == "suspended":
            await b.post("/v1/agreements/reg-4321/suspension", {"reason": "x"}, role="risk_director")
        else:
            await agree(b, {**AGREED, "effective": DAY.isoformat()})
        await b.answer("partner.quote", 200, offered=True, premium_rate="0.0001")
        requested = next(body for body in await b.published() if isinstance(body, CoverRequested))
        assert requested.agreement == "plain"
        reason = {"suspended": "agreement_suspended", "changed": "terms_changed"}[how]
        assert (await routing_of(b))["reg-4321"]["reason"] == reason


async def test_a_partner_suspended_between_its_quote_and_its_yes_does_not_bind(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, {**AGREED, **QUOTED})
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        await b.answer("partner.quote", 200, offered=True)
        await b.post("/v1/agreements/reg-4321/suspension", {"reason": "x"}, role="risk_director")
        await b.answer("partner.cover", 200, accepted=True)
        assert [body for body in await b.published() if isinstance(body, CoverBound)] == []
        assert (await b.published())[-1].reason == "agreement_suspended"


async def test_no_offer_at_all_is_a_cover_refused_and_a_refused_application_ends_the_search(bench: Benches) -> None:
    other = Story(name="other", agreement="any")
    async with bench(service) as b:
        await admit(b, {**AGREED, **QUOTED})
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        await b.answer("partner.quote", 422)
        declined, refused = (await b.published())[-2:]
        assert isinstance(declined, QuoteDeclined)
        assert (declined.reason, refused.reason) == ("request_rejected", "no_agreement_fits")
        await b.react(other.submitted(), other.rated(), other.refused(), on=DAY)
        await b.answer("partner.quote", 200, offered=True)
        assert (await b.names())[2:] == ["quote.received"]
        assert await b.calls() == []


async def test_a_partner_that_declines_is_passed_over_for_the_next_that_still_fits(bench: Benches) -> None:
    second = {**AGREED, "code": "second", "premium_rate": "0.02"}
    third = {**AGREED, "code": "third", "premium_rate": "0.03"}
    async with bench(service) as b:
        await admit(b, AGREED, second, third)
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        await b.post("/v1/agreements/second/suspension", {"reason": "x"}, role="risk_director")
        for kind in ("owner_guarantee", "counter_guarantee"):
            signed = {"kind": kind, "guarantor": "p1", "amount": {"amount": "1.00", "currency": "CNY"}, "document": "G"}
            path = f"/v1/facilities/{ONE.facility_id}/undertakings"
            assert (await b.post(path, signed, role="customer_manager")).status_code == 201
        await b.answer("partner.cover", 200, accepted=False, reason="no_appetite")
        asked = [body.agreement for body in await b.published() if isinstance(body, CoverRequested)]
        assert asked == ["reg-4321", "third"]
        assert "cover.refused" not in await b.names(), "the application still waits for its cover"
        assert (await capacity(b), (await capacity(b, "third"))[0]) == (("0.00", "0.00"), "80000.00")
        offers = await routing_of(b)
        assert {code: (one["state"], one["reason"]) for code, one in offers.items()} == {
            "reg-4321": ("passed_over", "no_appetite"),
            "second": ("passed_over", "agreement_suspended"),
            "third": ("chosen", ""),
        }
        await b.answer("partner.cover", 200, accepted=True)
        assert (await b.published())[-1].agreement == "third"
        view = (await b.get(f"/v1/facilities/{ONE.facility_id}")).json()
        assert (view["cover"]["agreement"], view["cover"]["state"]) == ("third", "bound")
        standing = {one["kind"]: one["state"] for one in view["undertakings"]}
        assert standing == {"owner_guarantee": "signed", "counter_guarantee": "released"}, "it was for who declined"
        await b.react(ONE.disbursed(), ONE.repaid("100000", "0"), ONE.closed("repaid"), on=DAY)
        assert (await capacity(b, "third"), await b.parked()) == (("0.00", "0.00"), [])


async def test_when_nobody_is_left_the_last_reason_refuses_the_cover(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED, {**AGREED, "code": "second", "premium_rate": "0.02"})
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        for reason in ("no_appetite", "industry"):
            assert "cover.refused" not in await b.names()
            await b.answer("partner.cover", 200, accepted=False, reason=reason)
        assert (await b.published())[-1].reason == "industry"
        assert [one["reason"] for one in (await routing_of(b)).values()] == ["no_appetite", "industry"]


async def test_after_the_approval_the_next_partner_is_asked_at_once_if_it_stands_for_no_less(bench: Benches) -> None:
    late = {**AGREED, "binding": {"before_disbursement": True, "hold_days": 5}}
    shares = [{"party": "guarantor", "weight": "7"}, {"party": "bank", "weight": "3"}]
    less = {**AGREED, "code": "less", "premium_rate": "0.011", "shares": shares}
    next_ = {**late, "code": "next", "premium_rate": "0.02"}
    granted = FacilityGranted(facility_id=ONE.facility_id, borrower_id="b1", limit=cny("100000"), valid_until=MATURITY)
    async with bench(service) as b:
        await admit(b, late, less, next_)
        await b.react(ONE.submitted(), ONE.rated(), granted, on=DAY)
        first = next(body for body in await b.published() if isinstance(body, CoverRequested))
        await b.tick(DAY + timedelta(days=5))  # silence is a no
        offers = await routing_of(b)
        assert [offers[code]["reason"] for code in ("reg-4321", "less", "next")] == [
            "hold_expired",
            "less_than_approved",
            "",
        ]
        asked = [body for body in await b.published() if isinstance(body, CoverRequested)]
        assert [body.agreement for body in asked] == ["reg-4321", "next"]
        # The first partner's late yes binds nothing for the second: people must cancel it.
        await b.answer("partner.cover", 200, accepted=True)
        assert ("cover.bound" in await b.names(), len(await b.calls())) == (False, 1)
        await b.answer("partner.cover", 200, accepted=True)
        bound = next(body for body in await b.published() if isinstance(body, CoverBound))
        assert (bound.agreement, bound.cover_id != first.cover_id) == ("next", True)


async def test_no_agreement_may_be_called_any(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b)
        answer = await b.post("/v1/agreements", {**AGREED, "code": "any"}, role="admin")
        assert (answer.status_code, answer.json()["code"]) == (422, "code_reserved")
