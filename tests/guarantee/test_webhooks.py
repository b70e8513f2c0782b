"""Webhooks: what happened to a partner's covers reaches it signed, in order, at least once, and nobody else."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from services.guarantee import deliveries
from services.guarantee.deliveries import Deliverer
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, DAY, PARTNER, Story, admit
from tests.harness.bench import Bench
from tests.harness.live import until

Benches = Callable[..., Bench]
ONE, TWO = Story(), Story(name="two")
HOOKS = f"/v1/partners/{PARTNER['partner_id']}/webhooks"
TARGET = "https://partner/hooks"
HIS_OWN, ANOTHERS = "city-guarantee", "another-partner"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a worker may overlook its first endpoint is nothing that is asked here."""
    monkeypatch.setattr(deliveries, "POLL_SECONDS", 0.1)


class Receiver:
    """A partner's own machine: `script` maps an event's type to the answers it gives, 204 when there is none left."""

    def __init__(self, **script: list[int]) -> None:
        self.script = {name.replace("__", "."): answers for name, answers in script.items()}
        self.heard: list[httpx.Request] = []
        self.under_way: Counter[str] = Counter()
        self.together = 0
        self.pause = 0.0

    async def handle(self, request: httpx.Request) -> httpx.Response:
        event = request.headers["webhook-id"]
        self.under_way[event] += 1
        self.together = max(self.together, self.under_way[event])
        await asyncio.sleep(self.pause)
        self.under_way[event] -= 1
        self.heard.append(request)
        answers = self.script.get(json.loads(request.content)["type"])
        status = answers.pop(0) if answers else 204
        return httpx.Response(status, headers={"location": "https://elsewhere/"} if status == 302 else {})

    @property
    def types(self) -> list[str]:
        return [json.loads(request.content)["type"].removesuffix(".v1") for request in self.heard]


def as_partner(b: Bench, party: str = HIS_OWN) -> dict[str, str]:
    return b.bearer("system", "partner", party=party, scope="webhooks.read webhooks.write")


async def ask(b: Bench, path: str, body: Any = None, *, key: str = "", party: str = HIS_OWN) -> httpx.Response:
    """POST in the partner's name."""
    headers = {**as_partner(b, party), "idempotency-key": key or datetime.now(UTC).isoformat()}
    return await b.http.post(path, json=body, headers=headers)


async def register(b: Bench, *types: str, url: str = TARGET) -> dict[str, Any]:
    """A registered endpoint: the answer."""
    answer = await ask(b, HOOKS, {"url": url, "types": types})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


@asynccontextmanager
async def delivering(b: Bench, receiver: Receiver, workers: int = 1) -> AsyncIterator[None]:
    """Workers that deliver to this receiver."""
    running = [Deliverer(b.parts, httpx.MockTransport(receiver.handle)) for _ in range(workers)]
    tasks = [asyncio.create_task(worker.run()) for worker in running]
    yield
    for worker in running:
        worker.close()
    await asyncio.gather(*tasks)


async def all_through(b: Bench, *, waiting: int = 0) -> None:
    """Wait until no more than `waiting` deliveries wait and none is under way."""

    async def through() -> bool:
        async with b.parts.engine.connect() as conn:
            behind = await conn.exec_driver_sql(
                "SELECT count(*) FROM endpoint_feeds f JOIN endpoints e USING (endpoint_id)"
                " JOIN partner_feeds p ON p.party = e.partner_id WHERE p.last > f.reached AND e.state <> 'closed'"
            )
            left = await conn.exec_driver_sql(
                "SELECT count(*), count(*) FILTER (WHERE lease_until > now()) FROM deliveries WHERE state = 'waiting'"
            )
            (count, leased) = left.one()
            return not behind.scalar() and count <= waiting and not leased

    await until(through, "everything is delivered")


async def heard(receiver: Receiver, count: int) -> None:
    """Wait until the receiver was sent so many."""

    async def came() -> bool:
        return len(receiver.heard) >= count

    await until(came, f"{count} attempts")


async def run(b: Bench, statement: str) -> None:
    async with b.parts.engine.begin() as conn:
        await conn.exec_driver_sql(statement)


def verified(request: httpx.Request, secret: str) -> Mapping[str, Any]:
    """What a receiver reads once the signature holds."""
    body: Mapping[str, Any] = Webhook(secret).verify(request.content, dict(request.headers))
    return body


