"""The whole book's loss is borne as each loan's would be, to the cent by party, up to the caps."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.guarantee import LayerOf
from libs.kernel.money import Money
from services.guarantee.api.bodies import AgreementIn
from services.guarantee.domain.agreement import Agreement, hold_for
from services.guarantee.domain.cap import CapBook
from services.guarantee.domain.portfolio import Sum, borne_share, burden, ceiling_of, slices_of
from services.guarantee.domain.sharing import final_split
from services.guarantee.domain.terms import Cap, Coverage
from services.guarantee.main import service
from tests.bench.portfolio import seed_loans
from tests.guarantee.stories import AGREED as BODY
from tests.guarantee.stories import DAY, Story, admit, loss_of
from tests.guarantee.stories import NAMED as NAMED_BODY
from tests.guarantee.test_agreement import AGREED, NAMED, shares
from tests.harness.bench import Bench

ON = date(2026, 3, 2)
AMOUNT = Decimal(100000)
FIRST_LOSS = (
    LayerOf(up_to=Decimal("0.05"), shares=shares(guarantor="1")),
    LayerOf(up_to=Decimal("0.30"), shares=shares(guarantor="1", bank="1")),
)
LAYERED = replace(AGREED, layers=FIRST_LOSS, share_max=Decimal("0.9"), bank_share_min=Decimal("0.1"))
CEILING = replace(AGREED, coverage=Coverage(ceiling=Decimal("0.25")))
BOTH = replace(LAYERED, coverage=Coverage(principal=Decimal("0.9"), ceiling=Decimal("0.20")))
PARTLY = replace(AGREED, coverage=Coverage(principal=Decimal("0.5")))


def one_loan(agreement: Agreement, lgd: Decimal, *, pd: Decimal = Decimal(1)) -> Sum:
    """One loan of 100,000, as the database adds it up."""
    lost = AMOUNT * lgd * agreement.coverage.principal
    slices = slices_of(agreement)
    sliced = [min(lost, one.high * AMOUNT) - min(lost, one.low * AMOUNT) for one in slices]
    asked = sum((each * borne_share(one.shares) for each, one in zip(sliced, slices, strict=True)), Decimal(0))
    ceiling = ceiling_of(agreement)
    cut = ceiling * AMOUNT / asked if ceiling is not None and asked > ceiling * AMOUNT else Decimal(1)
    guaranteed = hold_for(agreement, Money(AMOUNT, "CNY")).amount
    return Sum(agreement.ref, 2025, pd * AMOUNT, pd * guaranteed, tuple(pd * each * cut for each in sliced))


@settings(deadline=None, max_examples=60)
@given(
    agreement=st.sampled_from([AGREED, LAYERED, CEILING, BOTH, PARTLY]),
    lgd=st.integers(0, 100).map(lambda percent: Decimal(percent) / 100),
)
def test_one_defaulted_loan_costs_each_party_what_the_final_split_says(agreement: Agreement, lgd: Decimal) -> None:
    loan = Money(AMOUNT, "CNY")
    found = burden([one_loan(agreement, lgd)], {agreement.ref: agreement}, {}, lgd=lgd, on=ON, currency="CNY")
    split = final_split(loss_of(loan * lgd), agreement.sharing, agreement.coverage, covered=loan)
    borne = {part.party: part.amount.amount for part in split if part.amount}
    assert sum((part.amount for part in found.parts), loan.zero) == found.loss == loan * lgd
    for part in found.parts:
        assert abs(part.amount.amount - borne.get(part.party, Decimal(0))) <= Decimal("0.05"), part.party


def test_a_partner_that_named_the_amount_bears_its_part() -> None:
    found = burden([one_loan(NAMED, Decimal("0.4"))], {NAMED.ref: NAMED}, {}, lgd=Decimal("0.4"), on=ON, currency="CNY")
    assert {p.party: p.amount.amount for p in found.parts} == {"city-guarantee": Decimal(34000), "bank": Decimal(6000)}


@pytest.mark.parametrize(
    ("excess", "bank", "other"), [((), "28000.00", None), (shares(reinsurer="1"), "8000.00", "20000.00")]
)
def test_what_lies_above_a_cap_is_the_banks_or_the_stop_loss_partys(excess: Any, bank: str, other: str | None) -> None:
    capped = replace(AGREED, cap=Cap(rate=Decimal("0.15"), excess=excess))
    none = Money(Decimal(0), "CNY")
    book = CapBook(
        book_id="reg-4321/2025",
        code="reg-4321",
        currency="CNY",
        opened=date(2025, 1, 1),
        since=date(2025, 1, 1),
        disbursed=Money(Decimal(80000), "CNY"),
        balance=Money(Decimal(80000), "CNY"),
        used=none,
    )
    found = burden(
        [one_loan(capped, Decimal("0.4"))],
        {capped.ref: capped},
        {book.book_id: book},
        lgd=Decimal("0.4"),
        on=ON,
        currency="CNY",
    )
    [load] = found.caps
    assert (load.room.amount, load.asked.amount, load.above.amount) == (12000, 32000, 20000)
    parts = {part.party: part.amount.amount for part in found.parts}
    assert parts["bank"] == Decimal(bank)
    assert parts.get("reinsurer") == (None if other is None else Decimal(other))


async def test_the_door_adds_the_book_up_as_a_loop_over_its_loans_would(bench: Callable[..., Bench]) -> None:
    layered = BODY | {
        "code": "layered",
        "share_max": "0.9",
        "bank_share_min": "0.1",
        "layers": [{"up_to": "0.1", "shares": [{"party": "guarantor", "weight": "1"}]}],
    }
    async with bench(service) as b:
        await admit(b, BODY, NAMED_BODY, layered)
        await seed_loans(b, 300, ("reg-4321@2025-07-01", "named@2025-07-01", "layered@2025-07-01"))
        plain = (await b.get("/v1/cover-portfolio", role="risk_director")).json()
        query = "/v1/cover-portfolio?pd_factor=3&lgd_factor=1.5"
        [harsh] = (await b.get(query, role="risk_director")).json()
        async with b.parts.engine.connect() as conn:
            rows = await conn.exec_driver_sql("SELECT terms, pd, outstanding, amount FROM loans WHERE NOT closed")
            loans = list(rows)
    [view] = plain
    assert view["loans"] == len(loans) == harsh["loans"]
    assert view["expected"] == view["stressed"] == harsh["expected"]
    for told, k, lgd in ((harsh["expected"], 1, Decimal("0.4")), (harsh["stressed"], 3, Decimal("0.6"))):
        guarantor = Decimal(0)
        for terms, pd, outstanding, amount in loans:
            lost = outstanding * lgd
            if terms.startswith("layered"):
                first = min(lost, amount / 10)
                part = first + (lost - first) * Decimal("0.4")
            else:
                part = lost * (Decimal("0.4") if terms.startswith("reg") else 0)
            guarantor += min(Decimal(1), pd * k) * part
        parts = {part["party"]: Decimal(part["amount"]["amount"]) for part in told["parts"]}
        assert abs(parts["guarantor"] - guarantor) < Decimal("0.50")
        whole = sum(min(Decimal(1), pd * k) * outstanding * lgd for _, pd, outstanding, _ in loans)
        assert abs(sum(parts.values()) - whole) < Decimal("0.50")


LAYERS = [
    {"up_to": "0.1", "shares": [{"party": "guarantor", "weight": "1"}]},
    {"up_to": "0.3", "shares": [{"party": "reinsurer", "weight": "2"}, {"party": "bank", "weight": "1"}]},
]
DEEP = BODY | {"share_max": "0.9", "bank_share_min": "0.1", "layers": LAYERS}
TERMS = {
    body["code"]: body
    for body in (
        DEEP | {"code": "layers"},
        DEEP | {"code": "both", "coverage": {"principal": "0.9", "ceiling": "0.3"}},
        BODY | {"code": "ceiling", "coverage": {"ceiling": "0.25"}},
    )
}
_LOAN_SQL = """
INSERT INTO loans (loan_id, facility_id, cover_id, currency, amount, outstanding, guaranteed, annual_rate, disbursed_on,
    maturity, premium, premium_open, closed, waiting, shared, charges, removed, reported, terms, year, pd)
