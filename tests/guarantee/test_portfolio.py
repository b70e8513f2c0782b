"""The whole book's loss is borne as each loan's would be, to the cent by party, up to the caps."""

from __future__ import annotations

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
from services.guarantee.domain.agreement import Agreement, hold_for
from services.guarantee.domain.cap import CapBook
from services.guarantee.domain.portfolio import Sum, burden, slices_of
from services.guarantee.domain.sharing import final_split
from services.guarantee.domain.terms import Cap, Coverage
from services.guarantee.main import service
from tests.bench.portfolio import seed_loans
from tests.guarantee.stories import AGREED as BODY
from tests.guarantee.stories import NAMED as NAMED_BODY
from tests.guarantee.stories import admit, loss_of
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
    sliced = tuple(pd * (min(lost, one.high * AMOUNT) - min(lost, one.low * AMOUNT)) for one in slices)
    guaranteed = hold_for(agreement, Money(AMOUNT, "CNY")).amount
    return Sum(agreement.ref, 2025, pd * AMOUNT, pd * guaranteed, sliced)


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
        if agreement is not BOTH or part.party == "bank":
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
