"""Whatever schemathesis draws from a service's own document, sound or broken: no 500, and no undocumented answer."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any

import httpx
import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.harness.bench import Bench
from tests.hostile.doors import SERVICES, doors_of
from tests.hostile.seeds import Known, seed
from tests.hostile.table import documented

SOUND, BROKEN = 8, 6  # cases of each kind for each door
SOUND_TRIED_HARD = 60
SHOWS_THE_COMMON = "rating"  # the doors that all services share are tried at one
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# the seeds park nothing, and no call of theirs fails
NEVER_FOUND = {
    "POST /v1/ops/discarded/{event_id}",
    "POST /v1/ops/calls/{call_id}/retry",
    "POST /v1/ops/calls/{call_id}/settle",
}
HEADERS_KEPT = ("if-match", "if-none-match", "content-type")
Seeding = Callable[[Bench], Awaitable[Known]]


class Attack:
    """One service with a little data in it, in an event loop of its own: hypothesis is not asynchronous."""

    def __init__(self, bench: Bench, runner: asyncio.Runner, seeding: Seeding = seed) -> None:
        self.bench, self.runner, self.name = bench, runner, bench.service.name
        self.known: Known = runner.run(self._begin(seeding))
        self.problems = documented(self.name)
        self.schema = schemathesis.openapi.from_dict(bench.service.app.openapi())
        self.statuses: dict[str, Counter[int]] = {}

    @property
    def unheard(self) -> set[str]:
        """Doors at which nothing came as far as a rule."""
        return {door for door, seen in self.statuses.items() if not seen.keys() - {400, 404, 422}}

    async def _begin(self, seeding: Seeding) -> Known:
        await self.bench.__aenter__()
        return await seeding(self.bench)

    def end(self) -> None:
        self.runner.run(self.bench.__aexit__())

    def bearer(self, door: str) -> dict[str, str]:
        """The token of somebody who may use the door."""
        role = min(doors_of(self.name)[door].roles or {"operator"})
        actor = (self.known.get("actor") or ["someone"])[0]
        return self.bench.bearer(actor, role, org="" if door.startswith("GET ") else "b1")

    def send(self, case: Case, door: str) -> httpx.Response:
        """Send the case in a role that may use the door."""
        sent = requests.Request(**case.as_transport_kwargs(base_url="http://service")).prepare()
        kept = {name: value for name, value in sent.headers.items() if name.lower() in HEADERS_KEPT}
        headers = {**kept, **self.bearer(door), "idempotency-key": str(uuid.uuid4())}
        content: Any = sent.body.encode() if isinstance(sent.body, str) else sent.body
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        request = httpx.Request(sent.method or "GET", sent.url or "", headers=raw, content=content)
        return self.runner.run(self.bench.http.send(request))

    def judge(self, case: Case, door: str) -> None:
        """Send the case, and fail unless the answer is one that the document promises for this door."""
        self.check(case, door, self.send(case, door))

    def check(self, case: Case, door: str, answer: httpx.Response | Response) -> None:
        """Fail unless the answer is one that the document promises for this door."""
        self.statuses.setdefault(door, Counter())[answer.status_code] += 1
        if door != "GET /health/ready" or answer.status_code != 503:  # no broker here: never ready
            case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 400:
            told = answer.json()
            assert told["status"] == answer.status_code
            assert (told["status"], told["code"]) in self.problems, told


@pytest.fixture(params=sorted(SERVICES))
def attack(request: pytest.FixtureRequest, bench: Callable[..., Bench]) -> Iterator[Attack]:
    with asyncio.Runner() as runner:
        attacked = Attack(bench(SERVICES[request.param], wait_seconds_max=0.1), runner)
        yield attacked
        attacked.end()


# What a document cannot say of numbers and days: how many decimals, between which days.
_SHARES, _DAYS = ("0", "0.2", "0.80", "1"), ("2025-09-01", "2025-08-01", "2026-02-28", "1900-01-01", "2199-12-31")
PLAIN: Known = {
    **dict.fromkeys(("annual_rate", "share_max", "bank_share_min", "premium_rate", "sales_share"), _SHARES),
    **dict.fromkeys(("principal", "interest", "penalty", "rate_max", "premium_rate_max", "ceiling", "up_to"), _SHARES),
    **dict.fromkeys(("amount_max", "obligor_max", "group_max", "year_max"), ("0", "1000000")),
    **dict.fromkeys(("suspend_at", "warn_at", "reinstate_at", "throttle_to", "rate"), ("0.03", "1")),
    **dict.fromkeys(("years_in_business", "weight", "value", "price", "cost"), ("0", "1", "6.5", "1000000")),
    **dict.fromkeys(("due", "trained_until", "valued_on", "on", "as_of", "effective", "maturity"), _DAYS),
}
AMOUNTS = ("0", "0.01", "1000.00", "1000000")
CURRENCIES = ("CNY", "CNY", "CNY", "CNY", "USD")


@st.composite
def acquainted(draw: st.DrawFn, cases: st.SearchStrategy[Case], known: Known) -> Case:
    """A case in which names of our data, amounts and days stand where the document wants some: mostly."""
    case = draw(cases)
    if draw(st.integers(0, 5)):
        names = {**PLAIN, **known}
        case.path_parameters = acquaint(lambda some: draw(st.sampled_from(some)), case.path_parameters, names)
        case.body = acquaint(lambda some: draw(st.sampled_from(some)), case.body, names)
    return case


def acquaint(
    choose: Callable[[Sequence[str]], str], value: Any, known: Known, told: Collection[str] = (), name: str = ""
) -> Any:
    """The value with amounts, days and names of ours in their places; what the service `told` itself is kept."""
    match value:
        case {"amount": str(amount), "currency": _} if amount in told:
            return value
        case {"amount": _, "currency": _}:
            return {"amount": choose(AMOUNTS), "currency": choose(CURRENCIES)}
        case dict():
            return {key: acquaint(choose, part, known, told, key) for key, part in value.items()}
        case list():
            return [acquaint(choose, part, known, told, name) for part in value]
        case str() | int() | float() if name in known and value not in told:
            return choose(list(known[name]))
    return value


def play(attack: Attack, door: str, cases: st.SearchStrategy[Case], count: int) -> None:
    """Send `count` cases to one door, always the same ones."""

    @hypothesis.settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(case=acquainted(cases, attack.known))
    def judged(case: Case) -> None:
        attack.judge(case, door)

    judged()


def test_no_drawn_request_breaks_a_service_or_its_promises(attack: Attack) -> None:
    for result in attack.schema.get_all_operations():
        operation = result.ok()
        door = f"{operation.method.upper()} {operation.path}"
        if (" /v1/" not in door or " /v1/ops/" in door) and attack.name != SHOWS_THE_COMMON:
            continue
        play(attack, door, operation.as_strategy(generation_mode=GenerationMode.POSITIVE), SOUND)
        with suppress(hypothesis.errors.Unsatisfiable):  # nothing that this door is told could be wrong
            play(attack, door, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE), BROKEN)
        if (
            door in attack.unheard - NEVER_FOUND
        ):  # every constant of the code moves what is drawn: a little longer, then
            play(attack, door, operation.as_strategy(generation_mode=GenerationMode.POSITIVE), SOUND_TRIED_HARD)
    assert attack.unheard <= NEVER_FOUND, "these requests never came as far as a rule: the attack has gone blunt"
