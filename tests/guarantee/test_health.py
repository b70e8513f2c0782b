"""A partner is measured by what became of its covers; an agreement's triggers warn, throttle, suspend, reinstate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.guarantee.domain.health import TrackRecord, judge, new_record, throttled, value_of
from services.guarantee.domain.terms import Measure, Trigger
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, CLAIM_DAY, DAY, DUE, Story, admit
from tests.guarantee.test_agreement import AGREED as TERMS
from tests.guarantee.test_cover import cny
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
OVERDUE = Trigger(
    measure=Measure.OVERDUE_RATIO,
    warn_at=Decimal("0.05"),
    throttle_to=Decimal("0.5"),
    suspend_at=Decimal("0.10"),
    reinstate_at=Decimal("0.03"),
)


def record(**change: Any) -> TrackRecord:
    plain = replace(new_record(TERMS), balance=cny("1000"), disbursed=cny("2000"), premiums=cny("100"))
    return replace(plain, **change)


@pytest.mark.parametrize(
    ("measure", "change", "value"),
    [
        (Measure.COMPENSATION_RATE, {"paid": cny("60")}, "0.03"),
        (Measure.LOSS_RATIO, {"paid": cny("150"), "recovered": cny("30")}, "1.2"),
        (Measure.OVERDUE_RATIO, {"in_arrears": cny("50")}, "0.05"),
        (Measure.DENIAL_RATE, {"claims_decided": 4, "claims_denied": 1}, "0.25"),
        (Measure.LATE_PAYMENT_RATE, {"payments": 5, "late": 1}, "0.2"),
    ],
)
def test_each_measure_is_a_ratio_and_none_while_there_is_nothing_to_measure_on(
    measure: Measure, change: dict[str, Any], value: str
) -> None:
    assert value_of(record(**change), measure) == Decimal(value)
    assert value_of(new_record(TERMS), measure) is None


@pytest.mark.parametrize(
    ("overdue", "warned", "stops"),
    [("49.99", False, False), ("50", True, False), ("99.99", True, False), ("100", True, True)],
)
def test_a_bound_is_reached_inclusive(overdue: str, warned: bool, stops: bool) -> None:
    verdict = judge(record(in_arrears=cny(overdue)), (OVERDUE,), "")
    assert (bool(verdict.warn), verdict.suspend is not None) == (warned, stops)


def test_a_partner_is_warned_once_and_again_only_after_it_had_recovered() -> None:
    first = judge(record(in_arrears=cny("60")), (OVERDUE,), "")
    again = judge(replace(first.record, in_arrears=cny("70")), (OVERDUE,), "")
    well = judge(replace(again.record, in_arrears=cny("10")), (OVERDUE,), "")
    relapsed = judge(replace(well.record, in_arrears=cny("60")), (OVERDUE,), "")
    assert [bool(verdict.warn) for verdict in (first, again, well, relapsed)] == [True, False, False, True]


@pytest.mark.parametrize(
    ("overdue", "reason", "ends"),
    [
        ("30.01", "overdue_ratio", False),
        ("30", "overdue_ratio", True),
        ("0", "ordered_by_head_office", False),
        ("0", "", False),
    ],
)
def test_a_suspension_ends_by_itself_only_when_its_own_measure_has_fallen(
    overdue: str, reason: str, ends: bool
) -> None:
    assert judge(record(in_arrears=cny(overdue)), (OVERDUE,), reason).reinstate is ends


def test_people_lift_a_suspension_for_which_no_level_to_reinstate_is_agreed() -> None:
    assert not judge(record(), (replace(OVERDUE, reinstate_at=None),), "overdue_ratio").reinstate


def test_while_it_is_warned_of_a_partner_has_a_part_of_its_capacity() -> None:
    agreed = replace(TERMS, triggers=(OVERDUE,))
    assert throttled(agreed, record(in_arrears=cny("49.99"))).capacity == agreed.capacity
    assert throttled(agreed, record(in_arrears=cny("50"))).capacity == agreed.capacity * Decimal("0.5")
    assert throttled(agreed, None) == agreed


TRIGGER = {"measure": "overdue_ratio", "warn_at": "0.05", "suspend_at": "0.50", "reinstate_at": "0.10"}


async def health(bench: Bench) -> dict[str, Any]:
    body: dict[str, Any] = (await bench.get("/v1/agreements/reg-4321")).json()
    return body


async def test_arrears_suspend_a_partner_at_once_and_a_cure_reinstates_it(bench: Benches) -> None:
    one, two, later = (Story(name=name) for name in ("one", "two", "later"))
    async with bench(service) as b:
        await admit(b, {**AGREED, "triggers": [TRIGGER]})
        for story in (one, two):
            await story.bind(b)
            await b.react(story.disbursed(), on=DAY)
        await b.react(one.overdue("100000"), on=DUE)
        assert (await b.names())[-2:] == ["partner.warned", "partner.suspended"]
        warned, suspended = (await b.published())[-2:]
        assert (warned.measure, str(warned.value), suspended.reason) == ("overdue_ratio", "0.500000", "overdue_ratio")
        assert (await health(b))["suspended_since"] == DUE.isoformat()
        await b.react(later.submitted(), later.rated(), on=DUE)
        assert (await b.published())[-1].reason == "agreement_suspended"
        await b.react(one.cured("100000"), on=DUE)
        assert (await b.names())[-1] == "partner.reinstated"
        assert (await health(b))["suspended_since"] is None
        assert (await health(b))["record"]["in_arrears"]["amount"] == "0.00"
        assert await b.parked() == []


async def test_a_warned_partner_has_less_room_and_the_record_follows_payments_and_recoveries(bench: Benches) -> None:
    story, rival = Story(), Story(name="rival")
    trigger = {"measure": "compensation_rate", "warn_at": "0.1", "throttle_to": "0.1", "suspend_at": "1"}
    async with bench(service) as b:
        await admit(b, {**AGREED, "triggers": [trigger]})
        pay_by = await story.accept_claim(b)
        await b.tick(pay_by)
        await b.answer("partner.claim_payment", 200, paid=True, receipt="R-1")
        assert (await b.names())[-1] == "partner.warned"
        await b.react(story.recovered("10000"), on=pay_by)
        kept = (await health(b))["record"]
        assert {name: kept[name]["amount"] for name in ("disbursed", "paid", "recovered")} == {
            "disbursed": "80000.00",
            "paid": "56000.00",
            "recovered": "8000.00",
        }
        assert (kept["claims_decided"], kept["claims_denied"], kept["payments"], kept["late"]) == (1, 0, 1, 0)
        await b.react(rival.submitted(), rival.rated(), on=pay_by)
        assert (await b.published())[-1].reason == "capacity_exhausted"  # 100,000 of room, 56,000 taken


async def test_a_payment_that_never_comes_counts_as_a_denial(bench: Benches) -> None:
    story = Story()
    trigger = {"measure": "denial_rate", "suspend_at": "1"}
    async with bench(service) as b:
        await admit(b, {**AGREED, "triggers": [trigger]})
        await story.go_overdue(b)
        await b.tick(CLAIM_DAY)
        await b.answer("partner.claim", 200, accepted=False, reason="material_breach")
        assert (await b.names())[-2:] == ["claim.denied", "partner.suspended"]
        await b.tick(CLAIM_DAY + timedelta(days=1))
        assert (await health(b))["record"]["claims_denied"] == 1
