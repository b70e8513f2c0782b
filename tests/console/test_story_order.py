"""A story is told by business date, in each publisher's own order, and never an effect before its cause."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from libs.events.application import ApplicationSubmitted, ContractSigned, FacilityGranted, ReferralReceived
from libs.events.collateral import CollateralOffered
from libs.events.guarantee import CoverBound
from services.console.domain.story import Told, in_order
from tests.console.samples import DAY, sample, told

NEXT_DAY = DAY + timedelta(days=1)


def ids(events: tuple[Told, ...]) -> list[str]:
    return [event.event_id for event in events]


def test_an_earlier_business_date_comes_first_whatever_the_topic() -> None:
    late = told(sample(ContractSigned), 1, on=NEXT_DAY)
    early = told(sample(CoverBound), 9, on=DAY)
    assert in_order([late, early]) == (early, late)


def test_one_publishers_events_keep_its_sequence_on_one_day() -> None:
    second = told(sample(ApplicationSubmitted), 2)
    first = told(sample(ReferralReceived), 1)
    tenth = told(sample(ContractSigned), 10)
    assert in_order([tenth, second, first]) == (first, second, tenth)


def test_an_effect_comes_after_its_cause_even_when_its_topic_and_sequence_would_put_it_first() -> None:
    offered = told(sample(CollateralOffered), 1, cause="application-5")
    submitted = told(sample(ApplicationSubmitted), 5)
    assert ids(in_order([offered, submitted])) == ["application-5", "collateral-1"]
    answer = told(sample(FacilityGranted), 1, cause="collateral-1")
    assert ids(in_order([answer, replace(offered, cause="")])) == ["collateral-1", "application-1"]


def test_a_cause_outside_the_story_holds_nothing_back() -> None:
    bound = told(sample(CoverBound), 1, cause="some-timer")
    assert in_order([bound]) == (bound,)


def test_events_that_wait_for_one_another_come_last_and_none_is_lost() -> None:
    one = told(sample(CoverBound), 1, cause="collateral-1")
    other = told(sample(CollateralOffered), 1, cause="guarantee-1")
    sound = told(sample(ContractSigned), 1, on=NEXT_DAY)
    assert ids(in_order([one, other, sound])) == ["application-1", "collateral-1", "guarantee-1"]


def test_nothing_told_is_an_empty_story() -> None:
    assert in_order([]) == ()


BODIES = (sample(ReferralReceived), sample(CollateralOffered), sample(CoverBound))


@st.composite
def stories(draw: st.DrawFn) -> list[Told]:
    """A story as it could have happened: each event may be caused by any event before it."""
    events: list[Told] = []
    counts = [0, 0, 0]
    on: date = DAY
    for number in range(draw(st.integers(1, 25))):
        publisher = draw(st.integers(0, 2))
        counts[publisher] += 1
        on += timedelta(days=draw(st.integers(0, 1)))
        cause = draw(st.sampled_from(["", *(event.event_id for event in events)]))
        events.append(told(BODIES[publisher], counts[publisher], on=on, cause=cause, event_id=f"event-{number}"))
    return events


@given(stories(), st.randoms(use_true_random=False))
def test_any_interleaving_of_a_story_is_told_the_same_and_keeps_dates_sequences_and_causes(
    events: list[Told], random: object
) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types its random as object
    order = in_order(shuffled)
    assert order == in_order(events)
    assert sorted(ids(order)) == sorted(event.event_id for event in events)
    place = {event.event_id: index for index, event in enumerate(order)}
    for event in events:
        assert event.cause == "" or place[event.cause] < place[event.event_id]
    for before, after in pairwise(order):
        assert before.business_date <= after.business_date
    for topic in {event.topic for event in events}:
        sequences = [event.sequence for event in order if event.topic == topic]
        assert sequences == sorted(sequences)
