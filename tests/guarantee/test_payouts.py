"""A year's payouts stay within a multiple of the year before; what is above waits for the next year (F7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import httpx

from libs.events.guarantee import ClaimPaid
from libs.events.guarantee_upkeep import PayoutDeferred
from services.guarantee.domain.bordereau import PUT_OFF
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, DAY, Story, admit, cny
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
CAPPED = {**AGREED, "payout": {"multiple": "2"}}
PREMIUM = {"amount": {"amount": "800.00", "currency": "CNY"}}


async def test_a_payout_above_twice_last_years_income_waits_for_the_next_year(bench: Benches) -> None:
    story = Story()
    async with bench(service) as b:
        await admit(b, CAPPED)
        pay_by = await story.accept_claim(b)
        # The premium of 2025 was 800, so 2026 pays at most 1,600 of the 56,000 claimed.
        async with b.parts.engine.begin() as conn:
            row = "('reg-4321/2025', 'reg-4321', 'CNY', 800, 0, false)"
            await conn.exec_driver_sql(f"INSERT INTO payout_books VALUES {row}")
        await b.tick(pay_by)
        deferred = (await b.published())[-1]
        assert isinstance(deferred, PayoutDeferred)
        assert (deferred.amount, deferred.cap, deferred.used) == (cny("56000"), cny("1600"), cny("0"))
        async with b.parts.engine.connect() as conn:
            crossed = await conn.exec_driver_sql("SELECT book_id FROM payout_books WHERE crossed")
            assert crossed.scalars().all() == ["reg-4321/2026"]
        assert (deferred.until, await b.calls()) == (date(2027, 1, 4), [])  # the first working day
        # What 2026 takes in counts for 2027: here enough comes in.
        async with b.parts.engine.begin() as conn:
            await conn.exec_driver_sql("UPDATE payout_books SET income = 28000 WHERE book_id = 'reg-4321/2026'")
        await b.tick(deferred.until)
        await b.answer("partner.claim_payment", 200, paid=True, receipt="R-1")
        paid = [body for body in await b.published() if isinstance(body, ClaimPaid)]
        assert [body.amount for body in paid] == [cny("56000")]
        assert await b.parked() == []
        told = {
            f"{on:%Y-%m}": await deferred_in(b, f"{on:%Y-%m}") for on in (pay_by, date(2026, 12, 1), deferred.until)
        }
        assert list(told.values()) == [
            ("0.00", "56000.00", "0.00", "0.00", "56000.00"),
            ("56000.00", "0.00", "0.00", "0.00", "56000.00"),
            ("56000.00", "0.00", "56000.00", "0.00", "0.00"),
        ]
        (row,) = [line for line in (await month_of(b, pay_by, "/csv")).text.splitlines() if "payout.deferred" in line]
        assert row == "reg-4321,payout.deferred,,1,56000.00,CNY"


async def month_of(bench: Bench, on: date, form: str = "") -> httpx.Response:
    return await bench.get(f"/v1/partners/city-guarantee/statements/{on:%Y-%m}{form}")


async def deferred_in(bench: Bench, month: str) -> tuple[str, ...]:
    """What was put off before, newly, paid of it, lapsed, and is still, in a month's statement."""
    (each,) = (await month_of(bench, date.fromisoformat(f"{month}-01"))).json()["agreements"]
    return tuple(each["deferred"][name]["amount"] for name in PUT_OFF)


async def books(bench: Bench) -> dict[str, tuple[str, str]]:
    """(income, promised) of every year."""
    async with bench.parts.engine.connect() as conn:
        rows = await conn.exec_driver_sql("SELECT book_id, income, promised FROM payout_books")
        return {book: (str(income), str(promised)) for book, income, promised in rows}


async def test_a_years_income_is_what_was_paid_to_the_partner(bench: Benches) -> None:
    story = Story()
    async with bench(service) as b:
        await admit(b, CAPPED)
        await story.bind(b)
        await b.react(story.disbursed(), on=DAY)
        path = f"/v1/facilities/{story.facility_id}/premium-payments"
        assert (await b.post(path, PREMIUM, role="core_bank")).status_code == 200
        assert await books(b) == {"reg-4321/2025": ("800.00", "0.00")}


async def test_the_first_year_has_no_cap_and_a_claim_that_comes_to_nothing_gives_its_room_back(bench: Benches) -> None:
    story = Story()
    async with bench(service) as b:
        await admit(b, {**CAPPED, "claim_wait_days": 1})
        await story.bind(b)
        await b.react(story.disbursed(), replace(story.overdue("100000"), since=DAY), on=DAY)
        await b.tick(DAY + timedelta(days=1))
        await b.answer("partner.claim", 200, accepted=True)
        claim = (await b.get(f"/v1/facilities/{story.facility_id}")).json()["claims"][-1]
        pay_by = date.fromisoformat(claim["pay_by"])
        await b.tick(pay_by)
        assert [kind for kind, _, _ in await b.calls()] == ["partner.claim_payment"]
        assert await books(b) == {"reg-4321/2025": ("0.00", "80000.00")}
        await b.react(story.cured("100000"), on=pay_by)
        assert await books(b) == {"reg-4321/2025": ("0.00", "0.00")}