async def test_a_partner_is_told_signed_and_in_order_what_happens_to_its_covers(bench: Benches) -> None:
    receiver = Receiver()
    async with bench(service) as b, delivering(b, receiver):
        await admit(b, AGREED)
        told = await register(b)
        await ONE.bind(b)
        await b.react(ONE.disbursed(), on=DAY)
        await all_through(b)
        bodies = [verified(request, told["secret"]) for request in receiver.heard]
        assert [body["type"].removesuffix(".v1") for body in bodies] == [
            *("cover.requested", "capacity.reserved", "cover.bound", "cover.activated", "premium.due")
        ]
        assert [body["number"] for body in bodies] == [1, 2, 3, 4, 5]
        assert bodies[2]["body"]["guaranteed"] == {"amount": "80000.00", "currency": "CNY"}
        assert {body["subject"] for body in bodies} == {ONE.facility_id}
        assert [request.headers["webhook-id"] for request in receiver.heard] == [body["id"] for body in bodies]
        with pytest.raises(WebhookVerificationError):
            verified(receiver.heard[0], "whsec_" + "A" * 44)


async def test_a_worker_is_woken_by_what_it_has_to_tell(bench: Benches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "POLL_SECONDS", 600)
    receiver = Receiver()
    async with bench(service) as b:
        await admit(b, AGREED)
        await register(b)
        async with delivering(b, receiver):
            await ONE.bind(b)
            await heard(receiver, 3)


async def test_an_endpoint_hears_only_the_types_it_asked_for_from_its_registration_on(bench: Benches) -> None:
    receiver = Receiver()
    async with bench(service) as b, delivering(b, receiver):
        await admit(b, AGREED)
        await TWO.bind(b)
        await register(b, "cover.bound.v1")
        await ONE.bind(b)
        await all_through(b)
        assert [(json.loads(r.content)["subject"], json.loads(r.content)["type"]) for r in receiver.heard] == [
            (ONE.facility_id, "cover.bound.v1")
        ]
        unknown = await ask(b, HOOKS, {"url": TARGET, "types": ["loan.overdue.v1"]})
        assert (unknown.status_code, unknown.json()["code"]) == (422, "type_not_told")


async def test_a_new_key_signs_beside_the_old_one_until_that_retires(bench: Benches) -> None:
    receiver = Receiver()
    async with bench(service) as b, delivering(b, receiver):
        await admit(b, AGREED)
        first = await register(b, "cover.bound.v1")
        keys = f"{HOOKS}/{first['endpoint']['endpoint_id']}/keys"
        second = await ask(b, keys, key="rotate")
        assert second.status_code == 201
        assert (await ask(b, keys, key="rotate")).json() == second.json()
        await ONE.bind(b)
        await all_through(b)
        for secret in (first["secret"], second.json()["secret"]):
            verified(receiver.heard[0], secret)
        await run(b, "UPDATE endpoint_keys SET retires = now() WHERE retires IS NOT NULL")
        await TWO.bind(b)
        await all_through(b)
        verified(receiver.heard[1], second.json()["secret"])
        with pytest.raises(WebhookVerificationError):
            verified(receiver.heard[1], first["secret"])
        assert (await ask(b, keys)).status_code == (await ask(b, keys)).status_code == 201
        assert (await ask(b, keys)).json()["code"] == "too_many_keys"


