"""Every pool that bounds a cover counts it, weighed, beside what the partner guarantees elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.guarantee.domain.agreement import Adoption, Partner
from services.guarantee.domain.capacity import (
    EXHAUSTED,
    Applicant,
    Bound,
    Exposure,
    Holding,
    LimitTerms,
    Line,
    PoolKind,
    Standing,
    bounds_for,
    counted,
    too_old,
    weigh,
    why_no_room,
)
from services.guarantee.domain.terms import Limits
from tests.guarantee.test_cover import AGREED, TODAY, cny

VECTORS = {v["id"]: v for v in json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))}
TERMS = LimitTerms(
    leverage={"guarantee-company": Decimal(10)},
    leverage_small={"guarantee-company": Decimal(15)},
    obligor_ratio={"guarantee-company": Decimal("0.10")},
    group_ratio={"guarantee-company": Decimal("0.15")},
    light_weight=Decimal("0.75"),
    light_balance_max=Decimal(500),
    light_size_classes=("small", "micro"),
    standing_days_max=120,
)
COMPANY = Partner(partner_id="insurer-1", name="G", kind="guarantee-company")
SMALL = Applicant(borrower="p1", branch="b1", size_class="small")


def asks(amount: str) -> Holding:
    return Holding(held=cny(amount), bound=cny("0"), active=cny("0"), used=cny("0"))


def standing(**change: object) -> Standing:
    plain = Standing(
        partner_id="insurer-1",
        currency="CNY",
        net_assets=cny("10000"),
        outside=cny("0"),
        mainly_small=False,
        as_of=TODAY,
    )
    return replace(plain, **change)  # type: ignore[arg-type]  # of the fields' own types


def exposure(obligor: str, outside: str, group: str = "") -> Exposure:
    return Exposure(
        exposure_id=f"insurer-1/{obligor}",
        partner_id="insurer-1",
        obligor=obligor,
        related_group=group,
        currency="CNY",
        outside=cny(outside),
        as_of=TODAY,
    )


def kind_of(bounds: tuple[Bound, ...], kind: PoolKind) -> Bound:
    return next(bound for bound in bounds if bound.line.kind is kind)


def reason(bounds: tuple[Bound, ...], amount: str, **reserved: str) -> str:
    taken = {bound.line.pool: cny(reserved.get(bound.line.kind.value, "0")) for bound in bounds}
    return why_no_room(bounds, taken, asks(amount))


def test_the_laws_multiples_of_net_assets_bound_leverage_obligor_and_group() -> None:
    given, expected = VECTORS["SHR-07"]["input"], VECTORS["SHR-07"]["expected"]
    plain = Applicant(borrower="p1", branch="b1", size_class="large")
    for small, fits in ((False, expected["lev_10x_ok"]), (True, expected["lev_15x_ok"])):
        at_work = standing(outside=cny(str(given["outstanding"])), mainly_small=small)
        pools = bounds_for(AGREED, COMPANY, plain, TODAY, TERMS, standing=at_work)
        leverage = (kind_of(pools, PoolKind.LEVERAGE),)
        assert (reason(leverage, str(given["new"])) == "") is fits
    pools = bounds_for(AGREED, COMPANY, plain, TODAY, TERMS, standing=standing(), exposures=(exposure("p1", "0", "g"),))
    single, group = kind_of(pools, PoolKind.OBLIGOR), kind_of(pools, PoolKind.GROUP)
    assert (reason((single,), str(given["new_single_total"])) == "") is expected["single_ok"]
    assert (reason((group,), given["group_total"]) == "") is expected["group_ok"]
    assert reason((group,), "1500.00") == ""


@pytest.mark.parametrize("case", range(2))
def test_a_small_borrowers_small_balance_weighs_three_quarters(case: int) -> None:
    vector = VECTORS["SHR-08"]
    line = kind_of(bounds_for(AGREED, COMPANY, SMALL, TODAY, TERMS), PoolKind.LEVERAGE).line
    assert str(weigh(line, cny(str(vector["input"]["balance"][case]))).amount) == vector["expected"]["weighted"][case]


def test_what_is_guaranteed_at_other_banks_counts_against_an_obligor_and_his_group() -> None:
    others = (exposure("p1", "600", "g"), exposure("p2", "700", "g"), exposure("p3", "9000"))
    pools = bounds_for(AGREED, COMPANY, SMALL, TODAY, TERMS, standing=standing(), exposures=others)
    assert kind_of(pools, PoolKind.OBLIGOR).outside == cny("600")
    assert kind_of(pools, PoolKind.GROUP).outside == cny("1300")
    assert reason((kind_of(pools, PoolKind.OBLIGOR),), "400") == ""
    assert reason((kind_of(pools, PoolKind.OBLIGOR),), "400.01") == "obligor_limit_reached"
    assert reason((kind_of(pools, PoolKind.GROUP),), "100", group="100.01") == "group_limit_reached"


def test_the_agreements_own_limit_holds_where_it_is_tighter_than_the_laws() -> None:
    tight = replace(AGREED, limits=Limits(obligor_max=Decimal(500), year_max=Decimal(0)))
    pools = bounds_for(tight, COMPANY, SMALL, TODAY, TERMS, standing=standing())
    assert kind_of(pools, PoolKind.OBLIGOR).size == cny("500")
    assert kind_of(pools, PoolKind.YEAR).size == cny("0")  # nothing at all is a limit, too
    wide = replace(AGREED, limits=Limits(obligor_max=Decimal(5000)))
    pools = bounds_for(wide, COMPANY, SMALL, TODAY, TERMS, standing=standing())
    assert kind_of(pools, PoolKind.OBLIGOR).size == cny("1000")


def test_a_partner_that_reported_nothing_is_counted_and_not_bounded_by_law() -> None:
    pools = bounds_for(AGREED, COMPANY, SMALL, TODAY, TERMS)
    assert {bound.line.kind: bound.size for bound in pools} == {
        PoolKind.AGREEMENT: AGREED.capacity,
        PoolKind.YEAR: None,
        PoolKind.OBLIGOR: None,
        PoolKind.LEVERAGE: None,
    }


def test_a_branch_that_adopted_has_a_pool_of_its_own() -> None:
    adoption = Adoption(
        adoption_id="ins-28/b1",
        code="ins-28",
        branch="b1",
        currency="CNY",
        capacity=cny("100"),
        amount_max=None,
        grades=("A",),
        adopted_by="someone",
        adopted_on=TODAY,
    )
    branch = kind_of(bounds_for(AGREED, COMPANY, SMALL, TODAY, TERMS, adoption=adoption), PoolKind.BRANCH)
    assert (branch.line.pool, branch.size) == ("branch/ins-28/b1", cny("100"))


@pytest.mark.parametrize(("days", "old"), [(120, False), (121, True)])
def test_figures_are_bound_on_up_to_their_last_day(days: int, old: bool) -> None:
    assert too_old(standing(as_of=TODAY - timedelta(days=days)), TODAY, TERMS) is old
    assert not too_old(None, TODAY, TERMS)


def test_every_pool_says_in_its_own_word_that_it_is_full() -> None:
    assert set(EXHAUSTED) == set(PoolKind)
    assert len(set(EXHAUSTED.values())) == len(EXHAUSTED)


def test_a_years_pool_counts_new_business_and_gets_back_only_what_was_never_drawn() -> None:
    line = Line(pool="year/x/2026", kind=PoolKind.YEAR)
    none = cny("0")
    asked = Holding(held=cny("80"), bound=none, active=none, used=none)
    drawn = Holding(held=cny("64"), bound=cny("64"), active=cny("64"), used=cny("64"))
    half_repaid = replace(drawn, held=cny("32"), bound=cny("32"), active=cny("32"))
    over = replace(drawn, held=none, bound=none, active=none)
    assert [str(counted(line, holding)[0].amount) for holding in (asked, drawn, half_repaid, over)] == [
        "80.00",
        "64.00",
        "64.00",
        "64.00",
    ]


AMOUNTS = st.integers(0, 10**7).map(lambda cents: cny(str(Decimal(cents) / 100)))


@given(amounts=st.tuples(AMOUNTS, AMOUNTS, AMOUNTS), kind=st.sampled_from(PoolKind), light=st.booleans())
def test_in_no_pool_is_more_bound_than_reserved_or_more_drawn_than_bound(
    amounts: tuple[object, ...], kind: PoolKind, light: bool
) -> None:
    active, bound, held = sorted(amounts, key=lambda money: money.amount)  # type: ignore[attr-defined]  # money all
    line = Line(pool="x", kind=kind, light=Decimal("0.75") if light else None, light_max=cny("500") if light else None)
    reserved, under_cover, drawn = counted(line, Holding(held=held, bound=bound, active=active, used=active))
    assert cny("0") <= drawn <= under_cover <= reserved


def test_a_day_decides_the_years_pool() -> None:
    pools = bounds_for(AGREED, COMPANY, SMALL, date(2026, 12, 31), TERMS)
    assert kind_of(pools, PoolKind.YEAR).line.pool == "year/ins-28/2026"
