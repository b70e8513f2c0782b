"""The one row incentive keeps per loan: its people, what they earned and still wait for, findings and the case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from libs.kernel.money import Money
from services.incentive.domain.accountability import Case
from services.incentive.domain.deferral import Instalment, Status
from services.incentive.domain.exemption import Finding
from services.incentive.domain.people import Duty, StaffPay
from services.incentive.domain.vesting import Clawback


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanFile:
    """A disbursed loan as pay and accountability see it.

    `paid` is what each person has received, vested instalments included; what was reclaimed stands in `clawback`.
    """

    loan_id: str
    facility_id: str
    currency: str
    amount: Money
    grade: str
    disbursed_on: date
    people: tuple[Duty, ...]
    pay_policy: str
    deferral_policy: str
    earned: Money
    paid: tuple[StaffPay, ...]
    instalments: tuple[Instalment, ...]
    findings: tuple[Finding, ...] = ()
    case: Case | None = None
    clawback: Clawback | None = None

    def next_run(self) -> date | None:
        """The pay run of the earliest instalment that still waits for one, if any does."""
        return min((row.vests_on for row in self.instalments if row.status is Status.DEFERRED), default=None)
