"""Capacity is a reservation: what a cover holds is counted in every pool that bounds it, and never beyond its size.

A cover's holding goes from reserved to bound, becomes active for what was disbursed, runs down with repayments and
goes back at the end. Each pool counts the same holding, weighed by its line; a year's pool counts new business, so
what was once drawn never returns to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from libs.kernel.money import Money, total
from services.guarantee.domain.agreement import Adoption, Agreement, Partner
from services.guarantee.domain.sharing import least


class PoolKind(StrEnum):
    """What a pool bounds."""

    AGREEMENT = "agreement"
    BRANCH = "branch"
    OBLIGOR = "obligor"
    GROUP = "group"
    YEAR = "year"
    LEVERAGE = "leverage"


EXHAUSTED = {
    PoolKind.AGREEMENT: "capacity_exhausted",
    PoolKind.BRANCH: "branch_capacity_exhausted",
    PoolKind.OBLIGOR: "obligor_limit_reached",
    PoolKind.GROUP: "group_limit_reached",
    PoolKind.YEAR: "year_limit_reached",
    PoolKind.LEVERAGE: "leverage_limit_reached",
}


@dataclass(frozen=True, slots=True)
class LimitTerms:
    """Policy `guarantee/limits`: what law allows a partner of each kind, as multiples and fractions of net assets.

    A kind that is not named has no such limit. `leverage_small` holds for partners mainly in small business.
    A small borrower's balance of at most `light_balance_max` counts at `light_weight` in leverage (SHR-08). Figures a
    partner reported more than `standing_days_max` days ago are too old to bind on.
    """

    leverage: dict[str, Decimal]
    leverage_small: dict[str, Decimal]
    obligor_ratio: dict[str, Decimal]
    group_ratio: dict[str, Decimal]
    light_weight: Decimal
    light_balance_max: Decimal
    light_size_classes: tuple[str, ...]
    standing_days_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a partner last said about itself: net assets, and its weighted guarantee balance at other banks."""

    partner_id: str
    currency: str
    net_assets: Money
    outside: Money
    mainly_small: bool
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What a partner guarantees for one obligor at other banks, and the group of related obligors it counts him to."""

    exposure_id: str
    partner_id: str
    obligor: str
    related_group: str
    currency: str
    outside: Money
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One pool in which a cover's holding counts: at `light`, if given, while it is at most `light_max`."""

    pool: str
    kind: PoolKind
    light: Decimal | None = None
    light_max: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A line with what bounds its pool today: its size (None: counted, not bounded), and what is used outside."""

    line: Line
    size: Money | None
    outside: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a cover holds: all of it, the part that is bound, the part that is drawn, and what was ever drawn."""

    held: Money
    bound: Money
    active: Money
    used: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicant:
    """For whom cover is wanted: borrower, branch, and the size class that was found (empty: not known)."""

    borrower: str
    branch: str
    size_class: str


def weigh(line: Line, amount: Money) -> Money:
    """What `amount` counts in the line's pool, to the cent."""
    if line.light is not None and line.light_max is not None and amount <= line.light_max:
        return amount * line.light
    return amount


def counted(line: Line, holding: Holding) -> tuple[Money, Money, Money]:
    """(reserved, bound, active) that a holding counts in the line's pool."""
    if line.kind is PoolKind.YEAR:  # new business: drawn amounts stay counted after they are repaid
        drawn, undrawn = holding.used, holding.held - holding.active
        return undrawn + drawn, (holding.bound - holding.active) + drawn, drawn
    return weigh(line, holding.held), weigh(line, holding.bound), weigh(line, holding.active)


def bounds_for(
    agreement: Agreement,
    partner: Partner,
    applicant: Applicant,
    on: date,
    terms: LimitTerms,
    *,
    adoption: Adoption | None = None,
    standing: Standing | None = None,
    exposures: tuple[Exposure, ...] = (),
) -> tuple[Bound, ...]:
    """Every pool that a cover for `applicant` counts in, with today's size; `exposures` are those of the partner."""
    none = agreement.capacity.zero
    own = next((exposure for exposure in exposures if exposure.obligor == applicant.borrower), None)
    bounds = [
        _bound(f"agreement/{agreement.code}", PoolKind.AGREEMENT, agreement.capacity, none),
        _bound(f"year/{agreement.code}/{on.year}", PoolKind.YEAR, _amount(agreement.limits.year_max, agreement), none),
        _bound(
            f"obligor/{partner.partner_id}/{applicant.borrower}/{agreement.currency}",
            PoolKind.OBLIGOR,
            _tighter(_amount(agreement.limits.obligor_max, agreement), _ratio(terms.obligor_ratio, partner, standing)),
            own.outside if own else none,
        ),
        _leverage(partner, applicant, terms, standing, none),
    ]
    if adoption is not None:
        pool = f"branch/{agreement.code}/{adoption.branch}"
        bounds.append(_bound(pool, PoolKind.BRANCH, adoption.capacity, none))
    if own is not None and own.related_group:
        related = (e.outside for e in exposures if e.related_group == own.related_group)
        size = _tighter(_amount(agreement.limits.group_max, agreement), _ratio(terms.group_ratio, partner, standing))
        pool = f"group/{partner.partner_id}/{own.related_group}/{agreement.currency}"
        bounds.append(_bound(pool, PoolKind.GROUP, size, total(related, none.currency)))
    return tuple(bounds)


def too_old(standing: Standing | None, on: date, terms: LimitTerms) -> bool:
    """Whether what the partner reported of itself is too old to bind on."""
    return standing is not None and standing.as_of < on - timedelta(days=terms.standing_days_max)


def why_no_room(bounds: tuple[Bound, ...], reserved: Mapping[str, Money], asked: Holding) -> str:
    """The code of the first pool that has no room for `asked` beside what is reserved in it; empty when all have."""
    for bound in bounds:
        if bound.size is None:
            continue
        taken = reserved.get(bound.line.pool, bound.size.zero)
        if taken + bound.outside + counted(bound.line, asked)[0] > bound.size:
            return EXHAUSTED[bound.line.kind]
    return ""


def _leverage(
    partner: Partner, applicant: Applicant, terms: LimitTerms, standing: Standing | None, none: Money
) -> Bound:
    light = applicant.size_class in terms.light_size_classes
    line = Line(
        pool=f"leverage/{partner.partner_id}/{none.currency}",
        kind=PoolKind.LEVERAGE,
        light=terms.light_weight if light else None,
        light_max=Money(terms.light_balance_max, none.currency) if light else None,
    )
    if standing is None:
        return Bound(line=line, size=None, outside=none)
    multiples = terms.leverage_small if standing.mainly_small else terms.leverage
    return Bound(line=line, size=_ratio(multiples, partner, standing), outside=standing.outside)


def _bound(pool: str, kind: PoolKind, size: Money | None, outside: Money) -> Bound:
    return Bound(line=Line(pool=pool, kind=kind), size=size, outside=outside)


def _amount(limit: Decimal | None, agreement: Agreement) -> Money | None:
    return None if limit is None else Money(limit, agreement.currency)


def _ratio(ratios: Mapping[str, Decimal], partner: Partner, standing: Standing | None) -> Money | None:
    if standing is None or partner.kind not in ratios:
        return None
    return standing.net_assets * ratios[partner.kind]


def _tighter(first: Money | None, second: Money | None) -> Money | None:
    if first is None or second is None:
        return second if first is None else first
    return least(first, second)