async def test_a_secret_is_told_to_its_maker_and_stored_nowhere_in_clear(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        first = await ask(b, HOOKS, {"url": TARGET}, key="k")
        again = await ask(b, HOOKS, {"url": TARGET}, key="k")
        assert (first.status_code, again.json(), first.headers["cache-control"]) == (201, first.json(), "no-store")
        other = await ask(b, HOOKS, {"url": TARGET + "2"}, key="k")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        secret = first.json()["secret"].removeprefix("whsec_")
        async with b.parts.engine.connect() as conn:
            for table in service.metadata.tables:
                rows = await conn.exec_driver_sql(f"SELECT t::text FROM {table} t")
                assert not any(secret in text for (text,) in rows), table


async def test_what_was_not_taken_is_sent_again_and_what_follows_it_waits(
    bench: Benches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "FIRST_PAUSE_SECONDS", 0)
    receiver = Receiver(cover__bound__v1=[500, 302, 429])
    async with bench(service) as b, delivering(b, receiver):
        await admit(b, AGREED)
        endpoint = (await register(b, "cover.bound.v1", "cover.activated.v1"))["endpoint"]["endpoint_id"]
        await ONE.bind(b)
        await b.react(ONE.disbursed(), on=DAY)
        await all_through(b)
        assert receiver.types == ["cover.bound"] * 4 + ["cover.activated"]
        assert len({request.headers["webhook-id"] for request in receiver.heard}) == 2
        listed = await b.http.get(f"{HOOKS}/{endpoint}/deliveries?limit=1", headers=as_partner(b))
        rest = await b.http.get(f"{HOOKS}/{endpoint}/deliveries?cursor={listed.json()['next']}", headers=as_partner(b))
        (last,), (first,) = listed.json()["items"], rest.json()["items"]
        assert (last["type"], last["state"], last["attempts"]) == ("cover.activated.v1", "delivered", 1)
        assert [attempt["status"] for attempt in first["log"]] == [500, 302, 429, 204]
        bank = await b.get(f"{HOOKS}/{endpoint}/deliveries?state=waiting")
        assert bank.json() == {"items": [], "next": ""}


async def test_one_cover_that_is_not_taken_holds_up_no_other(bench: Benches) -> None:
    receiver = Receiver(cover__requested__v1=[503])
    async with bench(service) as b, delivering(b, receiver):
        await admit(b, AGREED)
        await register(b, "cover.requested.v1", "cover.bound.v1")
        await ONE.bind(b)
        await heard(receiver, 1)
        await TWO.bind(b)
        await all_through(b, waiting=2)
        assert receiver.types == ["cover.requested", "cover.requested", "cover.bound"]


async def test_two_replicas_never_send_the_same_at_once_and_all_of_it_in_order(bench: Benches) -> None:
    receiver = Receiver()
    receiver.pause = 0.01
    stories = [Story(name=f"s{number}", amount="1000") for number in range(12)]
    async with bench(service) as b:
        await admit(b, AGREED)
        await register(b)
        for story in stories:
            await story.bind(b)
        async with delivering(b, receiver, workers=3):
            await all_through(b)
        assert receiver.together == 1
        bodies = [json.loads(request.content) for request in receiver.heard]
        assert len({body["id"] for body in bodies}) == len(bodies) == 36
        for story in stories:
            numbers = [body["number"] for body in bodies if body["subject"] == story.facility_id]
            assert numbers == sorted(numbers)


async def test_a_worker_that_died_after_it_sent_makes_a_second_copy_under_the_same_id(bench: Benches) -> None:
    receiver = Receiver()
    async with bench(service) as b:
        await admit(b, AGREED)
        await register(b, "cover.bound.v1")
        await ONE.bind(b)
        dying = Deliverer(b.parts, httpx.MockTransport(receiver.handle))
        (row,) = await dying._claim(1)
        async with httpx.AsyncClient(transport=httpx.MockTransport(receiver.handle)) as client:
            await dying._send(client, row)
        async with delivering(b, receiver):
            await asyncio.sleep(0.1)
            assert len(receiver.heard) == 1  # the lease of the dead one
            await run(b, "UPDATE deliveries SET lease_until = now()")
            await all_through(b)
        assert len(receiver.heard) == 2
        assert len({request.headers["webhook-id"] for request in receiver.heard}) == 1


async def test_an_endpoint_that_is_gone_is_disabled_with_notice_and_goes_on_where_it_stopped(bench: Benches) -> None:
    receiver = Receiver(cover__requested__v1=[410])
    async with bench(service) as b, delivering(b, receiver):
        await admit(b, AGREED)
        endpoint = (await register(b, "cover.requested.v1", "cover.bound.v1"))["endpoint"]["endpoint_id"]
        await ONE.bind(b)

        async def noticed() -> bool:
            return "partner.unreachable" in await b.names()

        await until(noticed, "the notice")
        (listed,) = (await b.get(HOOKS)).json()
        assert (listed["state"], listed["reason"]) == ("disabled", "gone")
        assert len(receiver.heard) == 1
        assert (await ask(b, f"{HOOKS}/{endpoint}/enabling")).json()["state"] == "enabled"
        await all_through(b)
        assert receiver.types == ["cover.requested", "cover.requested", "cover.bound"]


@pytest.mark.parametrize("alive", [True, False])
async def test_after_three_days_a_delivery_failed_or_nothing_arrived_and_the_endpoint_is_dead(
    bench: Benches, alive: bool
) -> None:
    receiver = Receiver(cover__requested__v1=[500, 500])
    async with bench(service) as b, delivering(b, receiver):
        await admit(b, AGREED)
        await register(b, "cover.requested.v1", "cover.bound.v1")
        await ONE.bind(b)
        await heard(receiver, 1)
        await all_through(b, waiting=2)
        if alive:
            receiver.script.clear()
            await TWO.bind(b)
            await all_through(b, waiting=2)
            receiver.script["cover.requested.v1"] = [500]
        await run(
            b,
            "UPDATE deliveries SET next_at = now(), first_at = first_at - interval '72 hours'"
            " WHERE state = 'waiting' AND first_at IS NOT NULL",
        )
        await all_through(b, waiting=0 if alive else 2)

        async def judged() -> bool:
            return (await b.get(HOOKS)).json()[0]["state"] == ("enabled" if alive else "disabled")

        await until(judged, "the endpoint is judged")
        assert ("partner.unreachable" in await b.names()) is not alive
        async with b.parts.engine.connect() as conn:
            found = list((await conn.exec_driver_sql("SELECT state FROM deliveries ORDER BY id")).scalars())
        assert found == (["failed", *["delivered"] * 3] if alive else ["waiting"] * 2)


async def test_a_time_is_sent_again_in_its_order_under_the_same_ids(bench: Benches) -> None:
    receiver = Receiver()
    async with bench(service) as b, delivering(b, receiver):
        await admit(b, AGREED)
        await ONE.bind(b)
        endpoint = (await register(b))["endpoint"]["endpoint_id"]
        path, whole = f"{HOOKS}/{endpoint}/replays", {"since": "2020-01-01T00:00:00Z", "until": "2199-01-01T00:00:00Z"}
        assert (await ask(b, path, whole)).json() == {"events": 3}
        assert (await ask(b, path, whole)).json() == {"events": 3}
        await all_through(b)
        assert receiver.types == ["cover.requested", "capacity.reserved", "cover.bound"] * 2
        assert len({request.headers["webhook-id"] for request in receiver.heard}) == 3
        empty = {"since": "2020-01-01T00:00:00Z", "until": "2020-01-02T08:00:00+08:00"}
        assert (await ask(b, path, empty)).json() == {"events": 0}
        backwards = await ask(b, path, {"since": whole["until"], "until": whole["since"]})
        assert (backwards.status_code, backwards.json()["code"]) == (422, "time_reversed")


async def test_what_waits_for_a_closed_endpoint_is_dropped_and_nothing_brings_it_back(bench: Benches) -> None:
    receiver = Receiver()
    async with bench(service) as b, delivering(b, receiver):
        await admit(b, AGREED)
        endpoint = (await register(b))["endpoint"]["endpoint_id"]
        assert (await ask(b, f"{HOOKS}/{endpoint}/disabling")).json()["reason"] == "asked_for"
        await ONE.bind(b)
        await all_through(b, waiting=3)
        assert (await ask(b, f"{HOOKS}/{endpoint}/closing")).json()["state"] == "closed"
        await TWO.bind(b)
        await all_through(b)
        assert receiver.heard == []
        again = await ask(b, f"{HOOKS}/{endpoint}/enabling")
        assert (again.status_code, again.json()["code"]) == (409, "endpoint_closed")


async def test_a_partner_has_ten_endpoints_at_most_and_sees_no_other_partners(bench: Benches) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        for _ in range(10):
            endpoint = (await register(b))["endpoint"]["endpoint_id"]
        assert (await ask(b, HOOKS, {"url": TARGET})).json()["code"] == "too_many_endpoints"
        await b.post("/v1/partners", {**PARTNER, "partner_id": ANOTHERS}, role="admin")
        own = f"/v1/partners/{ANOTHERS}/webhooks"
        for path in (HOOKS, f"{HOOKS}/{endpoint}/keys", f"{own}/{endpoint}/keys", f"{own}/{endpoint}/closing"):
            stranger = await ask(b, path, {"url": TARGET}, party=ANOTHERS)
            assert (stranger.status_code, stranger.json()["code"]) == (404, "not_found"), path
        assert (await b.http.get(HOOKS, headers=as_partner(b, ANOTHERS))).status_code == 404
        assert (await b.http.get(own, headers=as_partner(b, ANOTHERS))).json() == []
        unscoped = b.bearer("system", "partner", party=HIS_OWN, scope="covers.read")
        assert (await b.http.get(HOOKS, headers=unscoped)).json()["code"] == "scope_needed"


@pytest.mark.parametrize(
    "url", ["http://partner/", "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://u:p@partner/"]
)
async def test_no_endpoint_of_ones_own_network_is_taken_unless_a_setting_allows_it(bench: Benches, url: str) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        answer = await ask(b, HOOKS, {"url": url})
        assert (answer.status_code, answer.json()["code"]) == (422, "target_unfit")
    async with bench(service, private_targets=True) as b:
        await admit(b, AGREED)
        assert (await ask(b, HOOKS, {"url": url})).status_code == (422 if "@" in url else 201)
