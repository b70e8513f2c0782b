"""Cash runs along the chain: the direct payer pays whole, those behind it reimburse on their own clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from libs.kernel.calendar import Calendar
from libs.kernel.errors import Refused
from services.guarantee.domain.agreement import direct_payer
from services.guarantee.domain.cash import CashLeg, legs_behind, miss_reimbursement, reimburse
from services.guarantee.domain.sharing import parts_of
from services.guarantee.domain.terms import Leg
from tests.guarantee.test_agreement import AGREED, NAMED
from tests.guarantee.test_cover import cny

CALENDAR = Calendar("weekdays", date(2025, 1, 1), date(2027, 12, 31))
PAID_ON = date(2026, 4, 3)  # a Friday
CHAIN = replace(
    AGREED,
    legs=(
        Leg(party="reguarantor", working_days=1, proof="payment certificate"),
        Leg(party="government", working_days=20, proof="payment certificate"),
    ),
)


def legs(chain: object = CHAIN, loss: str = "1000") -> tuple[CashLeg, ...]:
    return legs_behind(
        parts_of(cny(loss), AGREED.shares),
        chain,  # type: ignore[arg-type]  # an agreement, made by replace
        facility_id="f1",
        cover_id="c1",
        claim_id="k1",
        paid_on=PAID_ON,
        calendar=CALENDAR,
    )


def test_each_party_behind_the_direct_payer_owes_its_part_until_its_own_day() -> None:
    assert [(leg.party, leg.payee, leg.amount, leg.due) for leg in legs()] == [
        ("reguarantor", "guarantor", cny("300"), date(2026, 4, 6)),
        ("government", "guarantor", cny("100"), date(2026, 5, 1)),
    ]


def test_nobody_owes_what_no_term_names_or_what_is_nothing() -> None:
    assert legs(AGREED) == ()
    assert legs(loss="0.01") == ()  # the one cent is the guarantor's


def test_the_direct_payer_is_named_or_the_first_partner() -> None:
    assert direct_payer(AGREED) == "guarantor"
    assert direct_payer(replace(AGREED, direct="reguarantor")) == "reguarantor"
    assert direct_payer(NAMED) == NAMED.partner_id


def test_a_reimbursement_may_come_in_pieces_and_each_receipt_counts_once() -> None:
    leg, event = reimburse(legs()[0], cny("100"), "R-1")
    assert (event.amount, event.left, event.party, event.payee) == (cny("100"), cny("200"), "reguarantor", "guarantor")
    with pytest.raises(Refused, match="receipt_counted"):
        reimburse(leg, cny("100"), "R-1")
    with pytest.raises(Refused, match="more_than_owed"):
        reimburse(leg, cny("200.01"), "R-2")
    leg, event = reimburse(leg, cny("200"), "R-2")
    assert (leg.arrears, event.left, leg.receipts) == (cny("0"), cny("0"), ("R-1", "R-2"))


def test_arrears_name_the_side_that_owes() -> None:
    owed = miss_reimbursement(reimburse(legs()[0], cny("100"), "R-1")[0])
    assert owed is not None
    assert (owed.party, owed.payee, owed.amount, owed.due) == ("reguarantor", "guarantor", cny("200"), date(2026, 4, 6))
    assert miss_reimbursement(reimburse(legs()[0], cny("300"), "R-1")[0]) is None
