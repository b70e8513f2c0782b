"""Real processes killed (SIGKILL) at the worst moments: nothing is lost and nothing happens twice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import httpx

from deploy.local.broker import Broker, Kind
from deploy.local.process import Child, free_ports, terminate
from deploy.local.stack import Stack
from libs.runtime.auth import Issuer
from tests.harness.live import Bank, Node, until

KEYS = ("f1", "f2", "f3")
FASTER = {"SESSION_TIMEOUT_MS": "1500", "BATCH_MAX": "5", "RELAY_BATCH_MAX": "5"}
Live = Callable[..., Node]


class Pair:
    """Both toys as processes, at fixed ports over their restarts."""

    def __init__(self, stack: Stack, logs: Path) -> None:
        self.stack, self._logs = stack, logs
        self._ports = dict(zip(("application", "rating"), free_ports(2), strict=True))

    async def start(self, name: str, fault: str = "") -> Child:
        """Start one; it is ready, or dead because of its fault, when this returns."""
        child = self.stack.start(
            name, f"tests.harness.toy:{name}", self._ports[name], self._logs, {**FASTER, "FAULT": fault}
        )
        async with httpx.AsyncClient(trust_env=False) as http:

            async def up() -> bool:
                if not child.running:
                    assert child.process.returncode == -signal.SIGKILL, child.log.read_text()[-3000:]
                    return True
                try:
                    return (await http.get(f"http://127.0.0.1:{self._ports[name]}/health/ready")).status_code == 200
                except httpx.HTTPError:
                    return False

            await until(up, f"{name} is ready", seconds=60)
        return child

    async def post(self, path: str, key: str, name: str) -> None:
        """POST until there is an answer: the same idempotency key each time, as a caller who heard nothing does."""
        token = self.stack.issuer.token("o", "officer")
        headers = {"authorization": f"Bearer {token}", "idempotency-key": f"{path}/{key}/{name}"}
        url = f"http://127.0.0.1:{self._ports['application']}{path}"
        async with httpx.AsyncClient(trust_env=False) as http:

            async def answered() -> bool:
                try:
                    answer = await http.post(url, json={"facility_id": key, "name": name}, headers=headers)
                except httpx.HTTPError:
                    return False
                return answer.status_code in (200, 201)

            await until(answered, f"{path} {name}", seconds=60)


@asynccontextmanager
async def pair_of(database: str, kafka: str, topics: str, folder: Path, bank: Bank) -> AsyncIterator[Pair]:
    """Both toys on one database, broker and bank; ended at the end."""
    broker = Broker(Kind.OWN, kafka, topics)
    stack = Stack(database, broker, "cn-branch", Issuer(folder), stand_ins={"core_bank": bank.url})
    try:
        yield Pair(stack, folder / "logs")
    finally:
        terminate(*stack.children.values(), grace_s=3)


async def died(child: Child) -> None:
    """Wait until the fault was reached."""

    async def dead() -> bool:
        return not child.running

    await until(dead, f"{child.name} reaches its fault", seconds=60)
    assert child.process.returncode == -signal.SIGKILL, child.log.read_text()[-3000:]


async def test_a_kill_between_any_two_steps_loses_nothing_and_repeats_nothing(
    live: Live, toy_database: str, kafka: str, topics: str, tmp_path: Path
) -> None:
    async with (
        Bank() as bank,
        live("application") as application,
        live("rating") as rating,
        pair_of(toy_database, kafka, topics, tmp_path, bank) as pair,
    ):
        for node in (application, rating):
            await node.stand_at(date(2026, 1, 5))
        rounds = [
            ("relay.before_send:2", "consumer.mid_batch:2"),
            ("relay.after_ack:2", "consumer.after_commit:2"),
            ("calls.after_send:1", ""),
        ]
        names: list[str] = []
        for number, (fault, other) in enumerate(rounds):
            one, two = await asyncio.gather(pair.start("application", fault), pair.start("rating", other))
            batch = [f"r{number}.{n}" for n in range(8)]
            names += batch
            posts = asyncio.create_task(_post_all(pair, batch))
            if fault.startswith("calls"):
                await pair.post("/payments", "paid", "p1")
            await died(one)
            one = await pair.start("application")
            await posts
            if other:
                await died(two)
                two = await pair.start("rating")
            if fault.startswith("calls"):
                await application.run("UPDATE calls SET lease_until = now()")  # instead of waiting for it
            await _settled(application, rating, names, paid=fault.startswith("calls"))
            terminate(one, two, grace_s=3)
        assert bank.transfers == ["p1"]
        for node in (application, rating):
            assert await node.rows("SELECT * FROM parked") == []
            assert await node.rows("SELECT count(*) FROM outbox") == [0]


async def _post_all(pair: Pair, names: list[str]) -> None:
    async def one_key(key: str) -> None:
        for name in names:
            await pair.post("/referrals", key, name)

    await asyncio.gather(*map(one_key, KEYS))


async def _settled(application: Node, rating: Node, names: list[str], *, paid: bool) -> None:
    """Everything took effect once and in order, at both services."""
    expected = dict.fromkeys(KEYS, names) | ({"paid": ["paid p1"]} if paid else {})
    answered = {key: [f"verified {name}" for name in each] for key, each in expected.items()}
    found: list[dict[str, list[str]]] = [{}, {}]

    async def there() -> bool:
        found[0] = await rating.tallies()
        found[1] = await application.tallies()
        return (
            found[0] == expected
            and {k: [w for w in v if w[:9] == "verified "] for k, v in found[1].items()} == answered
        )

    try:
        await until(there, "both services are done", seconds=45)
    except AssertionError:
        assert found[0] == expected
        assert found[1] == answered
        raise
    for key, each in expected.items():
        assert [word for word in found[1][key] if not word.startswith("verified ")] == each
