"""One premium for one period of a loan, owed by one payer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from libs.kernel.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """From `start` up to `until`, which the next period begins with."""

    start: date
    until: date
    amount: Money
    payer: str
    paid: bool = False
