"""Performance pay earned on a disbursed loan: a price in basis points by grade, divided exactly over the paid roles."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from libs.kernel.errors import Refused
from libs.kernel.money import Money, split
from services.incentive.domain.people import Duty, Role, StaffPay

BASIS_POINTS = Decimal(10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeRate:
    """The price of one grade: `rate_bp` basis points of the disbursed amount."""

    grade: str
    rate_bp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleWeight:
    """One paid role's weight in the division; a role without a weight earns nothing from volume."""

    role: Role
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PayTerms:
    """What head office pays for a loan of each grade, and how it is divided."""

    rates: tuple[GradeRate, ...]
    roles: tuple[RoleWeight, ...]


def performance_pay(amount: Money, grade: str, people: tuple[Duty, ...], terms: PayTerms) -> tuple[StaffPay, ...]:
    """Each paid person's part of amount × rate; the parts sum to the whole.

    Refused `grade_without_price` when the policy does not price the grade: no price is ever assumed.
    """
    price = next((rate for rate in terms.rates if rate.grade == grade), None)
    if price is None:
        raise Refused("grade_without_price", f"the pay policy names no rate for grade {grade}", grade=grade)
    weights = {row.role: Decimal(row.weight) for row in terms.roles}
    paid = [duty for duty in people if duty.role in weights]
    parts = split(amount * (price.rate_bp / BASIS_POINTS), {duty: weights[duty.role] for duty in paid})
    return tuple(StaffPay(staff=duty.staff, role=duty.role, amount=part) for duty, part in parts.items())
