"""Money, rates and exact splits: Decimal only, a currency always, parts that always sum to the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import TypeVar

from libs.kernel.errors import Invalid

CENT = Decimal("0.01")
K = TypeVar("K")


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount of one currency, held to the cent (minor unit 0.01). Arithmetic across currencies raises Invalid."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not self.amount.is_finite():
            raise Invalid("money_not_finite", str(self.amount))
        object.__setattr__(self, "amount", self.amount.quantize(CENT, ROUND_HALF_UP))

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise Invalid("currency_mismatch", f"{self.currency} and {other.currency}")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount - other.amount, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __mul__(self, factor: Decimal | int) -> Money:
        """The product, rounded half up to the cent."""
        return Money(self.amount * factor, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.amount < other.amount

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.amount <= other.amount

    def __gt__(self, other: Money) -> bool:
        self._same(other)
        return self.amount > other.amount

    def __ge__(self, other: Money) -> bool:
        self._same(other)
        return self.amount >= other.amount

    def __bool__(self) -> bool:
        return self.amount != 0

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    @property
    def zero(self) -> Money:
        """Nothing, in the same currency."""
        return Money(Decimal(0), self.currency)

    def ratio(self, whole: Money) -> Decimal:
        """This amount as an exact fraction of `whole`; raises Invalid when the whole is zero."""
        self._same(whole)
        if not whole.amount:
            raise Invalid("ratio_of_zero")
        return self.amount / whole.amount


def total(parts: Iterable[Money], currency: str) -> Money:
    """The sum of `parts`; zero in `currency` for none."""
    result = Money(Decimal(0), currency)
    for part in parts:
        result = result + part
    return result


def split(whole: Money, weights: Mapping[K, Decimal]) -> dict[K, Money]:
    """`whole` divided in the ratio of `weights` by the largest remainder: the parts sum to the whole, exactly.

    Each part is within one cent of its exact share. Ties go to the earlier key. Weights are non-negative and not
    all zero (else Invalid). A negative whole splits as the mirror of its positive.
    """
    base = sum(weights.values(), Decimal(0))
    if base <= 0 or any(weight < 0 for weight in weights.values()):
        raise Invalid("weights_not_positive", "weights must be non-negative with a positive sum")
    sign = -1 if whole.amount < 0 else 1
    cents = abs(whole.amount) / CENT
    exact = {key: cents * weight / base for key, weight in weights.items()}
    floors = {key: share.to_integral_value(ROUND_DOWN) for key, share in exact.items()}
    left = int(cents - sum(floors.values(), Decimal(0)))
    order = sorted(weights, key=lambda key: floors[key] - exact[key])  # stable: largest remainder first
    for key in order[:left]:
        floors[key] += 1
    return {key: Money(sign * count * CENT, whole.currency) for key, count in floors.items()}
