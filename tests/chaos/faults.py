"""What is done to a running platform, one named fault at a time; each returns when its cause is gone.

Every fault takes the conductor and the number of its turn (0, 1, …), and returns the monotonic time at which it struck.
"""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import date
from random import Random
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer

from deploy.local.process import terminate
from libs.runtime.outward import Direct
from tests.chaos.cluster import EXTRA, SERVICES, Platform
from tests.chaos.proxy import Link

STOPPED_SECONDS = 13.0  # longer than the 10 s after which the brokers give a silent member's partitions away
CUT_SECONDS = 4.0
SILENT_SECONDS = 8.0
DOWN_SECONDS = 2.0
CLOCK_OFF_SECONDS = 600.0
SKEWED_SECONDS = 8.0
FIRST_SECONDS = 8.0  # for the service whose turn it is to come to a point
ARMED_SECONDS = 60.0
PASSED_SECONDS = 90.0
ORDER_SECONDS = 20.0  # for a first order to come to a partner that is about to misbehave
MISBEHAVE_SECONDS = 6.0
CALLERS = ("application", "guarantee")
TOPICS = ("application", "rating", "collateral", "guarantee", "incentive", "clock")

Thrown = tuple[str, int, int, str]
"""Topic, partition, offset and id of a message that was thrown in."""
Fault = Callable[["Conductor", int], Awaitable[float]]


class Conductor:
    """Who does it: the platform, seeded chance, and what was thrown into the topics."""

    def __init__(self, platform: Platform, seed: int) -> None:
        self.platform, self.random = platform, Random(seed)
        self.poison: list[Thrown] = []

    def somebody(self) -> tuple[str, int]:
        """Any replica of any service."""
        return self.random.choice(self.platform.services), self.random.choice(list(self.platform.numbers))


async def replica_killed(conductor: Conductor, _: int) -> float:
    """SIGKILL of any replica; it is started again."""
    place = conductor.somebody()
    conductor.platform.children[place].kill()
    struck = time.monotonic()
    await asyncio.sleep(DOWN_SECONDS)
    await conductor.platform.relaunch(*place)
    return struck


def killed_at(point: str, services: tuple[str, ...]) -> Fault:
    """SIGKILL at a named point of the runtime, in whichever replica reaches it first.

    Services take turns; where one has nothing to do just then, the others named are waited for besides.
    """

    async def killed(conductor: Conductor, turn: int) -> float:
        platform = conductor.platform
        first = services[turn % len(services)]
        armed = _armed(platform, point, (first,))
        if not await _one_down(platform, armed, FIRST_SECONDS):
            armed += _armed(platform, point, tuple(name for name in services if name != first))
        fallen = await _one_down(platform, armed, ARMED_SECONDS)
        struck = time.monotonic()
        for place in set(armed) - set(fallen):
            platform.arm(*place, "")
        if not fallen:
            raise NotReached(f"no replica of {', '.join(services)} came to {point}")
        await asyncio.sleep(DOWN_SECONDS)
        for place in _down(platform, armed):  # who came to it before it was disarmed, too
            await platform.relaunch(*place)
        return struck

    killed.__doc__ = f"SIGKILL at `{point}`, in whichever replica reaches it first."
    return killed


def _armed(platform: Platform, point: str, services: Sequence[str]) -> list[tuple[str, int]]:
    places = [(service, number) for service in services for number in platform.numbers]
    for place in places:
        platform.arm(*place, f"{point}:1")
    return places


