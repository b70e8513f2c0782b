"""One life told to the platform step by step: every step is a REST call of the person or system it belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import date
from typing import Any

from deploy.demo.branch import Branch
from deploy.demo.client import Client, Unexpected, amount_of, money
from deploy.demo.lives import Figures, Life, Repayment
from libs.kernel.calendar import add_months
from libs.kernel.money import Money

EXTENSION_EVERY, EXTENSION_MONTHS = 3, 3
Step = Callable[[], Awaitable[None]]


class Journey:
    """The driver's memory of one life: the ids the platform gave it, and how far it came."""

    def __init__(self, life: Life, number: int, branch: Branch, client: Client, partner_url: str) -> None:
        self.life, self.number, self._client, self._partner_url = life, number, client, partner_url
        self.crew = branch.crew(number)
        self.facility_id = ""
        self.loan_id = ""
        self.refused = False

    async def _post(
        self, service: str, path: str, body: dict[str, Any], *, actor: str, role: str, step: str
    ) -> dict[str, Any]:
        key = f"{self.life.ref}:{step}"
        return await self._client.post(service, path, body, actor=actor, role=role, org=self.life.branch, key=key)

    @property
    def _path(self) -> str:
        return f"/v1/facilities/{self.facility_id}"

    # --- pre-loan ---------------------------------------------------------------------------------------------

    async def apply(self) -> None:
        """Referral, application, the partner's own view of it, hard data, two blind findings, two appraisals."""
        life, crew = self.life, self.crew
        person = {"name": life.borrower_name, "id_number": life.borrower_id_number, "phone": life.borrower_phone}
        referral = {"external_ref": life.ref, "channel": life.channel, "branch": life.branch}
        answer = await self._post(
            "application",
            "/v1/referrals",
            {**referral, "borrower": person, "consent": True},
            actor=crew.lead,
            role="customer_manager",
            step="referral",
        )
        self.facility_id = answer["facility_id"]
        await self._tell_partner()
        await self._post(
            "application",
            f"{self._path}/application",
            self._application(),
            actor=crew.lead,
            role="customer_manager",
            step="application",
        )
        await self._source_records()
        await self._investigate()
        for appraiser, value in zip(crew.appraisers, life.security.appraisals, strict=True):
            await self._post(
                "collateral",
                f"{self._path}/items/1/appraisals",
                {"value": money(value), "valued_on": life.applied_on.isoformat()},
                actor=appraiser,
                role="appraiser",
                step=f"appraisal:{appraiser}",
            )

    def _application(self) -> dict[str, Any]:
        life = self.life
        security = {"kind": life.security.kind, "declared_value": money(life.security.declared_value)}
        return {
            "amount": money(life.amount),
            "tenor_months": life.tenor_months,
            "annual_rate": f"{life.annual_rate:.6f}",
            "product": life.product,
            "profile": {
                "industry": life.industry,
                "region": life.region,
                "employees": life.employees,
                "years_in_business": f"{life.years_in_business:.2f}",
                "first_time_borrower": life.first_time_borrower,
            },
            "declared": figures(life.declared),
            "security": [{**security, "index_series": life.security.index_series, "synthetic": True}],
            "agreement": life.agreement,
            "lead": self.crew.lead,
            "assistant": self.crew.assistant,
        }

    async def _tell_partner(self) -> None:
        """The partner knows from its own underwriting (in a replay: from the record) what it will guarantee."""
        if self.life.agreement:
            await self._client.tell(
                f"{self._partner_url}/book",
                {"facility_ref": self.facility_id, "guaranteed": str(self.life.guaranteed.amount)},
            )

    async def _source_records(self) -> None:
        stated = figures(self.life.sources)
        for source, fields in (
            ("tax", ("monthly_tax_sales", "annual_sales", "annual_profit")),
            ("bank_flow", ("monthly_bank_inflow",)),
        ):
            await self._post(
                "rating",
                f"{self._path}/source-records",
                {
                    "source": source,
                    "figures": {name: stated[name] for name in fields},
                    "as_of": self.life.applied_on.isoformat(),
                },
                actor="data-feed",
                role="data_provider",
                step=f"source:{source}",
            )

    async def _investigate(self) -> None:
        answer: dict[str, Any] = {}
        for investigator, found in zip((self.crew.lead, self.crew.assistant), self.life.investigations, strict=True):
            answer = await self._post(
                "application",
                f"{self._path}/investigations",
                {"figures": figures(found)},
                actor=investigator,
                role="customer_manager",
                step=f"investigation:{investigator}",
            )
        if answer["status"] == "disputed":
            await self._post(
                "application",
                f"{self._path}/investigations/resolution",
                {"figures": figures(self.life.investigations[0])},
                actor=self.crew.resolver,
                role="reviewer",
                step="resolution",
            )

    async def decide(self) -> None:
        """Review, then decide: the record's decision where there is one, else the platform's own recommendation."""
        review = await self._post(
            "application",
            f"{self._path}/review",
            {"opinion": "file complete, figures reconciled"},
            actor=self.crew.reviewer,
            role="reviewer",
            step="review",
        )
        recommended = review["recommendation"] == "approve"
        recorded = self.life.recorded_decision
        approve = recorded == "approved" or (not recorded and recommended)
        reasons = list(review["reasons"]) if not approve else []
        if approve and not recommended:
            reasons = ["recorded_decision"]
        body = {"decision": "approve" if approve else "refuse", "reasons": reasons}
        await self._decide(f"{self._path}/decision", body, step="decision")
        if not approve:
            self.refused = True
            return
        await self._post(
            "application",
            f"{self._path}/contract",
            {"contract_no": f"C-{self.life.ref}"},
            actor=self.crew.lead,
            role="customer_manager",
            step="contract",
        )
        await self._post(
            "collateral",
            f"{self._path}/items/1/registrations",
            {"registry": "movables-and-real-estate", "number": f"REG-{self.life.ref}", "rank": 1},
            actor=self.crew.lead,
            role="customer_manager",
            step="registration",
        )

    async def _decide(self, path: str, body: dict[str, Any], *, step: str) -> None:
        """Ask the lowest approver first; one without the authority passes the file up."""
        for approver in self.crew.approvers:
            try:
                await self._post(
                    "application",
                    path,
                    body,
                    actor=approver,
                    role="approver",
                    step=f"{step}:{approver}",
                )
            except Unexpected as refusal:
                if "authority" not in str(refusal) or approver == self.crew.approvers[-1]:
                    raise
            else:
                return

    # --- mid-loan ---------------------------------------------------------------------------------------------

    async def draw(self) -> None:
        """The borrower draws; the platform pays by core banking once every condition is met."""
        answer = await self._post(
            "application",
            f"{self._path}/drawdowns",
            {
                "amount": money(self.life.drawn),
                "schedule": [
                    {"due": row.due.isoformat(), "principal": money(row.principal)} for row in self.life.schedule
                ],
            },
            actor=self.crew.lead,
            role="customer_manager",
            step="drawdown",
        )
        self.loan_id = answer["loan_id"]

    async def pay_premium(self) -> None:
        """Core banking collects the premium that fell due."""
        view = await self._client.get("guarantee", self._path)
        for loan in view["loans"]:
            if loan["premium_open"]:
                await self._post(
                    "guarantee",
                    f"{self._path}/premium-payments",
                    {"amount": money(amount_of(loan["premium"]))},
                    actor="core-bank",
                    role="core_bank",
                    step=f"premium:{loan['loan_id']}",
                )

    async def repay(self, row: Repayment) -> None:
        """Core banking reports a repayment."""
        reference = f"{self.life.ref}:{row.on}"
        await self._post(
            "application",
            f"{self._path}/loans/{self.loan_id}/repayments",
            {"principal": money(row.principal), "interest": money(row.interest), "reference": reference},
            actor="core-bank",
            role="core_bank",
            step=f"repayment:{row.on}",
        )

    @property
    def extends(self) -> bool:
        """Some borrowers of a generated branch ask for more time, and repay as planned after all.

        Without cover: a guarantor's consent and premium would tell more than the platform is sized for in one life.
        """
        life = self.life
        asks = self.number % EXTENSION_EVERY == 0 and "life:generated" in life.notes
        return asks and not life.agreement and life.default is None and len(life.repayments) > 1

    async def repay_and_extend(self) -> None:
        """The first instalment is paid, then more time asked for: steps of one day otherwise go side by side."""
        await self.repay(self.life.repayments[0])
        await self.extend()

    async def extend(self) -> None:
        """The manager asks for a later maturity, and an approver agrees."""
        maturity = add_months(self.life.schedule[-1].due, EXTENSION_MONTHS)
        path = f"{self._path}/loans/{self.loan_id}/extensions"
        asked = await self._post(
            "application",
            path,
            {"maturity": maturity.isoformat(), "document": f"E-{self.life.ref}"},
            actor=self.crew.lead,
            role="customer_manager",
            step="extension",
        )
        decision = f"{path}/{asked['extension_id']}/decision"
        await self._decide(decision, {"decision": "approve"}, step="extension-decision")

    # --- post-loan --------------------------------------------------------------------------------------------

    async def inspect(self) -> None:
        """A post-loan inspection; what it found is a fact of the world."""
        seen = self.life.inspection
        assert seen is not None  # noqa: S101 - planned only for lives with an inspection
        findings = []
        if seen.against:
            staff = {"lead": self.crew.lead, "assistant": self.crew.assistant}[seen.against]
            findings = [{"code": seen.finding, "staff": staff, "evidence": f"file-{self.life.ref}"}]
        await self._post(
            "application",
            f"{self._path}/loans/{self.loan_id}/inspections",
            {"findings": findings},
            actor="inspector",
            role="inspector",
            step="inspection",
        )

    async def write_off(self) -> None:
        """The recorded charge-off."""
        assert self.life.default is not None  # noqa: S101 - planned only for lives that default
        await self._post(
            "application",
            f"{self._path}/loans/{self.loan_id}/write-off",
            {"amount": money(self.life.default.charged_off)},
            actor=self.crew.approvers[-1],
            role="approver",
            step="write-off",
        )

    async def dispose(self) -> None:
        """The security is sold at the price it fetched, never below the platform's floor."""
        assert self.life.default is not None  # noqa: S101 - planned only for lives that default
        sale = self.life.default.disposal
        floor = await self._floor()
        price = max(sale.price, floor)
        await self._post(
            "collateral",
            f"{self._path}/items/1/disposal",
            {"price": money(price), "costs": money(sale.costs)},
            actor="auction-house",
            role="disposal_agent",
            step="disposal",
        )

    async def _floor(self) -> Money:
        view = await self._client.get("collateral", self._path)
        reserves = view["items"][0]["reserves"]
        return amount_of(reserves["second"]) if reserves is not None else self.life.drawn.zero

    def plan(self) -> list[tuple[date, str, Step]]:
        """The life's own dated steps after the decision: (day, kind, step)."""
        life = self.life
        steps: list[tuple[date, str, Step]] = [
            (row.on, "life", lambda row=row: self.repay(row))  # type: ignore[misc]  # mypy cannot type a lambda's default
            for row in life.repayments
        ]
        if self.extends:
            steps[0] = (life.repayments[0].on, "life", self.repay_and_extend)
        if life.inspection is not None:
            steps.append((life.inspection.on, "life", self.inspect))
        if life.default is not None:
            steps.append((life.default.charged_off_on, "life", self.write_off))
            steps.append((life.default.disposal.on, "life", self.dispose))
        return steps


def figures(books: Figures) -> dict[str, Any]:
    """A borrower's books on the wire."""
    return {
        name: {"amount": str(value["amount"]), "currency": value["currency"]} for name, value in asdict(books).items()
    }
