"""The events of others that guarantee lives from, and the demo agreements: what the tests tell their stories with."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from libs.events.application import (
    ApplicationRefused,
    ApplicationSubmitted,
    Figures,
    LoanClosed,
    LoanCured,
    LoanDisbursed,
    LoanOverdue,
    Profile,
    RecoveryReceived,
    RepaymentReceived,
)
from libs.events.rating import RatingAssigned
from libs.kernel.money import Money
from services.guarantee.domain.sharing import Loss
from tests.harness.bench import Bench

DAY = date(2025, 9, 1)
MATURITY = DAY + timedelta(days=365)
DUE = date(2025, 12, 20)  # the instalment that is missed
CLAIM_DAY = DUE + timedelta(days=90)

PARTNER = {"partner_id": "city-guarantee", "name": "City Guarantee", "kind": "guarantor"}
AGREED = {
    "code": "reg-4321",
    "partner_id": "city-guarantee",
    "kind": "guarantor",
    "share_source": "agreement",
    "shares": [
        {"party": "guarantor", "weight": "4"},
        {"party": "reguarantor", "weight": "3"},
        {"party": "bank", "weight": "2"},
        {"party": "government", "weight": "1"},
    ],
    "share_max": "0.80",
    "capacity": {"amount": "1000000.00", "currency": "CNY"},
    "grades": ["A", "B"],
    "bank_share_min": "0.20",
    "premium_rate": "0.01",
    "premium_payer": "borrower",
    "claim_wait_days": 90,
    "pay_working_days": 10,
    "effective": "2025-07-01",
    "source": "four-party pilot",
}
NAMED = {**AGREED, "code": "named", "share_source": "answer", "shares": []}


def cny(amount: str) -> Money:
    return Money(Decimal(amount), "CNY")


def loss_of(principal: Money) -> Loss:
    """A loss of principal alone."""
    return Loss(principal=principal, interest=principal.zero, penalty=principal.zero, cost=principal.zero)


async def admit(bench: Bench, *agreements: dict[str, Any], partner_kind: str = "guarantor") -> None:
    """Open the first day, admit the partner and conclude these agreements with it."""
    await bench.open(DAY)
    assert (await bench.post("/v1/partners", {**PARTNER, "kind": partner_kind}, role="admin")).status_code == 201
    for agreement in agreements:
        await agree(bench, agreement)


async def agree(bench: Bench, agreement: dict[str, Any]) -> None:
    """Admit a version of an agreement and have both sides sign it."""
    answer = await bench.post("/v1/agreements", agreement, role="admin", actor="drafter")
    assert answer.status_code == 201, answer.text
    digest = answer.json()["digest"]
    for party in ("bank", agreement["partner_id"]):
        body = {"party": party, "effective": agreement["effective"], "digest": digest}
        signed = await bench.post(f"/v1/agreements/{agreement['code']}/signatures", body, role="admin")
        assert signed.status_code == 200, signed.text


async def capacity(bench: Bench, code: str = "reg-4321") -> tuple[str, str]:
    """(reserved, bound) of an agreement."""
    body = (await bench.get(f"/v1/agreements/{code}")).json()
    return body["reserved"]["amount"], body["bound"]["amount"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One facility with one loan of 100,000; each method is an event of its life."""

    name: str = "one"
    amount: str = "100000"
    agreement: str = "reg-4321"

    @property
    def facility_id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"facility/{self.name}"))

    @property
    def loan_id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"loan/{self.name}"))

    def submitted(self) -> ApplicationSubmitted:
        money = cny(self.amount)
        return ApplicationSubmitted(
            facility_id=self.facility_id,
            borrower_id="b1",
            amount=money,
            tenor_months=12,
            annual_rate=Decimal("0.045"),
            product="working-capital",
            profile=Profile(
                industry="retail",
                region="hangzhou",
                employees=9,
                years_in_business=Decimal(3),
                first_time_borrower=False,
            ),
            declared=Figures(
                annual_sales=money,
                annual_profit=money,
                total_assets=money,
                total_liabilities=money,
                monthly_bank_inflow=money,
                monthly_tax_sales=money,
            ),
            security=(),
            agreement=self.agreement,
        )

    def rated(self, grade: str = "A") -> RatingAssigned:
        return RatingAssigned(
            facility_id=self.facility_id, grade=grade, score=700, pd=Decimal("0.01"), reasons=(), inputs={}
        )

    def refused(self) -> ApplicationRefused:
        return ApplicationRefused(facility_id=self.facility_id, decided_by="s4", reasons=("leverage",))

    def disbursed(self, amount: str = "") -> LoanDisbursed:
        return LoanDisbursed(
            facility_id=self.facility_id,
            loan_id=self.loan_id,
            amount=cny(amount or self.amount),
            maturity=MATURITY,
            annual_rate=Decimal("0.045"),
            grade="A",
            lead="s1",
            assistant="s2",
            reviewer="s3",
            approver="s4",
            channel="walk-in",
        )

    def repaid(self, principal: str, outstanding: str) -> RepaymentReceived:
        return RepaymentReceived(
            facility_id=self.facility_id,
            loan_id=self.loan_id,
            principal=cny(principal),
            interest=cny("1.00"),
            outstanding=cny(outstanding),
        )

    def overdue(self, outstanding: str) -> LoanOverdue:
        return LoanOverdue(
            facility_id=self.facility_id,
            loan_id=self.loan_id,
            since=DUE,
            days_past_due=1,
            outstanding=cny(outstanding),
        )

    def cured(self, outstanding: str) -> LoanCured:
        return LoanCured(facility_id=self.facility_id, loan_id=self.loan_id, outstanding=cny(outstanding))

    def recovered(self, amount: str) -> RecoveryReceived:
        return RecoveryReceived(
            facility_id=self.facility_id, loan_id=self.loan_id, amount=cny(amount), source="disposal", final=True
        )

    def closed(self, outcome: str) -> LoanClosed:
        return LoanClosed(facility_id=self.facility_id, loan_id=self.loan_id, outcome=outcome)

    async def bind(self, bench: Bench) -> None:
        """Application, rating and the partner's yes."""
        await bench.react(self.submitted(), self.rated(), on=DAY)
        await bench.answer("partner.cover", 200, accepted=True, reason="")

    async def go_overdue(self, bench: Bench) -> None:
        """Bound, disbursed, 30,000 repaid, then an instalment missed: 70,000 outstanding."""
        await self.bind(bench)
        await bench.react(self.disbursed(), self.repaid("30000", "70000"), on=DAY)
        await bench.open(DUE + timedelta(days=1))
        await bench.react(self.overdue("70000"), on=DUE + timedelta(days=1))

    async def accept_claim(self, bench: Bench) -> date:
        """Overdue, claimed and accepted; returns the day the payment is due."""
        await self.go_overdue(bench)
        await bench.tick(CLAIM_DAY)
        await bench.answer("partner.claim", 200, accepted=True, reason="")
        view = (await bench.get(f"/v1/facilities/{self.facility_id}")).json()
        return date.fromisoformat(view["claims"][-1]["pay_by"])
