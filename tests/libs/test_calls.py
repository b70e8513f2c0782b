"""Outbound calls over real HTTP: whatever becomes of the answer, the work is done once and heard of once."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from libs.runtime import calls
from libs.runtime.calls import Answer, Caller
from libs.runtime.migrate import role_url
from libs.runtime.settings import Settings
from libs.runtime.tx import Tx
from tests.harness.bench import Bench
from tests.harness.live import Bank, Node, until
from tests.harness.toy import toy

DAY = date(2026, 1, 5)


def node_of(database: str, folder: Path, bank: Bank) -> Node:
    """The toy that pays, with the bank's address and no broker."""
    return Node(
        toy("application"),
        Settings(
            database_url=role_url(database, "application"),
            kafka_bootstrap="127.0.0.1:1",
            jwks_path=folder / "jwks.json",
            core_bank_url=bank.url,
            pool_size=8,
        ),
    )


async def pay(node: Node, *references: str) -> None:
    """Ask for payments in one transaction."""

    async def command(tx: Tx) -> None:
        for reference in references:
            tx.call("pay", key="f1", reference=reference, request={"facility": "f1"})

    await node.stand_at(DAY)
    await node.do(command, "f1", on=DAY)


async def paid(node: Node, *references: str) -> None:
    """Wait until the answers took effect, once each."""

    async def there() -> bool:
        return await node.rows("SELECT count(*) FROM calls WHERE status = 'done'") == [len(references)]

    await until(there, f"{references} are answered")
    effects = (await node.tallies())["f1"]
    assert sorted(effects) == sorted(f"paid {reference}" for reference in references)
    assert await node.rows("SELECT count(*) FROM outbox") == [len(references)]


@pytest.mark.parametrize(
    ("script", "inquired"),
    [
        ((), False),
        (("lose",), True),  # the work was done: found by asking
        (("fail", "fail"), True),  # not done: asked, then sent again
        (("forget",), True),  # never heard of: asked, then sent again
        (("fail", "lose", "ok"), True),
    ],
)
async def test_a_call_has_one_effect_whatever_becomes_of_its_answer(
    toy_database: str,
    tmp_path: Path,
    script: tuple[str, ...],
    inquired: bool,
) -> None:
    async with Bank(*script) as bank, node_of(toy_database, tmp_path, bank) as node:
        node.call()
        await pay(node, "p1")
        await paid(node, "p1")
        assert bank.transfers == ["p1"]
        assert bool(bank.inquiries) is inquired


async def test_many_calls_and_two_workers_have_one_effect_each(toy_database: str, tmp_path: Path) -> None:
    references = [f"p{n}" for n in range(40)]
    script = ["lose", "ok", "fail", "forget"] * 8
    async with Bank(*script) as bank, node_of(toy_database, tmp_path, bank) as one:
        async with node_of(toy_database, tmp_path, bank) as two:
            one.call()
            two.call()
            await pay(one, *references)
            await paid(one, *references)
        assert sorted(bank.transfers) == sorted(references)


async def test_a_worker_that_died_between_sending_and_hearing_asks_before_it_sends_again(
    toy_database: str, tmp_path: Path
) -> None:
    async with Bank() as bank, node_of(toy_database, tmp_path, bank) as node:
        await pay(node, "done", "lost")
        await node.run("UPDATE calls SET status = 'unknown', attempts = 1, lease_until = now() + interval '1 second'")
        bank.transfers.append("done")
        node.call()
        await asyncio.sleep(0.4)
        assert bank.inquiries == []  # somebody else's lease
        await paid(node, "done", "lost")
        assert sorted(bank.inquiries) == ["done", "lost"]
        assert sorted(bank.transfers) == ["done", "lost"]


