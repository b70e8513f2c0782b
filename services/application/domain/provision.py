"""Loan-loss provision: a loan's own from its class, and what the whole book needs beside it (PRV-01)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from libs.kernel.money import Money, total
from services.application.domain.classification import RiskClass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionTerms:
    """Provision rate per class (share of outstanding principal) and the floors of the book (both inclusive)."""

    normal: Decimal
    special_mention: Decimal
    substandard: Decimal
    doubtful: Decimal
    loss: Decimal
    coverage_min: Decimal
    reserve_to_loans_min: Decimal

    def rate(self, risk_class: RiskClass) -> Decimal:
        """The rate of one class."""
        return {
            RiskClass.NORMAL: self.normal,
            RiskClass.SPECIAL_MENTION: self.special_mention,
            RiskClass.SUBSTANDARD: self.substandard,
            RiskClass.DOUBTFUL: self.doubtful,
            RiskClass.LOSS: self.loss,
        }[risk_class]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adequacy:
    """Whether the book's reserves suffice; ratios are None when there is nothing to divide by."""

    general: Money
    specific: Money
    npl_ratio: Decimal | None
    coverage: Decimal | None
    reserve_to_loans: Decimal | None
    required: Money
    shortfall: Money


def provision(outstanding: Money, risk_class: RiskClass, terms: ProvisionTerms) -> Money:
    """What one loan's provision must be: outstanding principal × the rate of its class."""
    return outstanding * terms.rate(risk_class)


def adequacy(balances: Mapping[RiskClass, Money], reserves: Money, terms: ProvisionTerms) -> Adequacy:
    """Reserves against the book: NPL coverage and loan-provision ratio, and the higher of the two needs (PRV-01).

    `general` is the normal rate on every loan; `specific` the class rates from special mention down.
    """
    currency = reserves.currency
    loans = total(balances.values(), currency)
    npl = total((amount for risk_class, amount in balances.items() if risk_class.npl), currency)
    below = [(risk_class, amount) for risk_class, amount in balances.items() if risk_class is not RiskClass.NORMAL]
    required = max(npl * terms.coverage_min, loans * terms.reserve_to_loans_min)
    return Adequacy(
        general=loans * terms.normal,
        specific=total((provision(amount, risk_class, terms) for risk_class, amount in below), currency),
        npl_ratio=npl.ratio(loans) if loans else None,
        coverage=reserves.ratio(npl) if npl else None,
        reserve_to_loans=reserves.ratio(loans) if loans else None,
        required=required,
        shortfall=max(required - reserves, reserves.zero),
    )
