"""F7: a claim is paid three quarters at first, the rest when recovery ends; premiums rise after many crossed years."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from libs.events.guarantee import ClaimDenied, ClaimPaid, DeadlineMissed, PremiumDue, RecoveryShared
from libs.kernel.calendar import add_months
from services.guarantee.domain.payout import PayoutBook, cap_of, surcharge_on
from services.guarantee.domain.terms import PayoutCap
from services.guarantee.main import service
from tests.guarantee.partner_client import CALLING, OWN_PARTY, Partner, money
from tests.guarantee.stories import CLAIM_DAY, DAY, Story, admit, cny
from tests.guarantee.test_claim import VECTORS
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
GIVEN, EXPECTED = VECTORS["F7"]["input"], VECTORS["F7"]["expected"]
CAP = PayoutCap(
    multiple=Decimal(GIVEN["multiple"]),
    surcharge=Decimal(GIVEN["surcharge"]),
    crossings=GIVEN["crossings"],
    years=GIVEN["years"],
)
# Where the bank keeps a fifth, a default of 1,125,000 is covered with the 900,000 of F7.
TERMS: dict[str, Any] = {
    **CALLING,
    "code": "f7",
    "capacity": {"amount": "5000000.00", "currency": "CNY"},
    "claims": {"first_share": GIVEN["first_share"], "rest_years": GIVEN["rest_years"]},
}
ONE = Story(agreement="f7", amount="1125000")


@pytest.fixture
async def b(bench: Benches) -> AsyncIterator[Bench]:
    """A claim for 900,000, accepted, of which 675,000 are due first."""
    async with bench(service) as opened:
        await admit(opened, TERMS)
        await opened.react(ONE.submitted(), ONE.rated(), on=DAY)
        assert (await Partner(opened, OWN_PARTY).answer(ONE, accepted=True)).status_code == 200
        await opened.react(ONE.disbursed(), ONE.overdue(ONE.amount), on=DAY)
        await opened.tick(CLAIM_DAY)
        claim = (await theirs(opened, "decision", accepted=True)).json()
        assert claim["claimed"]["amount"] == EXPECTED["covered"]
        yield opened


async def theirs(b: Bench, what: str, **body: Any) -> httpx.Response:
    return await Partner(b, OWN_PARTY).on_claim(ONE, what, **body)


async def pay_first(b: Bench) -> dict[str, Any]:
    paid = await theirs(b, "payments", kind="interim", amount=money(EXPECTED["first"]), receipt="R-1")
    found: dict[str, Any] = paid.json()
    return found


async def claim_of(b: Bench) -> dict[str, Any]:
    return await Partner(b, OWN_PARTY).claim_of(ONE)


async def missed(b: Bench) -> list[date]:
    return [event.due for event in await b.published() if isinstance(event, DeadlineMissed)]


def test_a_years_payouts_are_at_most_twice_the_income_of_the_year_before() -> None:
    none = cny("0")
    book = PayoutBook(book_id="a/2024", code="a", currency="CNY", income=cny(str(GIVEN["income"])), promised=none)
    assert str(cap_of(CAP, book).amount) == EXPECTED["payout_cap"]


@pytest.mark.parametrize("case", range(len(GIVEN["crossed"])))
def test_premiums_rise_once_the_line_was_crossed_more_than_thrice_in_five_years(case: int) -> None:
    surcharge = surcharge_on(CAP, GIVEN["crossed"][case], GIVEN["year"])
    assert str((cny(GIVEN["premium"]) * (1 + surcharge)).amount) == EXPECTED["premiums"][case]


async def test_the_rest_is_due_when_recovery_ends_and_what_was_recovered_is_shared_with_it(b: Bench) -> None:
    first_by = date.fromisoformat((await claim_of(b))["pay_by"])
    assert (await pay_first(b))["pay_by"] is None
    await b.tick(first_by + timedelta(days=300))
    assert (await missed(b), (await claim_of(b))["state"]) == ([], "accepted"), "nothing is due before recovery ends"
    on = first_by + timedelta(days=300)
    await b.react(replace(ONE.recovered("100000"), final=False), on=on)
    assert (await claim_of(b))["pay_by"] is None
    await b.react(ONE.recovered("25000"), on=on)
    assert date.fromisoformat((await claim_of(b))["pay_by"]) > on
    wrong = await theirs(b, "payments", amount=money("900000.00"), receipt="R-2")
    assert (wrong.json()["code"], wrong.json()["owed"]) == ("payment_differs", f"{EXPECTED['rest']} CNY")
    assert (await theirs(b, "payments", amount=money(EXPECTED["rest"]), receipt="R-2")).json()["state"] == "paid"
    (paid,) = [event for event in await b.published() if isinstance(event, ClaimPaid)]
    assert str(paid.amount.amount) == EXPECTED["covered"]
    shared = [event.amount for event in await b.published() if isinstance(event, RecoveryShared)]
    assert shared == [cny("100000"), cny("25000")]


async def test_the_rest_is_due_three_years_after_the_decree_if_recovery_lasts_longer(b: Bench) -> None:
    await pay_first(b)
    decree = {"duty": "decree"}
    proof = await b.post(
        f"/v1/facilities/{ONE.facility_id}/loans/{ONE.loan_id}/proofs", decree, role="customer_manager"
    )
    assert proof.is_success, proof.text
    due = add_months(CLAIM_DAY, 12 * GIVEN["rest_years"])
    await b.tick(due - timedelta(days=1))
    assert (await claim_of(b))["pay_by"] is None
    await b.tick(due)
    pay_by = date.fromisoformat((await claim_of(b))["pay_by"])
    for _ in range(15):  # however often it is missed, it stays owed and what was paid stays paid
        await b.tick(b.parts.open_on + timedelta(days=8))
    assert await missed(b) == [pay_by]
    assert [event for event in await b.published() if isinstance(event, ClaimDenied)] == []
    assert (await claim_of(b))["state"] == "accepted"


async def test_where_recovery_ended_before_the_first_part_was_paid_the_rest_is_due_right_after_it(b: Bench) -> None:
    await b.react(ONE.recovered("100000"), on=CLAIM_DAY)
    await b.tick(CLAIM_DAY + timedelta(days=5))
    assert (await pay_first(b))["pay_by"] > str(CLAIM_DAY + timedelta(days=5))


async def test_who_does_not_pay_the_first_part_is_late_like_anybody(b: Bench) -> None:
    pay_by = date.fromisoformat((await claim_of(b))["pay_by"])
    await theirs(b, "payments", kind="interim", amount=money("674999.99"), receipt="R-1")
    await b.tick(pay_by)
    assert await missed(b) == [pay_by]


async def test_parts_that_cannot_be_paid_are_no_terms(b: Bench) -> None:
    for change, code in (
        ({"contact": "we_call"}, "partner_does_not_call"),
        ({"claims": {"first_share": "0"}}, "first_part_missing"),
        ({"claims": {"rest_years": 3}}, "first_part_missing"),
    ):
        answer = await b.post("/v1/agreements", {**TERMS, "code": "x", **change}, role="admin")
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_loan_drawn_after_too_many_crossed_years_costs_more(bench: Benches) -> None:
    plain = Story(agreement="f7")
    payout = {"multiple": "2", "surcharge": "0.15", "crossings": 1, "years": 5}
    async with bench(service) as b:
        await admit(b, {**TERMS, "payout": payout})
        async with b.parts.engine.begin() as conn:
            for year in (2023, 2024):
                row = f"('f7/{year}', 'f7', 'CNY', 0, 0, true)"
                await conn.exec_driver_sql(f"INSERT INTO payout_books VALUES {row}")
        await b.react(plain.submitted(), plain.rated(), on=DAY)
        await Partner(b, OWN_PARTY).answer(plain, accepted=True)
        await b.react(plain.disbursed(), on=DAY)
        (due,) = [event for event in await b.published() if isinstance(event, PremiumDue)]
        assert due.amount == cny("920")  # 1 % of 80,000 for a year, and 15 % of it
