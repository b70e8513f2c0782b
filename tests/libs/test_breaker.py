"""A party that keeps failing is left alone, probed by one, and taken back with its first answer."""

from __future__ import annotations

from libs.runtime.breaker import FAILURES_MAX, OPEN_SECONDS, OPEN_SECONDS_MAX, PROBE_SECONDS_MAX, Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(FAILURES_MAX):
        assert breaker.wait("one") == 0
        breaker.failed("one")
    return breaker


def test_it_opens_after_some_failures_in_a_row_for_that_party_alone() -> None:
    breaker = opened(Clock())
    assert breaker.wait("one") == OPEN_SECONDS
    assert breaker.wait("two") == 0


def test_an_answer_in_between_begins_the_count_anew() -> None:
    breaker = Breaker(Clock())
    for _ in range(3):
        for _ in range(FAILURES_MAX - 1):
            breaker.failed("one")
        breaker.went_well("one")
    assert breaker.wait("one") == 0


def test_after_the_pause_one_probe_goes_and_the_others_wait_for_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = OPEN_SECONDS
    assert breaker.wait("one") == 0
    assert breaker.wait("one") > 0
    breaker.went_well("one")
    assert [breaker.wait("one") for _ in range(3)] == [0, 0, 0]


def test_each_probe_that_fails_doubles_the_pause_up_to_its_bound() -> None:
    clock = Clock()
    breaker = opened(clock)
    pauses = []
    for _ in range(8):
        clock.now += breaker.wait("one")
        assert breaker.wait("one") == 0
        breaker.failed("one")
        pauses.append(breaker.wait("one"))
    assert pauses == [4, 8, 16, 32, *[OPEN_SECONDS_MAX] * 4]


def test_a_probe_that_never_ended_does_not_shut_the_party_out_for_good() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = OPEN_SECONDS
    assert breaker.wait("one") == 0
    clock.now += PROBE_SECONDS_MAX
    assert breaker.wait("one") == 0