def _down(platform: Platform, places: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    return [place for place in places if not platform.children[place].running]


async def _one_down(platform: Platform, places: Sequence[tuple[str, int]], seconds: float) -> list[tuple[str, int]]:
    """Those of `places` that are down, as soon as there is one, or none after `seconds`."""
    begun = time.monotonic()
    while not (down := _down(platform, places)) and time.monotonic() - begun < seconds:
        await asyncio.sleep(0.02)
    return down


class NotReached(Exception):
    """The fault could not strike: nothing came to the point within a minute."""


async def replica_stopped(conductor: Conductor, _: int) -> float:
    """SIGSTOP for longer than the session timeout: a zombie that wakes up with work in hand."""
    place = conductor.somebody()
    process = conductor.platform.children[place].process
    process.send_signal(signal.SIGSTOP)
    struck = time.monotonic()
    await asyncio.sleep(STOPPED_SECONDS)
    process.send_signal(signal.SIGCONT)
    return struck


async def broker_killed(conductor: Conductor, _: int) -> float:
    """SIGKILL and restart of a broker that does not lead the controllers (the only one, when there is one)."""
    cluster = conductor.platform.ground.brokers
    leader = cluster.controller()
    others = [node for node in cluster.nodes if node is not leader] or cluster.nodes
    node = conductor.random.choice(others)
    node.kill()
    struck = time.monotonic()
    await asyncio.sleep(DOWN_SECONDS)
    cluster.start([node])
    return struck


async def controller_killed(conductor: Conductor, _: int) -> float:
    """SIGKILL and restart of the broker that leads the controllers."""
    cluster = conductor.platform.ground.brokers
    node = cluster.controller()
    node.kill()
    struck = time.monotonic()
    await asyncio.sleep(DOWN_SECONDS)
    cluster.start([node])
    return struck


async def database_killed(conductor: Conductor, _: int) -> float:
    """SIGKILL of PostgreSQL, which then recovers from its log."""
    database = conductor.platform.ground.database
    database.kill()
    struck = time.monotonic()
    await asyncio.sleep(DOWN_SECONDS)
    database.start()
    return struck


def cut(links: Callable[[Conductor], list[Link]]) -> Fault:
    """Connections reset and refused; every other turn nothing is said at all, in either direction."""

    async def cut_off(conductor: Conductor, turn: int) -> float:
        chosen, proxy = links(conductor), conductor.platform.ground.proxy
        struck = time.monotonic()
        for link in chosen:
            proxy.do(lambda link=link: link.silence(silent=True) if turn % 2 else link.cut(refusing=True))  # type: ignore[misc]  # a lambda's default
        await asyncio.sleep(SILENT_SECONDS if turn % 2 else CUT_SECONDS)
        for link in chosen:
            proxy.do(lambda link=link: link.silence(silent=False) if turn % 2 else link.cut(refusing=False))  # type: ignore[misc]  # a lambda's default
        return struck

    cut_off.__doc__ = cut.__doc__
    return cut_off


def half_open(links: Callable[[Conductor], list[Link]]) -> Fault:
    """One side of every connection is gone and the other is never told; turns alternate between the sides."""

    async def in_the_dark(conductor: Conductor, turn: int) -> float:
        struck = time.monotonic()
        for link in links(conductor):
            conductor.platform.ground.proxy.do(lambda link=link: link.half_open(to_client=turn % 2 == 0))  # type: ignore[misc]  # a lambda's default
        await asyncio.sleep(SILENT_SECONDS)  # what goes into the dark has to be noticed first
        return struck

    in_the_dark.__doc__ = half_open.__doc__
    return in_the_dark


def _a_database_link(conductor: Conductor) -> list[Link]:
    return [conductor.platform.links[conductor.random.choice(conductor.platform.services)]]


def _all_broker_links(conductor: Conductor) -> list[Link]:
    return conductor.platform.ground.broker_links


def partner(word: str) -> Fault:
    """Core banking and the guarantee partner misbehave on their next orders."""

    def _patience(nothing_yet: object) -> float:
        return ORDER_SECONDS if nothing_yet else MISBEHAVE_SECONDS

    async def misbehave(conductor: Conductor, _: int) -> float:
        struck, asked = time.monotonic(), [word] * 3
        urls = [f"{url}/misbehaviour" for url in conductor.platform.stack.stand_ins.values()]
        async with httpx.AsyncClient(trust_env=False) as http:
            for url in urls:
                (await http.post(url, json={"script": asked})).raise_for_status()
            left = [asked, asked]
            while any(left) and time.monotonic() - struck < _patience(left == [asked, asked]):
                await asyncio.sleep(0.1)
                left = [(await http.get(url)).json()["script"] for url in urls]
            for url in urls:
                (await http.post(url, json={"script": []})).raise_for_status()
        if left == [asked, asked]:
            raise NotReached("no order came to any partner")
        return struck

    misbehave.__doc__ = {
        "late": "Core banking and the guarantee partner do the work and answer after our deadline.",
        "fail": "Core banking and the guarantee partner answer 500.",
        "lose": "Core banking and the guarantee partner do the work and lose the answer.",
    }[word]
    return misbehave


async def rebalance(conductor: Conductor, turn: int) -> float:
    """One more replica joins during the work and leaves again."""
    service = SERVICES[turn % len(SERVICES)]
    platform = conductor.platform
    platform.launch(service, EXTRA)
    struck = time.monotonic()
    await platform.ready(service, EXTRA)
    await asyncio.sleep(1)
    terminate(platform.children.pop((service, EXTRA)), grace_s=15)
    return struck


async def poison(conductor: Conductor, turn: int) -> float:
    """A message in the middle of every topic that cannot be read, or not be applied; an operator discards it."""
    platform = conductor.platform
    producer = AIOKafkaProducer(bootstrap_servers=platform.ground.brokers.bootstrap, acks="all")
    await producer.start()
    struck = time.monotonic()
    thrown: list[Thrown] = []
    try:
        for topic in TOPICS:
            id_, key = str(uuid.UUID(int=conductor.random.getrandbits(128), version=4)), f"poison-{turn}-{topic}"
            readable = turn % 2 == 1 and topic != "clock"
            headers = _envelope(topic, id_, key) if readable else [("ce_id", b"\xff\xfe")]
            value = b"{}" if readable else b"\xff\x00 no event"
            told = await producer.send_and_wait(
                platform.stack.topic_prefix + topic, value=value, key=key.encode(), headers=headers
            )
            thrown.append((topic, told.partition, told.offset, id_))
    finally:
        await producer.stop()
    conductor.poison += thrown
    await _discarded(conductor, thrown)
    return struck


HANDLED = {  # an event of each topic that somebody handles, and whose body `{}` is none
    "application": "application.submitted.v1",
    "rating": "rating.assigned.v1",
    "collateral": "collateral.valued.v1",
    "guarantee": "cover.bound.v1",
    "incentive": "case.determined.v1",
}


def _envelope(topic: str, id_: str, key: str) -> list[tuple[str, bytes]]:
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": id_,
        "ce_type": HANDLED[topic],
        "ce_source": f"/silverbear/{topic}",
        "ce_partitionkey": key,
        "ce_sequence": "1",
        "ce_businessdate": date(2000, 1, 1).isoformat(),
        "ce_time": "2000-01-01T00:00:00+00:00",
    }
    return [(name, value.encode()) for name, value in attributes.items()]


