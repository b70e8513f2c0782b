"""A pack's table gives every request exactly one verdict, the same bytes always; a table that cannot is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.kernel.errors import Invalid, Rejection
from libs.kernel.money import Money
from services.guarantee.domain.cover import CoverFile
from services.guarantee.domain.pack import (
    Pack,
    Table,
    canonical,
    decide,
    follow_pack,
    inputs_of,
    pack_in_force,
    plain,
    read_table,
    signed_pack,
    state,
)
from tests.guarantee.packs import TABLE
from tests.guarantee.test_agreement import AGREED

FILE = CoverFile(
    facility_id="f",
    currency="CNY",
    grade="A",
    borrower="b",
    branch="east",
    industry="retail",
    product="wc",
    size_class="micro",
    tenor_months=12,
    annual_rate=Decimal("0.0450"),
)
INPUTS = inputs_of(FILE, Money(Decimal(100000), "CNY"))
BOUNDS = ("0", "0.05", "1", "100000", "100000.01", "500000")
WORDS = ("A", "B", "C")


def table(*rules: dict[str, Any], hit: str = "unique") -> dict[str, Any]:
    return TABLE | {"hit": hit, "rules": list(rules)}


def admit(**when: Any) -> dict[str, Any]:
    return {"when": when, "verdict": "admit"}


def refuse(reason: str, **when: Any) -> dict[str, Any]:
    return {"when": when, "verdict": "refuse", "reason": reason}


SMALL, LARGE = {"below": "100000"}, {"from": "100000"}
GOOD, OTHER = {"in": ["A", "B"]}, {"not_in": ["A", "B"]}


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("pack_has_gap", table(admit(amount=SMALL))),
        ("pack_has_gap", table(admit(amount=SMALL), refuse("big", amount={"from": "100000.01"}))),
        ("pack_has_gap", table(admit(grade=GOOD), refuse("c", grade={"in": ["C"]}))),
        ("pack_has_gap", table(admit(amount=SMALL, grade=GOOD), refuse("x", amount=LARGE, grade=OTHER))),
        ("pack_has_gap", table(admit(amount=SMALL), hit="first")),
        ("pack_overlaps", table(admit(amount=SMALL), refuse("x"))),
        ("pack_overlaps", table(admit(amount={"below": "100000.01"}), refuse("x", amount=LARGE))),
        ("pack_range_empty", table(admit(amount={"from": "2", "below": "2"}), refuse("x"), hit="first")),
        ("pack_reason_missing", table(refuse(""))),
        ("pack_reason_missing", table(admit() | {"reason": "why"})),
        ("pack_input_unknown", table(admit(colour=GOOD), refuse("x", colour=OTHER))),
        ("pack_input_unknown", table(admit(amount=GOOD), refuse("x", amount=OTHER))),
        ("pack_input_unknown", table(admit(grade=SMALL), refuse("x", grade=LARGE))),
        ("pack_unreadable", table(admit(amount={}))),
        ("pack_unreadable", table(admit(grade={"in": ["A"], "not_in": ["B"]}))),
        ("pack_unreadable", table(admit(amount={"from": "much"}))),
        ("pack_unreadable", table(admit(), hit="last")),
        ("pack_unreadable", TABLE | {"rules": [{"when": {}}]}),
        ("pack_unreadable", TABLE | {"rules": 7}),
    ],
)
def test_a_table_that_leaves_a_request_without_exactly_one_verdict_is_refused(code: str, found: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=code):
        read_table(found)


def test_a_table_that_tells_too_much_apart_is_refused() -> None:
    words = [f"w{n}" for n in range(300)]
    wide = table(admit(industry={"in": words}, branch={"in": words}), refuse("x"), hit="first")
    with pytest.raises(Invalid, match="pack_too_wide"):
        read_table(wide)


@pytest.mark.parametrize(
    ("amount", "grade", "verdict", "rule"),
    [
        ("99999.99", "A", "admit", 1),
        ("100000.00", "A", "refuse", 2),
        ("0", "C", "refuse", 3),
        ("100000", "unheard", "refuse", 3),
    ],
)
def test_bounds_are_inclusive_below_and_a_word_nobody_named_is_another(
    amount: str, grade: str, verdict: str, rule: int
) -> None:
    found = read_table(
        table(admit(amount=SMALL, grade=GOOD), refuse("big", amount=LARGE, grade=GOOD), refuse("grade", grade=OTHER))
    )
    place, taken = decide(found, INPUTS | {"amount": plain(Decimal(amount)), "grade": grade})
    assert (place, taken.verdict) == (rule, verdict)


def test_of_several_rules_the_first_counts_where_the_table_says_so() -> None:
    found = read_table(table(refuse("big", amount=LARGE), admit(), hit="first"))
    assert decide(found, INPUTS)[1].reason == "big"
    assert decide(found, INPUTS | {"amount": "99999.99"})[1].verdict == "admit"


SPANS = st.tuples(st.sampled_from(BOUNDS), st.sampled_from(BOUNDS)).filter(
    lambda pair: Decimal(pair[0]) < Decimal(pair[1])
)
NUMBER_TERMS = st.one_of(
    st.sampled_from(BOUNDS).map(lambda low: {"from": low}),
    st.sampled_from(BOUNDS[1:]).map(lambda high: {"below": high}),
    SPANS.map(lambda pair: {"from": pair[0], "below": pair[1]}),
)
WORD_TERMS = st.tuples(
    st.sampled_from(["in", "not_in"]), st.lists(st.sampled_from(WORDS), min_size=1, unique=True)
).map(lambda pair: {pair[0]: pair[1]})
CONDITIONS = st.fixed_dictionaries(
    {}, optional={"amount": NUMBER_TERMS, "annual_rate": NUMBER_TERMS, "grade": WORD_TERMS, "branch": WORD_TERMS}
)
TABLES = st.builds(
    lambda whens, hit: table(*(refuse("no", **when) for when in whens), hit=hit),
    st.lists(CONDITIONS, min_size=1, max_size=5),
    st.sampled_from(["unique", "first"]),
)
REQUESTS = st.fixed_dictionaries(
    {
        "amount": st.sampled_from([*BOUNDS, "0.04", "3", "99999.99", "900000"]),
        "annual_rate": st.sampled_from([*BOUNDS, "0.0499", "2"]),
        "grade": st.sampled_from([*WORDS, "", "D"]),
        "branch": st.sampled_from([*WORDS, "", "north"]),
    }
)


@settings(deadline=None, max_examples=200)
@given(found=TABLES, asked=st.lists(REQUESTS, min_size=1, max_size=20))
def test_an_accepted_table_gives_each_request_one_verdict_and_a_refused_one_has_a_request_that_shows_why(
    found: dict[str, Any], asked: list[dict[str, str]]
) -> None:
    def fitting(request: dict[str, str]) -> list[int]:
        return [n for n, rule in enumerate(found["rules"], start=1) if _fits(rule["when"], request)]

    accepted, code = _taken(found)
    if accepted is None:
        everywhere = [dict(zip(("amount", "annual_rate", "grade", "branch"), cell, strict=True)) for cell in _cells()]
        hits = [len(fitting(request)) for request in everywhere]
        assert (0 in hits) if code == "pack_has_gap" else (max(hits) > 1)
        return
    for request in asked:
        place, _ = decide(accepted, INPUTS | request)
        assert place == fitting(request)[0]
        assert found["hit"] == "first" or len(fitting(request)) == 1


def _taken(found: dict[str, Any]) -> tuple[Table | None, str]:
    try:
        return read_table(found), ""
    except Invalid as refused:
        return None, refused.code


def _fits(when: dict[str, Any], request: dict[str, str]) -> bool:
    def holds(name: str, terms: dict[str, Any]) -> bool:
        if "in" in terms or "not_in" in terms:
            return request[name] in terms.get("in", (request[name],)) and request[name] not in terms.get("not_in", ())
        value = Decimal(request[name])
        return value >= Decimal(terms.get("from", "0")) and ("below" not in terms or value < Decimal(terms["below"]))

    return all(holds(name, terms) for name, terms in when.items())


def _cells() -> list[tuple[str, str, str, str]]:
    numbers, words = BOUNDS, (*WORDS, "D")
    return [(a, r, g, b) for a in numbers for r in numbers for g in words for b in words]


@settings(deadline=None, max_examples=100)
@given(shuffled=st.permutations(sorted(INPUTS)), zeros=st.integers(0, 6))
def test_a_verdict_is_the_same_bytes_in_whatever_order_and_spelling_its_inputs_come(
    shuffled: list[str], zeros: int
) -> None:
    found = read_table(TABLE)
    spelled = inputs_of(FILE, Money(Decimal("100000." + "0" * zeros), "CNY"))
    once = state("reg-4321#1", "d", found, INPUTS)
    assert state("reg-4321#1", "d", found, {name: spelled[name] for name in shuffled}) == once
    assert json.loads(once)["inputs"]["annual_rate"] == "0.045"


def test_canonical_json_has_one_spelling_and_no_floats() -> None:
    assert canonical({"b": 1, "a": ["保", {"d": "1.50", "c": ()}]}) == '{"a":["保",{"c":[],"d":"1.50"}],"b":1}'.encode()
    # By UTF-16 code units a pair of surrogates comes before a character at the end of the first plane (RFC 8785 3.2.3).
    assert list(json.loads(canonical({"\ufb33": 1, "\U0001f600": 2}))) == ["\U0001f600", "\ufb33"]
    with pytest.raises(Invalid, match="pack_not_exact"):
        canonical({"rules": [{"below": 0.5}]})


def packed(**change: Any) -> Pack:
    return signed_pack(TABLE | change, signed_by="k", signature="s", received_from="x", received_on=date(2026, 1, 1))


@pytest.mark.parametrize(
    ("code", "new"),
    [
        ("pack_exists", packed),
        ("pack_rolled_back", lambda: packed(effective="2026-09-09")),
        ("pack_rolled_back", lambda: packed(version=2, effective="2025-01-01")),
        ("pack_of_another", lambda: packed(version=2, partner="other")),
        ("pack_of_another", lambda: packed(version=2, agreement="other")),
        ("pack_unreadable", lambda: packed(effective="2026-02-30")),
    ],
)
def test_a_pack_follows_only_what_is_older_and_the_partners_own(code: str, new: Callable[[], Pack]) -> None:
    with pytest.raises(Rejection, match=code):
        follow_pack((packed(),), AGREED, new())


def test_a_pack_judges_from_its_day_until_the_next_one() -> None:
    first, second = packed(), packed(version=2, effective="2026-01-01")
    days = [date(2025, 6, 30), date(2025, 7, 1), date(2025, 12, 31), date(2026, 1, 1)]
    assert [pack_in_force((first, second), day) for day in days] == [None, first, first, second]
