"""A compensation cap is measured as its terms say: on which base, with what counted, in which period."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from libs.events.guarantee import CapReached
from services.guarantee.domain.cap import (
    CapBook,
    average_balance,
    book_year,
    cap_amount,
    give_back,
    move_balance,
    open_book,
    room,
    use,
)
from services.guarantee.domain.sharing import Sharing, final_split, without_bank
from services.guarantee.domain.terms import Cap, CapBase, CapCount, CapPeriod, Coverage
from tests.guarantee.stories import loss_of
from tests.guarantee.test_cover import cny, shares

VECTORS = {v["id"]: v for v in json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))}
CAP = Cap(rate=Decimal("0.03"))
JAN = date(2026, 1, 1)


def book(cap: Cap = CAP, balance: str = "0") -> CapBook:
    return open_book("batch", 2026, cap, cny(balance))


def test_a_claim_over_the_cap_is_cut_and_the_rest_falls_back_on_the_bank() -> None:
    case = VECTORS["SHR-05"]
    given, expected = case["input"], case["expected"]
    cap = Cap(rate=Decimal(str(given["cap"])))
    year = move_balance(book(cap), cny(str(given["portfolio"])), JAN)
    year = replace(year, used=cny(str(given["paid_before"])))
    assert str(cap_amount(year, cap, JAN).amount) == expected["cap_amount"]

    share = Decimal(str(given["guarantee_share"]))
    agreed = Sharing(shares=shares(guarantor=str(share), bank=str(1 - share)))
    loss = loss_of(cny(str(given["loss"])))
    uncapped = final_split(loss, agreed, Coverage(), covered=cny("10000"))
    assert str(without_bank(uncapped).amount) == expected["claim"]
    left = room(year, cap, JAN)
    parts = {p.party: p.amount for p in final_split(loss, agreed, Coverage(), covered=cny("10000"), payable_max=left)}
    assert str(parts["guarantor"].amount) == expected["payable"]
    assert str(parts["bank"].amount) == expected["bank_share"]
    used, reached = use(year, cap, parts["guarantor"], JAN, "f1")
    assert (reached is not None) is expected["suspend"]
    assert room(used, cap, JAN) == cny("0")


def test_a_cap_on_the_volume_is_volume_times_guarantee_rate_times_cap_rate() -> None:
    case = VECTORS["F9"]["input"]
    cap = Cap(rate=Decimal(case["cap_rate"]))
    year = move_balance(book(cap), cny(str(case["volume"])) * Decimal(case["guarantee_rate"]), JAN)
    assert str(cap_amount(year, cap, JAN).amount) == VECTORS["F9"]["expected"]["cap_amount"]
    repaid = move_balance(year, -cny("5000000"), date(2026, 6, 1))
    assert cap_amount(repaid, cap, date(2026, 6, 1)) == cap_amount(year, cap, JAN)


@pytest.mark.parametrize(
    ("on", "average"),
    [
        (date(2026, 1, 1), "1000.00"),  # the first day: what was carried over
        (date(2026, 1, 11), "1000.00"),
        (date(2026, 1, 21), "1500.00"),  # ten days of 1,000, ten of 2,000
        (date(2026, 1, 31), "1333.33"),  # and ten of 1,000
    ],
)
def test_an_average_balance_weighs_each_amount_with_its_days(on: date, average: str) -> None:
    cap = Cap(rate=Decimal("0.1"), base=CapBase.AVERAGE_BALANCE, period=CapPeriod.CALENDAR_YEAR)
    year = book(cap, "1000")
    for day, change in ((date(2026, 1, 11), "1000"), (date(2026, 1, 21), "-1000")):
        if day <= on:
            year = move_balance(year, cny(change), day)
    assert average_balance(year, on) == cny(average)
    assert cap_amount(year, cap, on) == cny(average) * Decimal("0.1")


def test_a_cohort_starts_with_nothing_and_a_calendar_year_with_what_is_still_out() -> None:
    assert book(balance="1000").balance == cny("0")
    assert book(Cap(rate=Decimal("0.03"), period=CapPeriod.CALENDAR_YEAR), "1000").balance == cny("1000")


def test_a_loss_belongs_to_the_year_of_its_loan_or_of_its_claim() -> None:
    lent, claimed = date(2025, 11, 1), date(2026, 2, 1)
    assert book_year(CAP, lent, claimed) == 2025
    assert book_year(replace(CAP, period=CapPeriod.CALENDAR_YEAR), lent, claimed) == 2026


@pytest.mark.parametrize(
    ("count", "denied", "left"),
    [
        (CapCount.PAID, True, "300.00"),
        (CapCount.PAID, False, "300.00"),
        (CapCount.CLAIMED, True, "200.00"),
        (CapCount.CLAIMED, False, "300.00"),  # withdrawn because the borrower paid
    ],
)
def test_a_denied_claim_uses_the_cap_only_where_claims_are_counted(count: CapCount, denied: bool, left: str) -> None:
    cap = Cap(rate=Decimal("0.03"), count=count)
    used, reached = use(move_balance(book(cap), cny("10000"), JAN), cap, cny("100"), JAN, "f1")
    assert reached is None
    assert room(give_back(used, cap, cny("100"), denied=denied), cap, JAN) == cny(left)


def test_the_event_of_a_cap_that_is_reached_names_it() -> None:
    _, reached = use(move_balance(book(), cny("10000"), JAN), CAP, cny("300"), JAN, "f1")
    assert reached == CapReached(
        facility_id="f1", agreement="batch", period="batch/2026", cap=cny("300"), used=cny("300")
    )
