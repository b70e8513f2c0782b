"""The shared recovery book: every unit has its way and its owner, and both sides confirm each month by its digest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from libs.events.collateral import CollateralDisposed
from libs.events.guarantee import BalanceConfirmed, BalanceContested
from services.guarantee.domain.recovery import interest_first
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, Story, admit, cny
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
ONE = Story()
BASE = "/v1/partners/city-guarantee/recoveries"
AGREED_INTEREST = {**AGREED, "coverage": {"interest": "1", "interest_days_max": 90}}


def test_interest_is_made_whole_before_principal() -> None:
    ways = [("0", "70", "70.00", "0.00"), ("60", "70", "40.00", "30.00"), ("100", "5", "0.00", "5.00")]
    for before, amount, interest, principal in ways:
        got = interest_first(cny("100"), cny(before), cny(amount))
        assert tuple(str(part.amount) for part in got) == (interest, principal)


async def recovered(b: Bench) -> date:
    """70,000 and 787.50 of interest lost and paid for; security sold for 41,000, of which the sale cost 1,000."""
    await admit(b, AGREED_INTEREST)
    paid_on = await ONE.accept_claim(b)
    await b.tick(paid_on)
    await b.answer("partner.claim_payment", 200, paid=True, receipt="r-1")
    sold = CollateralDisposed(
        facility_id=ONE.facility_id, collateral_id="c", price=cny("41000"), costs=cny("1000"), net=cny("40000")
    )
    await b.react(sold, ONE.recovered("500"), ONE.recovered("39500"), on=paid_on)
    return paid_on


async def test_each_unit_recovered_is_traced_and_both_sides_confirm_the_month(bench: Benches) -> None:
    async with bench(service) as b:
        paid_on = await recovered(b)
        month = f"{paid_on:%Y-%m}"
        path = f"{BASE}/{month}"
        book = (await b.get(path)).json()
        (agreement,) = book["agreements"]
        ways = [agreement[name]["amount"] for name in ("costs", "interest", "principal")]
        assert ways == ["1000.00", "787.50", "39212.50"]  # 787.50 = 90 days of 4.5 % on 70,000
        parties = {p["party"]: [p[name]["amount"] for name in ("borne", "back", "left")] for p in agreement["parties"]}
        assert parties == {
            "bank": ["14157.50", "8000.00", "6157.50"],
            "government": ["7078.75", "4000.00", "3078.75"],
            "guarantor": ["28315.00", "16000.00", "12315.00"],
            "reguarantor": ["21236.25", "12000.00", "9236.25"],
        }

        async def say(side: str, **body: Any) -> tuple[int, str]:
            sent = {"side": side, "digest": book["digest"], **body}
            answer = await b.post(f"{path}/answers", sent, role="risk_director", org="")
            return answer.status_code, answer.json().get("code", answer.json().get("agreed"))

        assert await say("bank") == (409, "month_not_over")
        assert (await b.get("/v1/recoveries")).json()["items"] == []
        await b.open(date(paid_on.year, paid_on.month + 1, 1))
        assert await say("bank", digest="0" * 64) == (409, "other_balance")
        assert await say("stranger") == (403, "not_a_party")
        assert await say("city-guarantee", contested=True, reason="one receipt less") == (200, "contested")
        assert await say("bank") == (200, "contested")
        (still,) = (await b.get("/v1/recoveries")).json()["items"]
        assert (still["month"], still["contested_by"], still["waits_for"]) == (
            month,
            "city-guarantee",
            ["city-guarantee"],
        )
        assert await say("city-guarantee") == (200, "confirmed")
        assert (await b.get("/v1/recoveries")).json()["items"] == []
        contested, confirmed = (await b.published())[-2:]
        assert isinstance(contested, BalanceContested)
        assert confirmed == BalanceConfirmed(partner="city-guarantee", month=month, digest=book["digest"])