async def test_a_call_is_given_up_before_its_lease_is_over(
    toy_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a second worker asks while the first is still sending, hears of nothing, and sends too."""
    assert calls.CALL_SECONDS_MAX < calls.LEASE_SECONDS
    monkeypatch.setattr(calls, "CALL_SECONDS_MAX", 0.2)
    async with Bank() as bank, node_of(toy_database, tmp_path, bank) as node:
        slow = node.parts.partners["pay"]

        async def drip(*_: object) -> Answer:
            await asyncio.sleep(60)
            raise AssertionError("never given up")

        node.parts.partners = {"pay": replace(slow, send=drip)}
        node.call()
        await pay(node, "p1")

        async def given_up() -> bool:
            return await node.rows("SELECT error FROM calls WHERE status = 'unknown'") == ["TimeoutError()"]

        await until(given_up, "the call is given up", seconds=5)
        node.parts.partners = {"pay": slow}
        await paid(node, "p1")
        assert bank.transfers == ["p1"]
        assert bank.inquiries


async def test_a_call_that_nobody_knows_how_to_make_disturbs_no_other(toy_database: str, tmp_path: Path) -> None:
    async with Bank() as bank, node_of(toy_database, tmp_path, bank) as node:

        async def ask(tx: Tx) -> None:
            tx.call("nonsense", key="f1", reference="r", request={})

        await node.do(ask, "f1", on=DAY)
        node.call()
        await pay(node, "p1")
        await paid(node, "p1")

        async def put_off() -> bool:  # in the same round as the payment, and maybe noted after it
            return await node.rows("SELECT error FROM calls WHERE kind = 'nonsense'") == ["KeyError('nonsense')"]

        await until(put_off, "the nonsense is put off", seconds=5)


async def test_a_failed_call_is_seen_and_taken_up_again_or_settled_for_a_reason(
    toy_database: str, tmp_path: Path
) -> None:
    async with Bank() as bank, Bench(toy("application"), toy_database, tmp_path, core_bank_url=bank.url) as bench:
        await bench.open(DAY)
        for name in ("p1", "p2"):
            await bench.post("/payments", {"facility_id": "f1", "name": name}, role="officer")
            await bench.answer("pay", 409)
        failed = (await bench.get("/v1/ops/calls")).json()["items"]
        assert [(row["reference"], row["error"]) for row in failed] == [("p1", "bank_refused"), ("p2", "bank_refused")]
        one, two = (f"/v1/ops/calls/{row['id']}" for row in failed)
        assert (await bench.get("/v1/ops/calls", role="clerk")).status_code == 403
        for path in (f"{one}/retry", f"{two}/settle"):
            assert (await bench.post(path, {"reason": "it was paid"}, role="clerk")).status_code == 403
            assert (await bench.post(path, {"reason": "x"}, role="operator")).status_code == 422
            assert (await bench.post(path, {"reason": "it was paid"}, role="operator", actor="olga")).status_code == 200
            again = await bench.post(path, {"reason": "it was paid"}, role="operator")
            assert (again.status_code, again.json()["code"]) == (404, "no_failed_call")
        assert (await bench.get("/v1/ops/calls")).json()["items"] == []
        bank.transfers.append("p1")  # the bank had done the work: a second transfer would be one too many
        await Caller(bench.parts)._round()
        assert bank.inquiries == ["p1"]
        assert bank.transfers == ["p1"]
        assert json.loads((await bench.dump())["tally"][0])["seen"] == ["paid p1"]
        async with bench.parts.engine.connect() as conn:
            rows = [
                tuple(row) for row in await conn.exec_driver_sql("SELECT status, error FROM calls ORDER BY reference")
            ]
        assert rows == [("done", ""), ("settled", "call_settled by olga: it was paid")]


async def test_a_partner_that_never_stops_answering_is_cut_off(toy_database: str, tmp_path: Path) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")
                await writer.drain()

    async with await asyncio.start_server(endless, "127.0.0.1", 0) as server, Bank() as bank:
        node = node_of(toy_database, tmp_path, bank)
        port = server.sockets[0].getsockname()[1]
        node.parts.settings.core_bank_url = f"http://127.0.0.1:{port}"
        async with node:
            node.call()
            await pay(node, "p1")

            async def cut() -> bool:
                return "more than" in "".join(await node.rows("SELECT error FROM calls WHERE status = 'unknown'"))

            await until(cut, "the answer is cut off", seconds=10)
        server.close()


async def claimed(node: Node) -> dict[str, Any]:
    """Take the lease of the one call there is, as a worker does."""
    async with node.parts.engine.begin() as conn:
        (row,) = [dict(row) for row in (await conn.exec_driver_sql(calls._CLAIM_SQL)).mappings()]
    return row


async def test_a_process_that_was_frozen_after_it_took_the_lease_does_not_call_when_it_wakes_up(
    toy_database: str, tmp_path: Path
) -> None:
    async with Bank() as bank, node_of(toy_database, tmp_path, bank) as node:
        await pay(node, "p1")
        row = await claimed(node)
        await calls.Caller(node.parts)._one(row, time.monotonic() - calls.CALL_SECONDS_MAX)
        assert bank.transfers == []
        node.call()
        await paid(node, "p1")
        assert bank.transfers == ["p1"]


async def test_a_worker_whose_lease_ran_out_does_not_end_the_lease_of_another(
    toy_database: str, tmp_path: Path
) -> None:
    """Else a third asks while the second is sending, hears of nothing, and sends too."""
    async with Bank() as bank, node_of(toy_database, tmp_path, bank) as node:
        await pay(node, "p1")
        first = await claimed(node)
        await node.run("UPDATE calls SET lease_until = now() - interval '1 second'")
        await claimed(node)
        await calls.Caller(node.parts)._later(first, "too late")
        assert await node.rows("SELECT lease_until > now() FROM calls") == [True]