VALUES ($1, $1, $1, 'CNY', $2, $3, 0, 0.045, '2025-09-01', '2027-01-01', 0, false, false, '[]', 0, '[]', '', '[]', $4,
    2025, 1)
"""


def test_the_database_splits_loans_under_layers_and_ceilings_as_the_final_split_does(
    bench: Callable[..., Bench],
) -> None:
    loan = st.tuples(st.sampled_from(sorted(TERMS)), st.integers(1, 10**8), st.integers(0, 100))

    async def told(b: Bench, loans: list[tuple[str, int, int]], factor: Decimal) -> dict[str, Decimal]:
        async with b.parts.engine.begin() as conn:
            await conn.exec_driver_sql("DELETE FROM loans")
            for number, (code, cents, left) in enumerate(loans):
                amount = Decimal(cents) / 100
                values = (str(number), amount, round(amount * left / 100, 2), f"{code}@2025-07-01")
                await conn.exec_driver_sql(_LOAN_SQL, values)
        (view,) = (await b.get(f"/v1/cover-portfolio?lgd_factor={factor}", role="risk_director")).json()
        return {part["party"]: Decimal(part["amount"]["amount"]) for part in view["stressed"]["parts"]}

    def expected(loans: list[tuple[str, int, int]], lgd: Decimal) -> Counter[str]:
        sums: Counter[str] = Counter()
        for code, cents, left in loans:
            amount = Money(Decimal(cents) / 100, "CNY")
            lost = Money(round(amount.amount * left / 100, 2) * lgd, "CNY")
            of = AgreementIn.model_validate(TERMS[code]).agreement("drafter")
            for part in final_split(loss_of(lost), of.sharing, of.coverage, covered=amount):
                sums[part.party] += part.amount.amount  # type: ignore[assignment]  # a Counter adds up decimals, too
        return sums

    with asyncio.Runner() as runner:
        b = runner.run(bench(service).__aenter__())
        runner.run(admit(b, *TERMS.values()))

        @settings(deadline=None, max_examples=15, derandomize=True, database=None)
        @given(loans=st.lists(loan, min_size=1, max_size=5), tenths=st.integers(10, 25))
        def compared(loans: list[tuple[str, int, int]], tenths: int) -> None:
            parts = runner.run(told(b, loans, Decimal(tenths) / 10))
            wanted = expected(loans, Decimal(tenths) * 4 / 100)
            for party in parts.keys() | wanted.keys():
                assert abs(parts.get(party, 0) - wanted[party]) <= Decimal("0.05") * len(loans), party

        compared()
        runner.run(b.__aexit__())


async def test_what_is_bound_and_not_drawn_is_committed_and_counts_in_part(bench: Callable[..., Bench]) -> None:
    one, two = Story(name="one"), Story(name="two", agreement="twice")
    async with bench(service) as b:
        await admit(b, BODY, BODY | {"code": "twice", "binding": {"drawdowns_max": 2}})
        for story in (one, two):
            await story.bind(b)
        await b.react(two.disbursed("25000"), on=DAY)
        (view,) = (await b.get("/v1/cover-portfolio", role="risk_director")).json()
        assert (view["loans"], view["covers"], view["unrated"]) == (1, 2, 0)
        assert [view[name]["amount"] for name in ("outstanding", "guaranteed", "undrawn", "committed")] == [
            *("25000.00", "20000.00", "175000.00", "140000.00")
        ]
        assert {load["agreement"]: load["committed"]["amount"] for load in view["agreements"]} == {
            "reg-4321": "80000.00",
            "twice": "60000.00",
        }
        # a PD of 1 % on what is drawn and on 40 % of what is not; 40 % is lost, and a fifth of that is the bank's
        assert view["expected"]["loss"]["amount"] == "380.00"
        assert {p["party"]: p["amount"]["amount"] for p in view["expected"]["parts"]}["bank"] == "76.00"
        await b.react(one.disbursed(), on=DAY)
        (view,) = (await b.get("/v1/cover-portfolio", role="risk_director")).json()
        assert (view["loans"], view["committed"]["amount"]) == (2, "60000.00")
