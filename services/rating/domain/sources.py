"""Hard data from outside the borrower: what a tax or bank-flow record says, from when, and when it is too old."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from libs.kernel.errors import Invalid
from libs.kernel.money import Money


class Source(StrEnum):
    """Who keeps the record: the tax office or the borrower's banks."""

    TAX = "tax"
    BANK_FLOW = "bank_flow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One product line on the invoices: unit cost, unit price and its share of sales (0 to 1)."""

    cost: Decimal
    price: Decimal
    sales_share: Decimal

    def __post_init__(self) -> None:
        if self.price <= 0 or self.cost < 0 or not 0 <= self.sales_share <= 1:
            raise Invalid("product_out_of_range", "price above 0, cost not negative, share of sales 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class HardFigures:
    """What a record may state; every figure is optional, yearly unless named monthly."""

    annual_sales: Money | None = None
    annual_profit: Money | None = None
    total_assets: Money | None = None
    total_liabilities: Money | None = None
    monthly_bank_inflow: Money | None = None
    monthly_tax_sales: Money | None = None
    operating_cash_flow: Money | None = None
    debt_service: Money | None = None
    opening_equity: Money | None = None
    injections: Money | None = None
    appreciation: Money | None = None
    withdrawals: Money | None = None
    depreciation: Money | None = None
    products: tuple[Product, ...] = ()

    @property
    def currencies(self) -> frozenset[str]:
        """The currencies its amounts are in."""
        stated = (getattr(self, field.name) for field in fields(self))
        return frozenset(value.currency for value in stated if isinstance(value, Money))


# The one figure without which a record of that source says nothing.
ESSENTIAL = {Source.TAX: "monthly_tax_sales", Source.BANK_FLOW: "monthly_bank_inflow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """One record of one source as it stood on `as_of`; all its amounts share one currency (else Invalid)."""

    source: Source
    as_of: date
    figures: HardFigures

    def __post_init__(self) -> None:
        if getattr(self.figures, ESSENTIAL[self.source]) is None:
            raise Invalid("figure_missing", f"a {self.source} record states {ESSENTIAL[self.source]}")
        if len(self.figures.currencies) != 1:
            raise Invalid("currency_mismatch", "one record, one currency")

    @property
    def currency(self) -> str:
        """The currency of every amount in the record."""
        (only,) = self.figures.currencies
        return only

    def is_fresh(self, on: date, age_days_max: int) -> bool:
        """Whether the record is at most `age_days_max` calendar days old on `on` (inclusive)."""
        return self.as_of + timedelta(days=age_days_max) >= on
