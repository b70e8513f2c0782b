"""What the scorecard may see: facts known before the decision, never a term, a price or an outcome."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import ROUND_HALF_UP, Decimal

from libs.events.application import Profile
from libs.events.rating import Check
from libs.kernel.money import Money
from services.rating.domain.authenticity import FAILED, MISSING, STALE, Evidence
from services.rating.domain.cross_checks import debt_service_cover
from services.rating.domain.sources import Source

MONTHS = 12  # a year of monthly figures: the calendar, not a policy
_SHOWN = Decimal("0.000001")
RATIOS = (
    "leverage",
    "profit_margin",
    "sales_to_amount",
    "net_worth_to_amount",
    "inflow_to_sales",
    "tax_to_sales",
    "years_in_business",
    "first_time_borrower",
    "debt_service_cover",
    "debt_service_cover_stressed",
    "checks_failed",
    "checks_unanswered",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingInputs:
    """One snapshot, in one currency; money as plain numbers. None = nobody stated it. Enough to rate again later."""

    industry: str
    region: str
    employees: int
    size_class: str
    years_in_business: Decimal
    first_time_borrower: int
    currency: str
    amount: Decimal
    annual_sales: Decimal
    annual_profit: Decimal
    total_assets: Decimal
    total_liabilities: Decimal
    monthly_bank_inflow: Decimal | None
    monthly_tax_sales: Decimal | None
    operating_cash_flow: Decimal | None
    debt_service: Decimal | None
    checks_failed: int
    checks_unanswered: int


def gather(
    *, profile: Profile, amount: Money, evidence: Evidence, checks: tuple[Check, ...], size_class: str
) -> RatingInputs:
    """The snapshot: found figures from the two managers, flows from the hard sources, results of the checks."""
    results = [check.result for check in checks]
    found = evidence.found
    return RatingInputs(
        industry=profile.industry,
        region=profile.region,
        employees=profile.employees,
        size_class=size_class,
        years_in_business=profile.years_in_business,
        first_time_borrower=int(profile.first_time_borrower),
        currency=amount.currency,
        amount=amount.amount,
        annual_sales=found.annual_sales.amount,
        annual_profit=found.annual_profit.amount,
        total_assets=found.total_assets.amount,
        total_liabilities=found.total_liabilities.amount,
        monthly_bank_inflow=evidence.figure(f"{Source.BANK_FLOW}.monthly_bank_inflow"),
        monthly_tax_sales=evidence.figure(f"{Source.TAX}.monthly_tax_sales"),
        operating_cash_flow=evidence.figure(f"{Source.BANK_FLOW}.operating_cash_flow"),
        debt_service=evidence.figure(f"{Source.BANK_FLOW}.debt_service"),
        checks_failed=results.count(FAILED),
        checks_unanswered=results.count(MISSING) + results.count(STALE),
    )


def ratios(inputs: RatingInputs, cash_stress: Decimal) -> dict[str, Decimal | None]:
    """Every ratio of RATIOS, exact; None when it cannot be formed (nobody stated it, or it would divide by nothing)."""
    cash, service = inputs.operating_cash_flow, inputs.debt_service
    served = cash is not None and service is not None
    values = (
        _over(inputs.total_liabilities, inputs.total_assets),
        _over(inputs.annual_profit, inputs.annual_sales),
        _over(inputs.annual_sales, inputs.amount),
        _over(inputs.total_assets - inputs.total_liabilities, inputs.amount),
        _over(_yearly(inputs.monthly_bank_inflow), inputs.annual_sales),
        _over(_yearly(inputs.monthly_tax_sales), inputs.annual_sales),
        inputs.years_in_business,
        Decimal(inputs.first_time_borrower),
        debt_service_cover(cash or Decimal(0), service or Decimal(0)) if served else None,
        debt_service_cover(cash or Decimal(0), service or Decimal(0), cash_stress) if served else None,
        Decimal(inputs.checks_failed),
        Decimal(inputs.checks_unanswered),
    )
    return dict(zip(RATIOS, values, strict=True))


def snapshot(inputs: RatingInputs) -> dict[str, str]:
    """The inputs as the event carries them: text under their own names; what nobody stated is left out."""
    stated = {field.name: getattr(inputs, field.name) for field in fields(inputs)}
    return {name: str(value) for name, value in stated.items() if value is not None}


def shown(values: dict[str, Decimal | None]) -> dict[str, str]:
    """Ratios as people read them: six places, those that could not be formed left out."""
    return {name: str(value.quantize(_SHOWN, ROUND_HALF_UP)) for name, value in values.items() if value is not None}


def _yearly(monthly: Decimal | None) -> Decimal | None:
    return None if monthly is None else monthly * MONTHS


def _over(part: Decimal | None, whole: Decimal) -> Decimal | None:
    return None if part is None or whole <= 0 else part / whole
