"""The loan changes: lighter terms are endorsed, heavier ones need consent, what nobody agreed is not guaranteed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from libs.events.application_upkeep import ExtensionApproved
from libs.events.guarantee_upkeep import ChangeRefused, ChangeRequested, CoverEndorsed, CoverExpiring, PremiumRefunded
from libs.kernel.calendar import add_months
from services.guarantee.main import service
from tests.guarantee.partner_client import OWN_PARTY, Partner
from tests.guarantee.stories import AGREED, DAY, MATURITY, Story, admit, cny
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
ONE = Story()
LATER = MATURITY + timedelta(days=90)
PERIOD = {**AGREED, "liability": {"period_months": 6}}
ENDS = add_months(MATURITY, 6)


async def drawn(bench: Bench) -> None:
    await admit(bench, PERIOD)
    await ONE.bind(bench)
    await bench.react(ONE.disbursed(), on=DAY)


async def change(bench: Bench, kind: str = "extended", **more: Any) -> dict[str, Any]:
    body = {"kind": kind, "annual_rate": "0.045", "maturity": LATER.isoformat(), "document": "E-1", **more}
    path = f"/v1/facilities/{ONE.facility_id}/loans/{ONE.loan_id}/changes"
    found: dict[str, Any] = (await bench.post(path, body, role="customer_manager")).json()
    return found


async def stands_for(bench: Bench) -> tuple[str, str]:
    """The rate and the maturity that the guarantor stands for."""
    (loan,) = (await bench.get(f"/v1/facilities/{ONE.facility_id}")).json()["loans"]
    return loan["annual_rate"], loan["maturity"]


async def test_a_lighter_rate_is_endorsed_at_once_and_asks_nobody(bench: Benches) -> None:
    async with bench(service) as b:
        await drawn(b)
        lighter = await change(b, "restructured", annual_rate="0.040", maturity=MATURITY.isoformat())
        assert (lighter["state"], lighter["heavier"], await b.calls()) == ("lighter", [], [])
        endorsed = (await b.published())[-1]
        assert isinstance(endorsed, CoverEndorsed)
        assert await stands_for(b) == ("0.040", MATURITY.isoformat())


@pytest.mark.parametrize(
    ("kind", "rate", "maturity", "heavier"),
    [
        ("extended", "0.045", LATER, ["maturity"]),
        ("restructured", "0.050", MATURITY, ["rate"]),
        ("facility_changed", "0.050", LATER, ["rate", "maturity"]),
        ("renewed", "0.045", MATURITY, ["renewal"]),
    ],
)
async def test_a_partner_that_consents_stands_for_the_new_terms(
    bench: Benches, kind: str, rate: str, maturity: Any, heavier: list[str]
) -> None:
    async with bench(service) as b:
        await drawn(b)
        asked = await change(b, kind, annual_rate=rate, maturity=maturity.isoformat())
        assert (asked["state"], asked["heavier"]) == ("asked", heavier)
        assert (await change(b))["code"] == "change_waits"
        await b.answer("partner.change", 200, accepted=True)
        told = [name for name in await b.names() if name.startswith(("change.", "cover.e", "cover.mended"))]
        risk = ([], []) if heavier == ["rate"] else (["cover.endangered"], ["cover.mended"])  # no interest is covered
        assert told == ["change.requested", *risk[0], "change.consented", "cover.endorsed", *risk[1]]
        assert await stands_for(b) == (rate, maturity.isoformat())


async def test_unagreed_heavier_terms_are_not_guaranteed_but_lighter_ones_among_them_are(bench: Benches) -> None:
    async with bench(service) as b:
        await drawn(b)
        asked = await change(b, annual_rate="0.030")
        await b.answer("partner.change", 200, accepted=False, reason="no_appetite")
        refused = next(body for body in await b.published() if isinstance(body, ChangeRefused))
        assert (refused.reason, refused.heavier) == ("no_appetite", ("maturity",))
        assert await stands_for(b) == ("0.030", MATURITY.isoformat())  # the guarantee period is what it was (695)
        path = f"/v1/facilities/{ONE.facility_id}/changes/{asked['change_id']}/answer"
        late = await b.post(path, {"consented": True}, role="risk_director")
        assert late.json()["code"] == "change_decided"


async def test_no_answer_in_time_is_a_refusal_and_a_later_one_changes_nothing(bench: Benches) -> None:
    async with bench(service) as b:
        await drawn(b)
        await change(b, annual_rate="0.050")
        await b.tick(DAY + timedelta(days=14))
        assert "change.refused" not in await b.names()
        await b.tick(DAY + timedelta(days=15))
        assert (await b.published())[-1].reason == "no_answer_in_time"
        before = await b.names()
        await b.answer("partner.change", 200, accepted=True)
        assert (await b.names(), await b.parked()) == (before, [])
        assert await stands_for(b) == ("0.045", MATURITY.isoformat())


async def test_a_written_consent_is_put_on_record_and_moves_the_end_of_the_period(bench: Benches) -> None:
    async with bench(service) as b:
        await drawn(b)
        asked = await change(b)
        path = f"/v1/facilities/{ONE.facility_id}/changes/{asked['change_id']}/answer"
        assert (await b.post(path, {"consented": True}, role="customer_manager")).status_code == 403
        consent = await Partner(b, OWN_PARTY).post(path.removeprefix("/v1"), {"consented": True})
        assert consent.json()["state"] == "consented"
        await b.tick(ENDS - timedelta(days=30))
        assert "cover.expiring" not in await b.names()
        await b.tick(add_months(LATER, 6) - timedelta(days=30))
        warned = (await b.published())[-1]
        assert isinstance(warned, CoverExpiring)
        assert (warned.ends, warned.amount) == (add_months(LATER, 6), cny("80000"))


async def test_the_bank_is_warned_before_a_guarantee_period_ends_unless_nothing_is_left(bench: Benches) -> None:
    async with bench(service) as b:
        await drawn(b)
        await b.tick(ENDS - timedelta(days=31))
        assert "cover.expiring" not in await b.names()
        await b.tick(ENDS - timedelta(days=30))
        assert (await b.published())[-1].ends == ENDS
    async with bench(service) as b:
        await drawn(b)
        await b.react(ONE.repaid("100000", "0"), ONE.closed("repaid"), on=DAY)
        await b.tick(ENDS)
        assert "cover.expiring" not in await b.names()
        assert (await change(b))["code"] == "loan_closed"


async def test_what_changes_nothing_or_nobody_knows_is_turned_away(bench: Benches) -> None:
    async with bench(service) as b:
        await drawn(b)
        assert (await change(b, "restructured", maturity=MATURITY.isoformat()))["code"] == "nothing_changed"
        path = f"/v1/facilities/{ONE.facility_id}/changes/none/answer"
        assert (await b.post(path, {"consented": True}, role="risk_director")).json()["code"] == "no_change"


async def test_a_premium_follows_the_periods_and_the_extension_and_goes_back_on_early_repayment(bench: Benches) -> None:
    rules = {"premiums": {"every_months": 6, "refund": "1", "subsidy": "0.5", "subsidised_by": "city-fund"}}
    async with bench(service) as b:
        await admit(b, {**AGREED, **rules})
        await ONE.bind(b)
        await b.react(ONE.disbursed(), on=DAY)
        for months, count in ((6, 4), (12, 6)):  # two payers each; the third period is the day that is left
            await b.tick(add_months(DAY, months))
            assert (await b.names()).count("premium.due") == (count if add_months(DAY, months) < MATURITY else 4)
        await change(b)
        await b.answer("partner.change", 200, accepted=True)
        await b.tick(MATURITY + timedelta(days=2))
        assert (await b.names()).count("premium.due") == 6
        async with b.parts.engine.connect() as conn:
            rows = await conn.exec_driver_sql("SELECT due FROM timers WHERE kind = 'premium.next'")
            assert rows.all() == []  # all days to the new maturity are charged
        paid_back = MATURITY + timedelta(days=3)
        await b.open(paid_back)
        await b.react(ONE.repaid("100000", "0"), ONE.closed("repaid"), on=paid_back)
        refunds = [body for body in await b.published() if isinstance(body, PremiumRefunded)]
        assert {refund.payee for refund in refunds} == {"borrower", "city-fund"}
        assert await b.parked() == []


async def test_a_loan_that_nobody_guarantees_any_longer_is_charged_no_more_and_not_looked_at_again(
    bench: Benches,
) -> None:
    batch = {"binding": {"timing": "filed_after_disbursement", "file_days": 5}, "premiums": {"every_months": 6}}
    async with bench(service) as b:
        await admit(b, {**AGREED, **batch})
        await b.react(ONE.submitted(), ONE.rated(), ONE.disbursed(), on=DAY)
        await b.tick(DAY + timedelta(days=6))
        assert "cover.removed" in await b.names()
        await b.tick(add_months(DAY, 6))
        async with b.parts.engine.connect() as conn:
            rows = await conn.exec_driver_sql("SELECT due FROM timers WHERE kind = 'premium.next'")
            assert (rows.all(), (await b.names()).count("premium.due")) == ([], 1)


def approved(maturity: date = LATER, name: str = "x-1") -> ExtensionApproved:
    return ExtensionApproved(
        facility_id=ONE.facility_id,
        loan_id=ONE.loan_id,
        extension_id=name,
        approver="qian",
        maturity=maturity,
        document="ZQ-1",
    )


async def test_the_partner_is_asked_about_an_extension_and_its_answer_goes_back_by_the_extensions_name(
    bench: Benches,
) -> None:
    async with bench(service) as b:
        await drawn(b)
        await b.react(approved(), on=DAY)
        (asked,) = (body for body in await b.published() if isinstance(body, ChangeRequested))
        assert (asked.change_id, asked.change, asked.heavier) == ("x-1", "extended", ("maturity",))
        await b.react(approved(LATER + timedelta(days=1), "x-2"), on=DAY)
        waits = (await b.published())[-1]
        assert isinstance(waits, ChangeRefused)
        assert (waits.change_id, waits.reason) == ("x-2", "change_waits")
        await b.answer("partner.change", 200, accepted=True)
        (endorsed,) = (body for body in await b.published() if isinstance(body, CoverEndorsed))
        assert (endorsed.change_id, endorsed.maturity) == ("x-1", LATER)
        await b.react(approved(LATER, "x-3"), on=DAY)  # it stands for that day already
        assert ((await b.published())[-1].change_id, await b.calls(), await b.parked()) == ("x-3", [], [])


async def test_nobody_is_asked_about_a_loan_that_is_not_guaranteed_any_more_or_was_never_covered(
    bench: Benches,
) -> None:
    other = Story(name="other")
    batch = {**AGREED, "code": "batch", "binding": {"timing": "filed_after_disbursement", "file_days": 20}}
    filed = Story(agreement="batch")
    async with bench(service) as b:
        await admit(b, batch)
        await b.react(filed.submitted(), filed.rated(), filed.disbursed(), on=DAY)
        await b.tick(DAY + timedelta(days=21))
        before = await b.names()
        assert "cover.removed" in before
        await b.react(approved(), replace(approved(), facility_id=other.facility_id), on=DAY)
        assert (await b.names())[len(before)] == "cover.endorsed"
        assert ("change.requested" in await b.names(), await b.calls(), await b.parked()) == (False, [], [])


async def test_a_partner_that_calls_finds_the_change_among_its_events_and_is_not_called(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, {**PERIOD, "contact": "partner_calls"})
        own = Partner(b, OWN_PARTY)
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        assert (await own.answer(ONE, accepted=True)).status_code == 200
        await b.react(ONE.disbursed(), approved(), on=DAY)
        assert await b.calls() == []
        told = (await own.get("/partner-events?types=change.requested.v1")).json()["items"]
        change = told[0]["body"]
        assert change["answer_by"] == (DAY + timedelta(days=15)).isoformat()
        path = f"/facilities/{ONE.facility_id}/changes/{change['change_id']}/answer"
        assert (await own.post(path, {"consented": True})).json()["state"] == "consented"
