"""The arithmetic of the bench and its page; the bench itself is no test."""

from __future__ import annotations

import json
import math

import pytest

from tests.bench import capacity, report
from tests.bench.figures import Bench, Comparison, Measured, Wrong, middle_and_ends, order, percentile, shown, verdict
from tests.bench.hopping import seen
from tests.bench.relaying import HEADERS, KEYS, rows_of
from tests.bench.run import BENCHES, read_plan

FASTER = Comparison(what="speed", ours="new.rate", baseline="old.rate", unit="/s", solid=0.7, reach=0.95)
SOONER = Comparison(what="time", ours="new.ms", baseline="old.ms", unit="ms", solid=5, reach=1.5, at_most=True)


def measured(*comparisons: Comparison) -> Measured:
    bench = Bench(
        id="P0",
        title="nothing",
        told="Nothing.",
        prepared=BENCHES["P1"].prepared,
        comparisons=comparisons,
        size=10,
        size_is="steps",
    )
    return Measured(bench, 10)


def test_a_ratio_is_that_of_one_pair_and_its_spread_goes_from_the_least_to_the_most() -> None:
    one = measured(FASTER)
    for new, old in ((80, 100), (50, 100), (300, 200)):
        one.add("new", {"rate": new})
        one.add("old", {"rate": old})
    assert one.ratios(FASTER) == [0.8, 0.5, 1.5]
    assert middle_and_ends(one.ratios(FASTER)) == "0.8 (0.5–1.5)"


def test_sides_are_measured_in_turn_and_neither_is_always_first() -> None:
    assert [order(["a", "b"], pair) for pair in range(3)] == [["a", "b"], ["b", "a"], ["a", "b"]]


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_what_is_no_figure_is_never_noted(value: float) -> None:
    with pytest.raises(Wrong):
        measured(FASTER).add("new", {"rate": value})


def test_sides_of_different_numbers_are_never_compared() -> None:
    one = measured(FASTER)
    one.add("new", {"rate": 1})
    one.figures["old.rate"] = []
    with pytest.raises(ValueError, match="zip"):
        one.ratios(FASTER)


@pytest.mark.parametrize(
    ("comparison", "median", "reached"),
    [
        (FASTER, 0.95, "reach"),
        (FASTER, 0.7, "solid"),
        (FASTER, 0.699, "below"),
        (SOONER, 1.5, "reach"),
        (SOONER, 1.51, "solid"),
        (SOONER, 5.01, "below"),
        (Comparison(what="", ours="", baseline="", unit=""), 9, ""),
    ],
)
def test_a_target_is_reached_at_its_bound(comparison: Comparison, median: float, reached: str) -> None:
    assert verdict(comparison, median) == reached


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1)] == [50, 99, 100]
    assert percentile([7.0], 0.99) == 7
    with pytest.raises(Wrong):
        percentile([], 0.5)


@pytest.mark.parametrize(("value", "text"), [(0.01234, "0.0123"), (1.5, "1.5"), (123.4, "123"), (98_765.0, "98,800")])
def test_a_figure_shows_three_digits(value: float, text: str) -> None:
    assert shown(value) == text


def test_the_page_names_command_machine_versions_and_every_ratio() -> None:
    one = measured(FASTER, SOONER)
    for side, rate, ms in (("new", 80, 3), ("old", 100, 2)):
        one.add(side, {"rate": rate, "ms": ms, "aside": 4})
    one.facts["full load"] = "as told"
    page = report.render([one], command="make bench", pairs=1, seconds=60, postgres="16", kafka="4")
    for words in (
        "| P0 | speed | 80 (80–80) /s | 100 (100–100) /s | **0.8 (0.8–0.8)** | ≥ 0.7 · 0.95 | solid |",
        "| P0 | time | 3 (3–3) ms | 2 (2–2) ms | **1.5 (1.5–1.5)** | ≤ 5 · 1.5 | reach |",
        "Fewer than 5 pairs",
        "PostgreSQL 16, Apache Kafka 4",
        "aiokafka ",
        "cores, ",
        "`make bench BENCH=P0 SIZE=10 PAIRS=1`",
        "- full load: as told",
        "- new.aside: 4 (4–4)",
    ):
        assert words in page
    assert "Fewer than" not in report.render([one], command="make bench", pairs=5, seconds=60, postgres="16", kafka="4")


def test_cores_follow_from_the_cost_of_a_life_and_the_busiest_hour() -> None:
    assert capacity.cores(1000, capacity.WORKING_SECONDS_A_YEAR) == capacity.PEAK
    one = Measured(BENCHES["P5"], 10)
    cost = {f"{part}_cpu_ms_a_life": 360.0 for part in capacity.PARTS}
    one.add("one", {"rate": 1, "events": 360, **cost})
    page = "\n".join(capacity.section([one]))
    assert "| a province bank | 200,000 | 5 | 0.1 | 0.1 | 0.1 |" in page
    assert capacity.section([]) == []


def test_the_plan_is_in_the_environment() -> None:
    assert [bench.id for bench in read_plan({}).benches] == ["P1", "P2", "P3", "P4", "P5", "P6", "PORTFOLIO"]
    assert read_plan({}).pairs == 5
    assert [bench.id for bench in read_plan({"BENCH": "portfolio"}).benches] == ["PORTFOLIO"]
    plan = read_plan({"BENCH": "p2", "PAIRS": "7", "SIZE": "9"})
    assert ([bench.id for bench in plan.benches], plan.pairs, plan.size) == (["P2"], 7, 9)
    for wrong in ({"BENCH": "P9"}, {"BENCH": "P1,P2", "SIZE": "3"}, {"PAIRS": "-1"}):
        with pytest.raises(SystemExit):
            read_plan(wrong)


def test_every_comparison_names_sides_of_its_own_bench_and_both_are_of_one_kind() -> None:
    for bench in BENCHES.values():
        for comparison in bench.comparisons:
            assert comparison.ours.partition(".")[2] == comparison.baseline.partition(".")[2]
            assert comparison.ours != comparison.baseline


def test_the_raw_sends_carry_what_the_outbox_holds() -> None:
    rows = rows_of(KEYS + 1)
    assert len(rows) == KEYS + 1
    assert [headers["ce_sequence"] for key, headers in rows if key == "facility-00001"] == ["1", "2"]
    assert all(headers.keys() > HEADERS.keys() for _, headers in rows[:10])
    assert json.dumps(rows[0][1])


def test_effects_of_other_runs_are_not_counted(tmp_path) -> None:  # type: ignore[no-untyped-def]  # pytest's own path
    notes = tmp_path / "seen"
    assert seen(notes, {"a": 0.0}) == {}
    notes.write_text("a 1.5\nb 2.5\n")
    assert seen(notes, {"a": 0.0}) == {"a": 1.5}
