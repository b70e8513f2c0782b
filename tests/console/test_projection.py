"""The projection on real PostgreSQL: every type is kept once, and the order in which topics arrive changes nothing."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any

import pytest

from libs.events.application import LoanDisbursed, LoanReclassified, ReferralReceived
from libs.events.catalogue import kinds
from libs.events.envelope import kind_of
from services.console.main import service
from services.console.reactions import REACTIONS, READS
from tests.console.samples import DAY, arrival, bad_loan, sample
from tests.harness.bench import Bench

pytestmark = pytest.mark.asyncio


@pytest.fixture
async def console(bench: Callable[..., Bench]) -> AsyncIterator[Bench]:
    async with bench(service) as opened:
        yield opened


def interleaved(bodies: list[Any], seed: int) -> list[Any]:
    """The same events with the topics mixed at random, each topic in its own order."""
    by_topic: dict[str, deque[Any]] = defaultdict(deque)
    for body in bodies:
        by_topic[kind_of(body).topic].append(body)
    picks = [topic for topic, queue in by_topic.items() for _ in queue]
    random.Random(seed).shuffle(picks)
    return [by_topic[topic].popleft() for topic in picks]


async def tell(console: Bench, days: list[tuple[date, list[Any]]]) -> None:
    for day, bodies in days:
        await console.react(*bodies, on=day)


async def test_every_type_of_every_business_topic_is_recorded(console: Bench) -> None:
    bodies = [sample(kind.body, facility_id="f-1") for kind in kinds() if kind.topic != "clock"]
    assert {kind_of(body).topic for body in bodies} == set(READS)
    assert {type(body) for body in bodies} == set(REACTIONS)
    await console.react(*bodies, on=DAY)
    assert await console.parked() == []
    counts = (await console.get("/v1/counts")).json()
    assert counts["events"] == len(bodies)
    assert set(counts["types"].values()) == {1}
    assert counts["facilities"] == 1


async def test_the_console_publishes_nothing_and_calls_nobody(console: Bench) -> None:
    await tell(console, bad_loan("f-1"))
    assert await console.published() == []
    assert await console.calls() == []


async def test_a_batch_of_several_facilities_keeps_their_stories_apart(console: Bench) -> None:
    await console.react(
        sample(ReferralReceived, facility_id="f-1"),
        sample(ReferralReceived, facility_id="f-2"),
        sample(LoanDisbursed, facility_id="f-1"),
        on=DAY,
    )
    stories = [(await console.get(f"/v1/facilities/{key}/story")).json() for key in ("f-1", "f-2")]
    assert [[event["type"] for event in story["events"]] for story in stories] == [
        ["referral.received.v1", "loan.disbursed.v1"],
        ["referral.received.v1"],
    ]
    assert [story["facility"]["events"] for story in stories] == [2, 1]


async def test_an_event_delivered_twice_is_told_once(console: Bench) -> None:
    referred = arrival(sample(ReferralReceived, facility_id="f-1"), 1)
    await console.consumer.apply([referred])
    await console.consumer.apply([referred, referred])
    story = (await console.get("/v1/facilities/f-1/story")).json()
    assert len(story["events"]) == story["facility"]["events"] == 1


@pytest.mark.parametrize("seed", range(3))
async def test_topics_interleaved_at_random_within_a_day_give_the_same_projection(
    bench: Callable[..., Bench], seed: int
) -> None:
    seen = []
    for mixed in (False, True):
        async with bench(service) as console:
            days = bad_loan("f-1")
            await tell(console, [(day, interleaved(bodies, seed) if mixed else bodies) for day, bodies in days])
            story = (await console.get("/v1/facilities/f-1/story")).json()
            told = [(event["type"], event["sequence"], event["body"]) for event in story["events"]]
            seen.append((await console.dump(), told, story["facility"]))
    assert seen[0] == seen[1]


async def test_a_loan_that_went_bad_is_told_from_referral_to_write_off(console: Bench) -> None:
    await tell(console, bad_loan("f-1"))
    story = (await console.get("/v1/facilities/f-1/story")).json()
    facility, events = story["facility"], story["events"]
    assert (facility["stage"], facility["loans"]) == ("written_off", {"loan-1": "written_off"})
    assert (facility["external_ref"], facility["limit_granted"]["amount"]) == ("ref-1", "750000.00")
    assert (facility["first_on"], facility["last_on"]) == ("2025-09-01", "2026-08-08")
    assert [event["business_date"] for event in events] == sorted(event["business_date"] for event in events)
    assert events[0]["title"] == {"en": "Referral received", "zh": "收到客户推荐"}
    npl = next(event for event in events if event["body"].get("npl"))
    assert npl["type"] == "loan.reclassified.v1"
    assert "substandard" in npl["text"]["en"]
    assert "次级类" in npl["text"]["zh"]


async def test_an_event_ahead_of_its_turn_waits_and_is_told_when_the_gap_closes(console: Bench) -> None:
    first = arrival(sample(ReferralReceived, facility_id="f-1"), 1)
    second = arrival(sample(LoanReclassified, facility_id="f-1", npl=True), 2)
    await console.consumer.apply([second])
    assert (await console.get("/v1/facilities/f-1/story")).status_code == 404
    await console.consumer.apply([first])
    story = (await console.get("/v1/facilities/f-1/story")).json()
    assert [event["sequence"] for event in story["events"]] == [1, 2]
    assert await console.parked() == []
