"""The cross-check formulas: how far a claim is from what was tested. Ratios are exact; nobody rounds before comparing.

Formulas of a 2017 micro-loan system (deviation of sales, should-be equity, weighted margin) and the debt-service
cover of a due-diligence policy set; a positive deviation is always the dangerous direction.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from libs.kernel.money import Money
from services.rating.domain.sources import HardFigures, Product

ZERO, ONE = Decimal(0), Decimal(1)


def overstatement(claimed: Decimal, tested: Decimal) -> Decimal:
    """(claimed − tested) / |claimed|: positive when the claim is better than the truth (sales, profit, assets).

    A claim of nothing overstates by 1 when the truth is a loss, else by 0.
    """
    if not claimed:
        return ONE if tested < 0 else ZERO
    return (claimed - tested) / abs(claimed)


def understatement(claimed: Decimal, tested: Decimal) -> Decimal:
    """(tested − claimed) / |tested|: positive when something owed was kept small (liabilities)."""
    if not tested:
        return ZERO
    return (tested - claimed) / abs(tested)


def expected_equity(record: HardFigures) -> Money | None:
    """Equity that should be there: opening + profit + injections + appreciation − withdrawals − depreciation.

    None when the record lacks the opening equity or the profit of the period; the other movements default to nothing.
    """
    if record.opening_equity is None or record.annual_profit is None:
        return None
    nothing = record.opening_equity.zero
    gained = record.annual_profit + (record.injections or nothing) + (record.appreciation or nothing)
    lost = (record.withdrawals or nothing) + (record.depreciation or nothing)
    return record.opening_equity + gained - lost


def gross_margin(products: Iterable[Product]) -> Decimal | None:
    """Σ (1 − cost / price) × share of sales; None without products."""
    lines = tuple(products)
    if not lines:
        return None
    return sum(((ONE - line.cost / line.price) * line.sales_share for line in lines), ZERO)


def debt_service_cover(cash_flow: Decimal, debt_service: Decimal, stress: Decimal = ZERO) -> Decimal | None:
    """Cash flow, less the fraction `stress` (0 to 1), over yearly debt service; None when nothing is to be served."""
    if debt_service <= 0:
        return None
    return cash_flow * (ONE - stress) / debt_service