async def _discarded(conductor: Conductor, thrown: Sequence[Thrown]) -> None:
    """Discard at every service, as an operator does, until every reader is past what was thrown in."""
    platform = conductor.platform
    token = platform.operator_token()
    begun, passed = time.monotonic(), False
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(trust_env=False, timeout=10, transport=Direct(), headers=headers) as http:
        while not passed and time.monotonic() - begun < PASSED_SECONDS:
            await asyncio.sleep(0.3)
            # Looked at before what is parked: what the last of them parks is seen then.
            passed = all([await _is_past(http, platform.url(service, 1), thrown) for service in platform.services])
            for service in platform.services:
                parked = await _asked(http, f"{platform.url(service, 1)}/v1/ops/parked") or {"items": []}
                for row in parked["items"]:
                    if row["key"].startswith(("undecodable:", "poison-")):
                        url = f"{platform.url(service, 1)}/v1/ops/discarded/{row['event_id']}"
                        with suppress(httpx.HTTPError):  # it is still there when looked at again
                            await http.post(
                                url, json={"reason": "thrown in"}, headers={"idempotency-key": row["event_id"]}
                            )
                        passed = False


async def _is_past(http: httpx.AsyncClient, url: str, thrown: Sequence[Thrown]) -> bool:
    status = await _asked(http, f"{url}/v1/ops/status")
    if status is None:
        return False
    reached = status["positions"]
    return all(
        reached.get(topic, {}).get(str(part), -1) >= offset
        for topic, part, offset, _ in thrown
        if topic in (*status["reads"], "clock")
    )


async def _asked(http: httpx.AsyncClient, url: str) -> Any:
    """The JSON of an answer, None when there is none just now."""
    try:
        answer = await http.get(url)
    except httpx.HTTPError:
        return None
    return answer.json() if answer.status_code == httpx.codes.OK else None


async def clock_off(conductor: Conductor, turn: int) -> float:
    """A replica's wall clock is ten minutes ahead, or behind."""
    place = conductor.somebody()
    offset = CLOCK_OFF_SECONDS if turn % 2 == 0 else -CLOCK_OFF_SECONDS
    conductor.platform.end(*place)
    struck = time.monotonic()
    await conductor.platform.relaunch(*place, {"CHAOS_CLOCK_OFFSET": str(offset)})
    await asyncio.sleep(SKEWED_SECONDS)
    conductor.platform.end(*place)
    await conductor.platform.relaunch(*place)
    return struck


ORDERED = ("killed after a call", "partner late", "partner fails", "partner loses answers")
"""Faults that strike when a partner gets an order."""
FAULTS: dict[str, Fault] = {
    "replica killed": replica_killed,
    "killed before send": killed_at("relay.before_send", ("application", "guarantee", "collateral", "rating")),
    "killed after acknowledgement": killed_at("relay.after_ack", ("guarantee", "application", "incentive", "rating")),
    "killed within a batch": killed_at("consumer.mid_batch", ("incentive", "guarantee", "application")),
    "killed after a commit": killed_at("consumer.after_commit", ("collateral", "application", "guarantee")),
    "killed after a call": killed_at("calls.after_send", CALLERS),
    "replica stopped": replica_stopped,
    "broker killed": broker_killed,
    "controller killed": controller_killed,
    "database killed": database_killed,
    "database cut off": cut(_a_database_link),
    "database half open": half_open(_a_database_link),
    "brokers cut off": cut(_all_broker_links),
    "brokers half open": half_open(_all_broker_links),
    "partner late": partner("late"),
    "partner fails": partner("fail"),
    "partner loses answers": partner("lose"),
    "rebalance": rebalance,
    "poison": poison,
    "clock off": clock_off,
}
