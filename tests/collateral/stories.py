"""Events and requests of one facility as the tests tell them; amounts are CNY unless a currency is named."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx

from libs.events.application import (
    ApplicationRefused,
    ApplicationSubmitted,
    Figures,
    LoanClosed,
    LoanDisbursed,
    LoanReclassified,
    LoanWrittenOff,
    Profile,
    RepaymentReceived,
    SecurityOffer,
)
from libs.kernel.money import Money
from tests.harness.bench import Bench

APPLIED_ON = date(2025, 12, 1)
DRAWN_ON = date(2025, 12, 20)
NEXT_DAY = timedelta(days=1)
F = "f-1"
SERIES = "cn-house-hangzhou"


def money(amount: object, currency: str = "CNY") -> Money:
    return Money(Decimal(str(amount)), currency)


def amount(value: object, currency: str = "CNY") -> dict[str, str]:
    """A request's way to write money."""
    return {"amount": str(value), "currency": currency}


def offer(kind: str = "house", series: str = SERIES, currency: str = "CNY") -> SecurityOffer:
    return SecurityOffer(kind=kind, declared_value=money(1_100_000, currency), index_series=series, synthetic=True)


def submitted(
    *offers: SecurityOffer, facility: str = F, asked: int = 600_000, currency: str = "CNY"
) -> ApplicationSubmitted:
    stated = money(5_000_000, currency)
    return ApplicationSubmitted(
        facility_id=facility,
        borrower_id="b-1",
        amount=money(asked, currency),
        tenor_months=12,
        annual_rate=Decimal("0.0435"),
        product="working-capital",
        profile=Profile(
            industry="industry",
            region="hangzhou",
            employees=30,
            years_in_business=Decimal(6),
            first_time_borrower=False,
        ),
        declared=Figures(
            annual_sales=stated,
            annual_profit=stated,
            total_assets=stated,
            total_liabilities=stated,
            monthly_bank_inflow=stated,
            monthly_tax_sales=stated,
        ),
        security=offers or (offer(currency=currency),),
        agreement="",
    )


def refused(facility: str = F) -> ApplicationRefused:
    return ApplicationRefused(facility_id=facility, decided_by="approver-1", reasons=("security_insufficient",))


def disbursed(facility: str = F, loan: str = "l-1", drawn: int = 600_000, currency: str = "CNY") -> LoanDisbursed:
    return LoanDisbursed(
        facility_id=facility,
        loan_id=loan,
        amount=money(drawn, currency),
        maturity=date(2026, 12, 20),
        annual_rate=Decimal("0.0435"),
        grade="A",
        lead="m-1",
        assistant="m-2",
        reviewer="r-1",
        approver="a-1",
        channel="branch-walk-in",
    )


def repaid(outstanding: object, facility: str = F, loan: str = "l-1") -> RepaymentReceived:
    return RepaymentReceived(
        facility_id=facility, loan_id=loan, principal=money(1), interest=money(0), outstanding=money(outstanding)
    )


def reclassified(after: str, facility: str = F, loan: str = "l-1", currency: str = "CNY") -> LoanReclassified:
    return LoanReclassified(
        facility_id=facility,
        loan_id=loan,
        before="special_mention",
        after=after,
        days_past_due=91,
        outstanding=money(600_000, currency),
        npl=after in ("substandard", "doubtful", "loss"),
    )


def written_off(facility: str = F, loan: str = "l-1") -> LoanWrittenOff:
    return LoanWrittenOff(
        facility_id=facility, loan_id=loan, gross=money(600_000), claim_paid=money(0), net=money(600_000)
    )


def closed(outcome: str, facility: str = F, loan: str = "l-1") -> LoanClosed:
    return LoanClosed(facility_id=facility, loan_id=loan, outcome=outcome)


async def appraise(
    b: Bench, value: object, *, by: str, facility: str = F, item: int = 1, on: date = APPLIED_ON, currency: str = "CNY"
) -> httpx.Response:
    body = {"value": amount(value, currency), "valued_on": on.isoformat()}
    return await b.post(f"/v1/facilities/{facility}/items/{item}/appraisals", body, role="appraiser", actor=by)


async def register(b: Bench, *, facility: str = F, item: int = 1, rank: int = 1) -> httpx.Response:
    body = {"registry": "hangzhou-real-estate", "number": f"R-{facility}-{item}", "rank": rank}
    return await b.post(f"/v1/facilities/{facility}/items/{item}/registrations", body, role="customer_manager")


async def publish_level(b: Bench, value: object, on: date, series: str = SERIES) -> httpx.Response:
    body = {"series": series, "on": on.isoformat(), "value": str(value)}
    return await b.post("/v1/indices", body, role="data_provider")


async def sell(b: Bench, price: object, costs: object = 0, *, item: int = 1, currency: str = "CNY") -> httpx.Response:
    body = {"price": amount(price, currency), "costs": amount(costs, currency)}
    return await b.post(f"/v1/facilities/{F}/items/{item}/disposal", body, role="disposal_agent")


async def perfected(
    b: Bench, *offers: SecurityOffer, facility: str = F, value: int = 1_000_000, currency: str = "CNY"
) -> None:
    """A facility whose every item is valued at `value` and registered at the first rank, on the day it applied."""
    await b.open(APPLIED_ON)
    await b.react(submitted(*offers, facility=facility, currency=currency), on=APPLIED_ON)
    for number in range(1, max(len(offers), 1) + 1):
        for by in ("a-1", "a-2"):
            answer = await appraise(b, value, by=by, facility=facility, item=number, currency=currency)
            assert answer.status_code == 201, answer.text
        answer = await register(b, facility=facility, item=number)
        assert answer.status_code == 201, answer.text


async def drawn(b: Bench, *offers: SecurityOffer, value: int = 1_000_000, currency: str = "CNY") -> None:
    """The same facility with its loan paid out."""
    await perfected(b, *offers, value=value, currency=currency)
    await b.open(DRAWN_ON)
    await b.react(disbursed(currency=currency), on=DRAWN_ON)


async def of(b: Bench, kind: type) -> list[Any]:
    """The published events of one class, in order."""
    return [body for body in await b.published() if isinstance(body, kind)]


async def policies(b: Bench) -> dict[str, str]:
    """Wire name → the policy its last event rests on."""
    async with b.parts.engine.connect() as conn:
        rows = await conn.exec_driver_sql("SELECT headers->>'ce_type', headers->>'ce_policy' FROM outbox ORDER BY id")
        return {kind.removesuffix(".v1"): policy for kind, policy in rows}


async def timers(b: Bench) -> list[tuple[str, str, date]]:
    """(kind, ref, due) of every waiting timer."""
    async with b.parts.engine.connect() as conn:
        rows = await conn.exec_driver_sql("SELECT kind, ref, due FROM timers ORDER BY kind, ref")
        return [(kind, ref, due) for kind, ref, due in rows]


async def view(b: Bench, facility: str = F) -> dict[str, Any]:
    """What the service shows of a facility."""
    answer = await b.get(f"/v1/facilities/{facility}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown
