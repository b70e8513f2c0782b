"""Default, disposal and the end of a debt on a real database: events and time go in, sales and releases come out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from libs.events.application import SecurityOffer
from libs.events.collateral import CollateralDisposed, CollateralReleased, DisposalStarted
from services.collateral.main import service
from tests.collateral.stories import (
    F,
    amount,
    closed,
    disbursed,
    drawn,
    money,
    of,
    offer,
    perfected,
    policies,
    reclassified,
    repaid,
    sell,
    timers,
    view,
    written_off,
)
from tests.harness.bench import Bench

Make = Callable[..., Bench]
BAD_ON = date(2026, 6, 20)
STARTS_ON = BAD_ON + timedelta(days=60)


async def on_sale(b: Bench, *offers: SecurityOffer) -> None:
    """A facility in default whose disposal has started."""
    await drawn(b, *offers)
    await b.react(reclassified("substandard"), on=BAD_ON)
    await b.tick(STARTS_ON)


async def test_disposal_starts_sixty_days_after_the_loan_became_non_performing(bench: Make) -> None:
    async with bench(service) as b:
        await drawn(b, offer("house"), offer("factory"))
        await b.react(reclassified("special_mention"), on=BAD_ON - timedelta(days=90))
        assert await timers(b) == []
        await b.react(reclassified("substandard"), reclassified("doubtful"), on=BAD_ON)
        await b.tick(STARTS_ON - timedelta(days=1))
        assert await of(b, DisposalStarted) == []
        await b.tick(STARTS_ON)
        started = await of(b, DisposalStarted)
        assert len(started) == 2
        assert {(e.appraisal, e.reserve_first, e.reserve_second) for e in started} == {
            (money(1_000_000), money(700_000), money(560_000))
        }
        assert (await policies(b))["disposal.started"] == "collateral/disposal@2025-07-01"
        await b.tick(STARTS_ON + timedelta(days=100))
        assert len(await of(b, DisposalStarted)) == 2


async def test_a_loan_that_recovers_in_time_is_not_disposed_of_and_a_new_default_waits_again(bench: Make) -> None:
    async with bench(service) as b:
        await drawn(b)
        await b.react(reclassified("substandard"), on=BAD_ON)
        await b.react(reclassified("special_mention"), on=BAD_ON + timedelta(days=30))
        assert await timers(b) == []
        again = BAD_ON + timedelta(days=100)
        await b.react(reclassified("substandard"), on=again)
        assert await timers(b) == [("collateral.dispose", F, again + timedelta(days=60))]


async def test_a_price_below_the_second_floor_is_refused_and_at_the_floor_it_is_a_sale(bench: Make) -> None:
    async with bench(service) as b:
        await on_sale(b)
        below = await sell(b, "559999.99")
        assert (below.status_code, below.json()["code"], below.json()["reserve"]) == (
            409,
            "price_below_reserve",
            "560000.00",
        )
        sold = await sell(b, 560_000, 60_000)
        assert (sold.status_code, sold.json()["sale"]["net"]) == (201, amount("500000.00"))
        (event,) = await of(b, CollateralDisposed)
        assert (event.price, event.costs, event.net) == (money(560_000), money(60_000), money(500_000))
        assert (await sell(b, 560_000)).json()["code"] == "disposal_not_started"


async def test_a_sale_after_the_write_off_is_still_a_sale(bench: Make) -> None:
    async with bench(service) as b:
        await on_sale(b)
        await b.react(written_off(), on=STARTS_ON + timedelta(days=10))
        assert (await view(b))["owed"] == amount("0.00")
        assert (await sell(b, 600_000, 700_000)).json()["sale"]["net"] == amount("0.00")
        await b.react(closed("written_off"), on=STARTS_ON + timedelta(days=20))
        shown = await view(b)
        assert (shown["status"], shown["items"][0]["status"]) == ("written_off", "disposed")
        assert await of(b, CollateralReleased) == []


async def test_security_is_not_sold_before_its_disposal_started_or_for_a_debt_in_order(bench: Make) -> None:
    async with bench(service) as b:
        await drawn(b)
        assert (await sell(b, 900_000)).json()["code"] == "debt_not_in_default"
        await b.react(reclassified("substandard"), on=BAD_ON)
        assert (await sell(b, 900_000)).json()["code"] == "disposal_not_started"
        await b.tick(STARTS_ON)
        await b.react(reclassified("special_mention"), on=STARTS_ON)
        assert (await sell(b, 900_000)).json()["code"] == "debt_not_in_default"


async def test_a_repaid_loan_releases_its_security_even_when_it_was_on_sale(bench: Make) -> None:
    async with bench(service) as b:
        await on_sale(b, offer("house"), offer("factory"))
        await sell(b, 700_000)
        await b.react(repaid(0), closed("repaid"), on=STARTS_ON + timedelta(days=5))
        shown = await view(b)
        assert (shown["status"], [one["status"] for one in shown["items"]]) == ("repaid", ["disposed", "released"])
        assert len(await of(b, CollateralReleased)) == 1


async def test_repayment_before_the_disposal_stops_its_clock(bench: Make) -> None:
    async with bench(service) as b:
        await drawn(b)
        await b.react(reclassified("substandard"), repaid(0), closed("repaid"), on=BAD_ON)
        assert await timers(b) == []


async def test_security_is_held_until_the_last_drawdown_is_repaid(bench: Make) -> None:
    async with bench(service) as b:
        await drawn(b)
        await b.react(disbursed(loan="l-2", drawn=50_000), repaid(0), closed("repaid"), on=BAD_ON)
        assert await of(b, CollateralReleased) == []
        assert (await view(b))["owed"] == amount("50000.00")
        await b.react(repaid(0, loan="l-2"), closed("repaid", loan="l-2"), on=BAD_ON)
        assert len(await of(b, CollateralReleased)) == 1


async def test_an_american_disposal_starts_after_thirty_days_and_has_no_floor(bench: Make) -> None:
    async with bench(service, profile="us-sba") as b:
        await drawn(b, currency="USD")
        await b.react(reclassified("substandard", currency="USD"), on=BAD_ON)
        await b.tick(BAD_ON + timedelta(days=30))
        (started,) = await of(b, DisposalStarted)
        assert started.reserve_second == money(0, "USD")
        sold = await sell(b, "0.01", currency="USD")
        assert (sold.status_code, sold.json()["sale"]["net"]) == (201, amount("0.01", "USD"))
        assert (await policies(b))["disposal.started"] == "collateral/disposal-us-sba@1970-01-01"


async def test_an_event_about_an_unknown_facility_or_loan_parks(bench: Make) -> None:
    async with bench(service) as b:
        await b.react(disbursed(facility="f-9"), on=BAD_ON)
        await perfected(b)
        await b.react(repaid(5), on=BAD_ON)
        unknown_facility, unknown_loan = await b.parked()
        assert unknown_facility.startswith("not_found")
        assert unknown_loan.startswith("loan_unknown")
