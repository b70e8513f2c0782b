"""A service's own account becomes lag per topic and what needs a person; silence is never health."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.console.domain.health import (
    Health,
    Sign,
    attention,
    lag,
    overview,
    read_health,
    readers,
    topics_of,
)

STATUS: dict[str, Any] = {
    "service": "rating",
    "open_date": "2025-09-01",
    "paused": "",
    "outbox": {"depth": 3, "parked": 0, "oldest_seconds": 12.9},
    "parked": {"parked": 0, "waiting": 0},
    "calls": {"pending": 1, "unknown": 2, "failed": 0},
    "timers": {"count": 4, "next_due": "2025-10-01"},
    "reads": ["application"],
    "handles": ["application.submitted.v1"],
    "positions": {"application": {"0": 10, "1": 4}, "clock": {"0": 1}},
    "published": {"rating": {"0": 7}},
}
RATING = read_health("rating", "ready", STATUS)
APPLICATION = Health(name="application", readiness="ready", published={"application": {"0": 10, "1": 9, "2": 0}})


def test_an_account_is_read_as_facts() -> None:
    assert (RATING.reads, RATING.handles) == (("application",), ("application.submitted.v1",))
    assert (RATING.outbox_depth, RATING.outbox_oldest_seconds, RATING.next_due) == (3, 12, "2025-10-01")


def test_nothing_opened_yet_is_empty_not_an_error() -> None:
    fresh = {**STATUS, "open_date": None, "timers": {"count": 0, "next_due": None}}
    assert read_health("rating", "ready", fresh).open_date == ""


def test_an_account_that_lacks_a_part_is_refused() -> None:
    with pytest.raises(KeyError):
        read_health("rating", "ready", {key: value for key, value in STATUS.items() if key != "outbox"})


def test_lag_is_published_less_applied_over_all_partitions_and_an_unread_partition_counts_from_its_start() -> None:
    assert lag(RATING, [APPLICATION, RATING]) == {"application": 0 + 5 + 1}


def test_a_reader_ahead_of_what_the_publisher_told_has_no_lag() -> None:
    ahead = replace(RATING, positions={"application": {"0": 11, "1": 9, "2": 5}})
    assert lag(ahead, [APPLICATION]) == {"application": 0}


def test_lag_is_unknown_while_the_publisher_does_not_answer() -> None:
    assert lag(RATING, [Health(name="application", readiness="unreachable"), RATING]) == {"application": None}


def test_a_publisher_that_answers_and_has_published_nothing_leaves_no_lag() -> None:
    assert lag(RATING, [Health(name="application", readiness="ready"), RATING]) == {"application": 0}


def test_lag_counts_every_topic_a_service_reads_also_before_it_has_read_any() -> None:
    assert lag(replace(RATING, positions={}), [APPLICATION]) == {"application": 11 + 10 + 1}


def test_readers_of_a_type_are_those_who_act_on_it_by_their_own_account() -> None:
    console = Health(name="console", readiness="ready", handles=("application.submitted.v1", "rating.assigned.v1"))
    assert readers([RATING, console]) == {
        "application.submitted.v1": ("rating", "console"),
        "rating.assigned.v1": ("console",),
    }


@pytest.mark.parametrize(
    ("change", "signs"),
    [
        ({}, ()),
        ({"readiness": "not_ready"}, ("not_ready",)),
        ({"readiness": "unreachable"}, ("unreachable",)),
        ({"paused": "too many blocked keys"}, ("consumption_paused",)),
        ({"parked": 1}, ("events_parked",)),
        ({"waiting": 1}, ()),
        ({"outbox_oldest_seconds": 60}, ()),
        ({"outbox_oldest_seconds": 61}, ("events_unsent",)),
        ({"outbox_parked": 1}, ("events_unsendable",)),
        ({"calls_failed": 1}, ("calls_failed",)),
        ({"calls_unknown": 9}, ()),
    ],
)
def test_what_people_must_look_at(change: dict[str, Any], signs: tuple[str, ...]) -> None:
    assert tuple(sign.code for sign in attention(replace(RATING, **change))) == signs


def test_the_overview_adds_up_what_was_told_and_leaves_unknown_what_was_not() -> None:
    whole = overview([APPLICATION, replace(RATING, parked=2, waiting=3)])
    assert (whole.ready, whole.behind, whole.parked, whole.waiting, whole.unsent) == (2, 6, 2, 3, 3)
    assert (whole.open_dates, whole.oldest_seconds) == (("2025-09-01",), 12)
    assert whole.signs == (Sign("rating", "events_parked", 2),)
    silent = overview([Health(name="application", readiness="unreachable"), RATING])
    assert (silent.ready, silent.behind) == (1, None)
    withheld = overview([Health(name="application", readiness="ready", withheld=True), RATING])
    assert (withheld.ready, withheld.behind, withheld.signs) == (2, None, ())


def test_a_topic_is_told_by_its_publisher_and_its_lag_by_each_reader() -> None:
    [topic, _] = topics_of([APPLICATION, RATING])
    assert (topic.name, topic.published, topic.behind) == ("application", 11 + 10 + 1, {"rating": 6})
    [silent, _] = topics_of([Health(name="application", readiness="unreachable"), RATING])
    assert (silent.told, silent.behind) == (False, {"rating": None})
