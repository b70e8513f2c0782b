"""A short run of the proof: lives on two replicas of every service while processes, broker and database are killed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.faults import FAULTS, ORDERED
from tests.chaos.run import Plan, read_plan, run
from tests.chaos.schedule import Pace, drawn

SHORT = Plan(
    lives=12,
    brokers=1,
    each=1,
    faults=("replica killed", "killed after acknowledgement", "killed before send", "database killed"),
    session_ms=4_000,
    seed=3,  # the first to strike where no call is under way: its lease of 20 s would be half of the run
)


def test_lives_under_fire_leave_nothing_lost_doubled_or_out_of_place(tmp_path: Path) -> None:
    result = run(SHORT, tmp_path)
    assert {name: found for name, found in result.findings.items() if found} == {}
    assert result.failures == []
    assert result.missing == []
    assert result.ended == SHORT.lives
    assert all(struck.recovered is not None for struck in result.struck)
    assert result.acknowledged > 10 * SHORT.lives
    assert result.events > 15 * SHORT.lives


def test_a_plan_names_only_what_there_is() -> None:
    assert read_plan({}) == Plan()
    assert read_plan({"PLANT": "keep_capacity"}).faults == ()
    assert read_plan({"FAULTS": "poison,rebalance", "LIVES": "7"}).faults == ("poison", "rebalance")
    with pytest.raises(SystemExit, match="no plant nonsense"):
        read_plan({"PLANT": "nonsense"})
    with pytest.raises(SystemExit, match="no fault earthquake"):
        read_plan({"FAULTS": "earthquake"})


def test_every_fault_is_drawn_as_often_and_those_that_need_orders_come_while_there_are_some() -> None:
    order = drawn(tuple(FAULTS), 5, seed=1)
    assert Counter(order) == dict.fromkeys(FAULTS, 5)
    assert max(place for place, name in enumerate(order) if name in ORDERED) < 0.65 * len(order)
    assert set(order[-20:]) & set(FAULTS) - set(ORDERED)
    assert drawn(("poison", "rebalance"), 2, seed=1).count("poison") == 2
    assert drawn(tuple(FAULTS), 5, seed=2) != order


def test_lives_wait_for_the_faults_that_they_are_ahead_of() -> None:
    pace = Pace(wanted=10, work=1_000)
    assert [pace.is_ahead(done) for done in (99, 100, 101)] == [False, False, True]
    pace.played = 9
    assert not pace.is_ahead(1_000)
    assert not Pace(wanted=10).is_ahead(1_000)
