"""What guarantors must stand for before money moves, and what of it repayments free (F5, figure by figure)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from libs.kernel.errors import Refused
from services.guarantee.domain.guarantors import backings, check_backed, freed
from services.guarantee.domain.terms import Guarantors, LiabilityKind
from services.guarantee.domain.undertaking import Undertaking, UndertakingKind, UndertakingState
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, DAY, Story, admit, cny
from tests.guarantee.test_claim import VECTORS
from tests.guarantee.test_undertakings import PATH, sign
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
GIVEN, EXPECTED = VECTORS["F5"]["input"], VECTORS["F5"]["expected"]
FOUR = Decimal("0.0001")


def terms_of(fractions: list[str]) -> Guarantors:
    total, own, others = (Decimal(fraction) for fraction in fractions)
    return Guarantors(total_min=total, own_min=own, others_min=others)


TERMS = terms_of(GIVEN["terms"])


def signed(kind: UndertakingKind, guarantor: str, amount: str) -> Undertaking:
    return Undertaking(
        undertaking_id=guarantor,
        facility_id="f",
        kind=kind,
        guarantor=guarantor,
        creditor="bank",
        liability=LiabilityKind.JOINT,
        currency="CNY",
        amount=cny(amount),
        document="G",
        state=UndertakingState.SIGNED,
        signed_on=DAY,
    )


def signers(own: str, others: list[str]) -> tuple[Undertaking, ...]:
    named = [signed(UndertakingKind.COMPANY, f"c{place}", amount) for place, amount in enumerate(others)]
    return (signed(UndertakingKind.OWNER, "owner", own), *named)


def code_of(undertakings: tuple[Undertaking, ...]) -> str:
    try:
        check_backed(TERMS, undertakings, cny(str(GIVEN["principal"])))
    except Refused as refused:
        return refused.code
    return ""


@pytest.mark.parametrize("case", range(len(GIVEN["approval"])))
def test_money_waits_until_all_three_amounts_are_reached(case: int) -> None:
    own, others = GIVEN["approval"][case]
    assert code_of(signers(own, others)) == EXPECTED["codes"][case]


def test_what_was_released_or_stands_towards_the_partner_does_not_count() -> None:
    own, first, second = signers("2000", ["2000", "1000"])
    released = replace(own, state=UndertakingState.RELEASED)
    counter = replace(own, kind=UndertakingKind.COUNTER_GUARANTEE)
    for gone in (released, counter):
        assert code_of((gone, first, second)) == "own_guarantees_short"


def steps(terms: Guarantors, own: int, others: list[int]) -> list[list[Decimal]]:
    """What each repayment of F5 frees of the others in their order, then of the own side."""
    amounts = {**{f"c{place}": Decimal(amount) for place, amount in enumerate(others)}, "owner": Decimal(own)}
    repaid, before, found = Decimal(0), dict.fromkeys(amounts, Decimal(0)), []
    for principal in GIVEN["repaid"]:
        repaid += Decimal(principal)
        now = freed(terms, amounts, frozenset({"owner"}), repaid)
        found.append([now[name] - before[name] for name in amounts])
        before = now
    return found


def test_a_repayment_frees_others_pro_rata_first_and_then_the_own_side() -> None:
    freed_by_step = steps(TERMS, GIVEN["own"], GIVEN["others"])
    assert [[str(part.quantize(FOUR)) for part in step] for step in freed_by_step[:3]] == EXPECTED["freed"]
    assert sum(map(sum, freed_by_step), Decimal(0)) == GIVEN["own"] + sum(GIVEN["others"])
    second = GIVEN["second"]
    (one, _), *_ = steps(terms_of(second["terms"]), second["own"], second["others"])
    assert str(one.quantize(FOUR)) == EXPECTED["second_freed"]
    left = backings(TERMS, signers("2000", ["2000", "1000"]), cny(str(GIVEN["principal"])))
    assert {str(each.left.amount) for each in left} == {EXPECTED["left_at_the_end"]}


ASKED: dict[str, Any] = {
    **AGREED,
    "binding": {"notice": True},
    "liability": {"guarantors": {"total_min": "0.5", "own_min": "0.2", "others_min": "0.2"}},
}


async def test_the_notice_waits_for_each_amount_and_repayments_free_guarantors(bench: Benches) -> None:
    story = Story()

    def cny_in(amount: str) -> dict[str, Any]:
        return {"amount": {"amount": amount, "currency": "CNY"}}

    async with bench(service) as b:
        unchecked = {**ASKED, "binding": {}}
        await admit(b, ASKED)
        refused = await b.post("/v1/agreements", {**unchecked, "code": "x"}, role="admin")
        assert refused.json()["code"] == "guarantors_unchecked"
        await story.bind(b)
        codes = []
        for kind, guarantor, amount in (
            ("owner_guarantee", "p1", "20000.00"),
            ("company_guarantee", "c1", "20000.00"),
            ("company_guarantee", "c2", "10000.00"),
        ):
            notice = await b.post(f"{PATH}/disbursement-notices", {"number": "F-1"}, role="customer_manager")
            codes.append((notice.json()["code"], notice.json()["needed"]))
            await sign(b, kind, guarantor, **cny_in(amount))
        assert codes == [
            ("own_guarantees_short", "20000.00 CNY"),
            ("others_guarantees_short", "20000.00 CNY"),
            ("guarantees_short", "50000.00 CNY"),
        ]
        assert (await b.post(f"{PATH}/disbursement-notices", {"number": "F-1"}, role="customer_manager")).is_success
        await b.react(story.disbursed(), story.repaid("70000", "30000"), on=DAY)
        shown = (await b.get(PATH)).json()["guarantors"]
        left = {each["guarantor"]: (each["freed"]["amount"], each["left"]["amount"]) for each in shown}
        assert left == {"c1": ("20000.00", "0.00"), "c2": ("10000.00", "0.00"), "p1": ("5000.00", "15000.00")}
        own = b.bearer("p", "partner", party="city-guarantee", scope="covers.read")
        assert (await b.http.get(PATH, headers=own)).json()["guarantors"] == []
