"""Deferred pay: it vests, is held by an open case, is stopped or reclaimed; no cent appears or vanishes on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.kernel.errors import Invalid
from libs.kernel.money import Money, total
from services.incentive.domain import ledger
from services.incentive.domain.accountability import Case
from services.incentive.domain.deferral import Instalment, Status
from services.incentive.domain.exemption import Outcome, Verdict
from services.incentive.domain.ledger import Account, Leg, post
from services.incentive.domain.people import Role, StaffPay
from services.incentive.domain.vesting import ClawbackTerms, Measure, added, claw_back, run_due

TERMS = ClawbackTerms(
    not_exempt=Measure(stop=Decimal(1), reclaim=Decimal(1)), reduced=Measure(stop=Decimal("0.50"), reclaim=Decimal(0))
)
RUN = date(2027, 3, 31)


def cny(amount: str) -> Money:
    return Money(Decimal(amount), "CNY")


def pay(staff: str, role: Role, amount: str) -> StaffPay:
    return StaffPay(staff=staff, role=role, amount=cny(amount))


def instalment(number: int, status: Status, lead: str = "140.00", assistant: str = "60.00") -> Instalment:
    return Instalment(
        number=number,
        vests_on=RUN.replace(year=RUN.year + number - 1),
        status=status,
        parts=(pay("s-lead", Role.LEAD, lead), pay("s-assist", Role.ASSISTANT, assistant)),
    )


def case(opened_on: date, *, determined_on: date | None = None) -> Case:
    return Case(
        case_id="c",
        opened_on=opened_on,
        determine_on=date(2027, 5, 1),
        due=date(2028, 3, 1),
        yardstick="incentive/exemption@2024-08-02",
        determined_on=determined_on,
    )


def verdicts(lead: Outcome, assistant: Outcome) -> tuple[Verdict, ...]:
    return tuple(
        Verdict(staff=staff, role=role, outcome=outcome, grounds=(), evidence=())
        for staff, role, outcome in (("s-lead", Role.LEAD, lead), ("s-assist", Role.ASSISTANT, assistant))
    )


PAID = (pay("s-lead", Role.LEAD, "630.00"), pay("s-assist", Role.ASSISTANT, "270.00"))


@pytest.mark.parametrize(
    ("today", "status"),
    [(date(2027, 3, 30), Status.DEFERRED), (RUN, Status.VESTED), (date(2027, 4, 2), Status.VESTED)],
)
def test_an_instalment_vests_at_its_run_and_not_before(today: date, status: Status):
    (row, later) = run_due((instalment(1, Status.DEFERRED), instalment(2, Status.DEFERRED)), None, today)
    assert row.status is status
    assert later.status is Status.DEFERRED


@pytest.mark.parametrize(
    ("opened_on", "status"),
    [(date(2027, 3, 30), Status.HELD), (RUN, Status.VESTED), (date(2027, 4, 1), Status.VESTED)],
)
def test_only_a_case_opened_before_the_run_day_holds_the_instalment(opened_on: date, status: Status):
    (row,) = run_due((instalment(1, Status.DEFERRED),), case(opened_on), date(2027, 4, 2))
    assert row.status is status


def test_a_determined_case_holds_nothing():
    decided = case(date(2027, 1, 1), determined_on=date(2027, 3, 1))
    (row,) = run_due((instalment(1, Status.DEFERRED),), decided, RUN)
    assert row.status is Status.VESTED


@pytest.mark.parametrize("status", [Status.HELD, Status.STOPPED, Status.VESTED])
def test_a_run_touches_only_what_still_waits(status: Status):
    (row,) = run_due((instalment(1, status),), None, RUN)
    assert row.status is status


def test_the_exempt_lose_nothing_and_what_was_held_vests():
    rows = (instalment(1, Status.HELD), instalment(2, Status.DEFERRED))
    left, taken = claw_back(PAID, rows, verdicts(Outcome.EXEMPT_FULL, Outcome.EXEMPT_FULL), TERMS)
    assert left == (replace(rows[0], status=Status.VESTED), rows[1])
    assert (taken.stopped, taken.reclaimed) == ((), ())


def test_who_is_not_exempt_loses_what_waits_and_returns_what_was_paid_and_nobody_else_does():
    rows = (instalment(1, Status.HELD), instalment(2, Status.DEFERRED), instalment(3, Status.DEFERRED))
    left, taken = claw_back(PAID, rows, verdicts(Outcome.NOT_EXEMPT, Outcome.EXEMPT_FULL), TERMS)
    assert taken.stopped == (pay("s-lead", Role.LEAD, "420.00"),)
    assert taken.reclaimed == (pay("s-lead", Role.LEAD, "630.00"),)
    assert [row.status for row in left] == [Status.VESTED, Status.DEFERRED, Status.DEFERRED]
    assert {row.parts for row in left} == {(pay("s-lead", Role.LEAD, "0"), pay("s-assist", Role.ASSISTANT, "60.00"))}


def test_an_instalment_with_nothing_left_is_stopped():
    rows = (instalment(1, Status.HELD), instalment(2, Status.DEFERRED))
    left, _ = claw_back(PAID, rows, verdicts(Outcome.NOT_EXEMPT, Outcome.NOT_EXEMPT), TERMS)
    assert {row.status for row in left} == {Status.STOPPED}


def test_slight_negligence_costs_the_policys_share_of_what_waits_and_nothing_of_what_was_paid():
    left, taken = claw_back(PAID, (instalment(1, Status.HELD),), verdicts(Outcome.REDUCED, Outcome.EXEMPT_FULL), TERMS)
    assert (taken.stopped, taken.reclaimed) == ((pay("s-lead", Role.LEAD, "70.00"),), ())
    assert left[0].status is Status.VESTED
    assert left[0].total("CNY") == cny("130.00")


def test_a_vested_instalment_is_reclaimed_as_paid_and_never_stopped():
    _, taken = claw_back(
        added(PAID, instalment(1, Status.VESTED).parts),
        (instalment(1, Status.VESTED),),
        verdicts(Outcome.NOT_EXEMPT, Outcome.NOT_EXEMPT),
        TERMS,
    )
    assert taken.stopped == ()
    assert total((part.amount for part in taken.reclaimed), "CNY") == cny("1100.00")


def test_a_run_and_a_determination_of_one_day_end_the_same_in_either_order():
    rows = (instalment(1, Status.DEFERRED), instalment(2, Status.DEFERRED))
    opened = case(date(2027, 1, 29))
    decided = replace(opened, determined_on=RUN)
    for outcome in Outcome:
        found = verdicts(outcome, Outcome.EXEMPT_FULL)
        run_first, taken_first = claw_back(PAID, run_due(rows, opened, RUN), found, TERMS)
        judged, taken_second = claw_back(PAID, rows, found, TERMS)
        assert run_first == run_due(judged, decided, RUN)
        assert taken_first == taken_second


AMOUNT = st.integers(0, 10**7).map(lambda cents: str(Decimal(cents) / 100))


@given(
    lead=AMOUNT,
    assistant=AMOUNT,
    outcomes=st.tuples(st.sampled_from(Outcome), st.sampled_from(Outcome)),
    status=st.sampled_from([Status.DEFERRED, Status.HELD]),
)
def test_what_is_left_and_what_was_stopped_sum_to_what_waited(
    lead: str, assistant: str, outcomes: tuple[Outcome, Outcome], status: Status
):
    rows = (instalment(1, status, lead, assistant), instalment(2, Status.DEFERRED, lead, assistant))
    left, taken = claw_back((), rows, verdicts(*outcomes), TERMS)
    waited = total((row.total("CNY") for row in rows), "CNY")
    assert total([row.total("CNY") for row in left] + [part.amount for part in taken.stopped], "CNY") == waited
    assert all(part.amount >= part.amount.zero for row in left for part in row.parts)


def test_every_posting_of_a_life_sums_to_zero_and_names_the_account():
    earned = (pay("s-lead", Role.LEAD, "1050.00"), pay("s-assist", Role.ASSISTANT, "450.00"))
    accrual = ledger.accrual(earned, PAID, "CNY")
    assert [(leg.account, leg.staff, leg.amount) for leg in accrual] == [
        (Account.PAY_EXPENSE, "", cny("1500.00")),
        (Account.PAID, "s-lead", cny("-630.00")),
        (Account.PAID, "s-assist", cny("-270.00")),
        (Account.DEFERRED, "s-lead", cny("-420.00")),
        (Account.DEFERRED, "s-assist", cny("-180.00")),
    ]
    vested = ledger.vesting(instalment(1, Status.VESTED).parts)
    back = ledger.clawing_back((pay("s-lead", Role.LEAD, "280.00"),), (pay("s-lead", Role.LEAD, "770.00"),))
    for legs in (accrual, vested, back):
        entries = post("l/x", legs, facility_id="f", loan_id="l", currency="CNY", on=RUN)
        assert not total((entry.amount for entry in entries), "CNY")
        assert len({entry.entry_id for entry in entries}) == len(entries) == len(legs)


def test_an_unbalanced_posting_is_never_booked():
    legs = (
        Leg(account=Account.PAID, staff="s", amount=cny("-1.00")),
        Leg(account=Account.DEFERRED, staff="s", amount=cny("1.01")),
    )
    with pytest.raises(Invalid, match="posting_unbalanced"):
        post("l/x", legs, facility_id="f", loan_id="l", currency="CNY", on=RUN)


def test_a_leg_of_nothing_is_not_booked():
    legs = ledger.vesting((pay("s-lead", Role.LEAD, "0"), pay("s-assist", Role.ASSISTANT, "60.00")))
    entries = post("l/vested-1", legs, facility_id="f", loan_id="l", currency="CNY", on=RUN)
    assert [entry.staff for entry in entries] == ["s-assist", "s-assist"]
