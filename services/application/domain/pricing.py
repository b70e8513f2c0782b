"""Risk-adjusted price: the yearly rate at which a loan just earns its hurdle after tax (PRC-01), and RAROC (PRC-03)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PricingTerms:
    """Shares of one per year: loss given default, funding, running costs, risk weight, capital, tax, hurdle."""

    lgd: Decimal
    funding_rate: Decimal
    operating_rate: Decimal
    risk_weight: Decimal
    capital_ratio: Decimal
    tax_rate: Decimal
    hurdle: Decimal


def expected_loss(exposure: Decimal, pd: Decimal, terms: PricingTerms) -> Decimal:
    """EL = exposure × PD × LGD, a year."""
    return exposure * pd * terms.lgd


def economic_capital(exposure: Decimal, terms: PricingTerms) -> Decimal:
    """The capital the exposure ties up: exposure × risk weight × capital ratio."""
    return exposure * terms.risk_weight * terms.capital_ratio


def net_profit(exposure: Decimal, rate: Decimal, pd: Decimal, terms: PricingTerms) -> Decimal:
    """After-tax profit of a year at `rate`."""
    costs = exposure * (terms.funding_rate + terms.operating_rate) + expected_loss(exposure, pd, terms)
    return (exposure * rate - costs) * (1 - terms.tax_rate)


def raroc(income: Decimal, cost: Decimal, loss: Decimal, capital: Decimal) -> Decimal:
    """Risk-adjusted return on capital: (income − cost − expected loss) / economic capital (PRC-03)."""
    return (income - cost - loss) / capital


def break_even_rate(pd: Decimal, terms: PricingTerms) -> Decimal:
    """The yearly rate at which net profit equals hurdle × economic capital (PRC-01)."""
    earned = terms.hurdle * terms.risk_weight * terms.capital_ratio / (1 - terms.tax_rate)
    return terms.funding_rate + terms.operating_rate + pd * terms.lgd + earned
