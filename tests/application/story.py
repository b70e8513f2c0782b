"""One facility told through the real doors, step by step, so that a test begins where its rule begins."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import httpx

from libs.events.application import LoanDisbursed
from libs.events.collateral import CollateralDisposed, CollateralPerfected, CollateralValued
from libs.events.guarantee import ClaimFiled, ClaimPaid, CoverBound, CoverRefused, PartOf, ShareOf
from libs.events.incentive import CaseDetermined
from libs.events.rating import InformationDisputed, InformationVerified, RatingAssigned
from libs.kernel.money import Money
from services.application.commands.drawing import PAY_OUT
from tests.harness.bench import Bench

TODAY = date(2025, 9, 8)
DUES = (date(2025, 12, 20), date(2026, 3, 20))
TRAINED = "2029-12-31"
STAFF = {
    "li": ("customer_manager", "sub-branch"),
    "wang": ("customer_manager", "sub-branch"),
    "zhao": ("customer_manager", "sub-branch"),
    "sun": ("reviewer", "branch"),
    "qian": ("approver", "branch"),
    "zhou": ("approver", "head office"),
}
PLANTED = {
    "name": "PLANTED-NAME-陈晨",
    "id_number": "PLANTED-ID-339901199001011234",
    "phone": "PLANTED-PHONE-19900001111",
}


def cny(amount: str | int) -> Money:
    return Money(Decimal(amount), "CNY")


def money(amount: str | int) -> dict[str, str]:
    return {"amount": str(amount), "currency": "CNY"}


def figures(**changes: str) -> dict[str, Any]:
    """Figures of a sound borrower, as a body."""
    plain = {
        "annual_sales": "4000000",
        "annual_profit": "300000",
        "total_assets": "3000000",
        "total_liabilities": "1200000",
        "monthly_bank_inflow": "320000",
        "monthly_tax_sales": "325000",
    }
    return {name: money(amount) for name, amount in {**plain, **changes}.items()}


def schedule(*amounts: str) -> list[dict[str, Any]]:
    return [{"due": due.isoformat(), "principal": money(amount)} for due, amount in zip(DUES, amounts, strict=True)]


class Story:
    """One facility on one bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.facility_id = ""
        self.loan_id = ""
        self.consent_id = ""

    async def post(self, path: str, body: Any, *, role: str, actor: str) -> httpx.Response:
        """POST under this facility."""
        return await self.bench.post(f"/v1/facilities/{self.facility_id}/{path}", body, role=role, actor=actor)

    async def done(self, path: str, body: Any, *, role: str, actor: str) -> dict[str, Any]:
        """POST under this facility, which must succeed."""
        answer = await self.post(path, body, role=role, actor=actor)
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def facility(self) -> dict[str, Any]:
        answer = await self.bench.get(f"/v1/facilities/{self.facility_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def loan(self) -> dict[str, Any]:
        answer = await self.bench.get(f"/v1/loans/{self.loan_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def begin(self) -> None:
        """Open the day, register the staff, and receive the referral."""
        await self.bench.open(TODAY)
        for staff_id, (role, level) in STAFF.items():
            body = {"staff_id": staff_id, "branch": "b1", "role": role, "level": level, "trained_until": TRAINED}
            await self.register(body)
        body = {"external_ref": "x-1", "channel": "tax-platform", "branch": "b1", "borrower": PLANTED, "consent": True}
        answer = await self.bench.post("/v1/referrals", body, role="customer_manager", actor="li")
        assert answer.status_code == 201, answer.text
        self.facility_id, self.consent_id = answer.json()["facility_id"], answer.json()["consent_id"]

    async def register(self, body: dict[str, str]) -> None:
        """Enter an employee on the register, over what stands there."""
        answer = await self.bench.post("/v1/staff", body, role="admin")
        if answer.status_code == 428:
            seen = (await self.bench.get(f"/v1/staff/{body['staff_id']}", role="admin")).headers["etag"]
            answer = await self.bench.post("/v1/staff", body, role="admin", if_match=seen)
        assert answer.status_code == 201, answer.text

    async def submit(self, **changes: Any) -> httpx.Response:
        """Submit the application; changed fields win."""
        body = {
            "amount": money("1000000"),
            "tenor_months": 12,
            "annual_rate": "0.08",
            "product": "working-capital",
            "profile": {
                "industry": "retail",
                "region": "hangzhou",
                "employees": 12,
                "years_in_business": "6.5",
                "first_time_borrower": False,
            },
            "declared": figures(),
            "security": [
                {"kind": "house", "declared_value": money("1500000"), "index_series": "cn-house-hangzhou"},
            ],
            "agreement": "reg-4321",
            "lead": "li",
            "assistant": "wang",
        }
        return await self.post("application", {**body, **changes}, role="customer_manager", actor="li")

    async def investigated(self, **changes: Any) -> None:
        """Begin, submit, and file two equal findings."""
        await self.begin()
        assert (await self.submit(**changes)).status_code == 201
        for actor in ("li", "wang"):
            await self.done("investigations", {"figures": figures()}, role="customer_manager", actor=actor)

    def rated(self, grade: str = "A") -> RatingAssigned:
        return RatingAssigned(
            facility_id=self.facility_id, grade=grade, score=75, pd=Decimal("0.01"), reasons=(), inputs={}
        )

    def verified(self) -> InformationVerified:
        return InformationVerified(facility_id=self.facility_id, checks=(), size_class="small")

    def disputed(self) -> InformationDisputed:
        return InformationDisputed(facility_id=self.facility_id, checks=(), size_class="small")

    def valued(self, capacity: str = "900000", item: str = "c1") -> CollateralValued:
        return CollateralValued(
            facility_id=self.facility_id,
            collateral_id=item,
            appraisals=(cny("1500000"), cny("1500000")),
            value=cny("1500000"),
            advance_rate=Decimal("0.6"),
            capacity=cny(capacity),
            ltv=Decimal("0.6667"),
            sufficient=True,
        )

    def perfected(self, item: str = "c1") -> CollateralPerfected:
        return CollateralPerfected(facility_id=self.facility_id, collateral_id=item, registration_no="r-1", rank=1)

    def bound(self, guaranteed: str = "800000") -> CoverBound:
        return CoverBound(
            facility_id=self.facility_id,
            cover_id="cover",
            agreement="reg-4321",
            partner="guarantor",
            amount=cny("1000000"),
            guaranteed=cny(guaranteed),
            shares=(ShareOf(party="guarantor", weight=Decimal("0.8")), ShareOf(party="bank", weight=Decimal("0.2"))),
        )

    def cover_refused(self) -> CoverRefused:
        return CoverRefused(facility_id=self.facility_id, cover_id="cover", agreement="reg-4321", reason="capacity")

    def claim_filed(self) -> ClaimFiled:
        return ClaimFiled(
            facility_id=self.facility_id, cover_id="cover", claim_id="k", loss=cny("1000000"), claimed=cny("800000")
        )

    def claim_paid(self) -> ClaimPaid:
        parts = (PartOf(party="guarantor", amount=cny("800000")), PartOf(party="bank", amount=cny("200000")))
        return ClaimPaid(
            facility_id=self.facility_id,
            cover_id="cover",
            claim_id="k",
            amount=cny("800000"),
            receipt="r",
            parts=parts,
        )

    def determined(self) -> CaseDetermined:
        return CaseDetermined(facility_id=self.facility_id, loan_id=self.loan_id, case_id="case", results=())

    def disposed(self, net: str, item: str = "c1") -> CollateralDisposed:
        return CollateralDisposed(
            facility_id=self.facility_id, collateral_id=item, price=cny(net), costs=cny(0), net=cny(net)
        )

    async def complete(self, **changes: Any) -> None:
        """Everything a reviewer needs is there."""
        await self.investigated(**changes)
        await self.bench.react(self.verified(), self.rated(), self.valued(), self.bound(), on=TODAY)
        assert await self.bench.parked() == []

    async def reviewed(self, **changes: Any) -> None:
        await self.complete(**changes)
        await self.done("review", {"opinion": "sound"}, role="reviewer", actor="sun")

    async def approved(self) -> None:
        await self.reviewed()
        await self.done("decision", {"decision": "approve"}, role="approver", actor="qian")

    async def signed(self) -> None:
        await self.approved()
        await self.done("contract", {"contract_no": "HT-1"}, role="customer_manager", actor="li")

    async def draw(self, plan: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        """Draw the whole limit, in two instalments unless another plan is given."""
        body = {"amount": money("1000000"), "schedule": plan or schedule("400000", "600000")}
        drawn = await self.done("drawdowns", body, role="customer_manager", actor="li")
        self.loan_id = drawn["loan_id"]
        return drawn

    async def disbursed(self) -> LoanDisbursed:
        """The loan is paid out: every condition met, core banking said yes."""
        await self.signed()
        await self.bench.react(self.perfected(), on=TODAY)
        await self.draw()
        await self.bench.answer(PAY_OUT, 200, paid=True)
        (event,) = [body for body in await self.bench.published() if isinstance(body, LoanDisbursed)]
        return event

    async def repay(self, principal: str, reference: str, interest: str = "0") -> httpx.Response:
        body = {"principal": money(principal), "interest": money(interest), "reference": reference}
        return await self.post(f"loans/{self.loan_id}/repayments", body, role="core_bank", actor="core")

    async def missed(self, days: int) -> None:
        """Nothing came in: every day on which the loan is looked at passes, up to `days` past the first due date."""
        await self.bench.tick(DUES[0].fromordinal(DUES[0].toordinal() + 1))
        for bound in (91, 271, 361):
            if days >= bound:
                await self.bench.tick(DUES[0].fromordinal(DUES[0].toordinal() + bound))

    async def write_off(self, amount: str = "1000000", actor: str = "qian") -> httpx.Response:
        return await self.post(
            f"loans/{self.loan_id}/write-off", {"amount": money(amount)}, role="approver", actor=actor
        )
