"""An event on real Kafka speaks for itself: a client that knows nothing of ours finds all it needs in the record."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs

from deploy.local.stack import create_topics
from libs.events.application import LoanDisbursed
from libs.events.catalogue import TOPICS
from libs.events.headers import HEADERS
from libs.kernel.money import Money
from libs.runtime.migrate import role_url
from libs.runtime.settings import Settings
from libs.runtime.tx import Tx
from services.application.main import service
from tests.conftest import run
from tests.harness.live import Node, until

DAY = date(2026, 1, 5)
FACILITY = "019b8c1e-0000-7000-8000-000000000001"
ROOT = Path(__file__).resolve().parents[2]
ASYNCAPI = json.loads((ROOT / "docs" / "asyncapi.json").read_text("utf-8"))
DISBURSED = LoanDisbursed(
    facility_id=FACILITY,
    loan_id="loan-1",
    amount=Money(Decimal("250000.10"), "CNY"),
    maturity=date(2027, 1, 5),
    annual_rate=Decimal("0.0435"),
    grade="AA",
    lead="m-zhao",
    assistant="m-qian",
    reviewer="r-feng",
    approver="a-wei",
    channel="税务平台",
)


async def read_elsewhere(bootstrap: str, topic: str, count: int, folder: Path) -> list[dict[str, Any]]:
    """What the bare reader prints: its records, and last which of our modules it loaded."""
    reader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", str(Path(__file__).with_name("bare_reader.py")), bootstrap, topic, str(count)),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await reader.communicate()
    assert reader.returncode == 0
    return [json.loads(line) for line in output.decode().splitlines()]


async def publish(node: Node) -> None:
    """Commit two events of one facility in one transaction and have the relay send them."""

    async def command(tx: Tx) -> None:
        tx.publish(DISBURSED, policy="application/drawdown@2025-07-01")
        tx.publish(DISBURSED)

    await node.do(command, FACILITY, on=DAY)
    node.relay()

    async def empty() -> bool:
        return await node.rows("SELECT count(*) FROM outbox") == [0]

    await until(empty, "the outbox is empty")


async def test_a_client_that_knows_nothing_of_ours_reads_an_event(
    kafka: str, copies: Callable[..., str], tmp_path: Path
) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}."
    run(create_topics(kafka, prefix))
    settings = Settings(
        database_url=role_url(copies("application"), "application"),
        kafka_bootstrap=kafka,
        topic_prefix=prefix,
        jwks_path=tmp_path / "jwks.json",
    )
    async with Node(service, settings) as node:
        await publish(node)
    first, second, last = await read_elsewhere(kafka, f"{prefix}application", 2, tmp_path)
    assert last == {"ours": []}

    headers = dict(first["headers"])
    assert len(headers) == len(first["headers"]), "no header stands twice"
    assert headers["ce_specversion"] == "1.0"
    assert headers["content-type"] == "application/json"
    assert headers["ce_type"] == "loan.disbursed.v1"
    assert headers["ce_source"] == "/silverbear/application"
    assert first["key"] == headers["ce_partitionkey"] == headers["ce_subject"] == FACILITY
    assert headers["ce_businessdate"] == "2026-01-05"
    assert headers["ce_actor"] == "test"
    assert headers["ce_policy"] == "application/drawdown@2025-07-01"
    assert datetime.fromisoformat(headers["ce_time"]).utcoffset() == UTC.utcoffset(None)
    assert uuid.UUID(headers["ce_id"])
    again = dict(second["headers"])
    assert (headers["ce_sequence"], again["ce_sequence"]) == ("1", "2")
    assert headers["ce_id"] != again["ce_id"]
    assert "ce_policy" not in again, "what is not there has no empty header"

    assert first["body"] == second["body"]
    assert first["body"]["amount"] == {"amount": "250000.10", "currency": "CNY"}
    assert Decimal(first["body"]["annual_rate"]) == DISBURSED.annual_rate
    assert date.fromisoformat(first["body"]["maturity"]) == DISBURSED.maturity
    assert first["body"]["channel"] == "税务平台"
    for record in (first, second):
        check_against_the_documents(record)


def check_against_the_documents(record: dict[str, Any]) -> None:
    """The headers and the body are what the two published documents say, found from the record alone."""
    headers = dict(record["headers"])
    topic = headers["ce_source"].rpartition("/")[2]
    assert topic in TOPICS
    assert headers["ce_type"] in ASYNCAPI["channels"][topic]["messages"]
    message = ASYNCAPI["components"]["messages"][headers["ce_type"]]
    for schema, value in ((message["headers"], headers), (message["payload"], record["body"])):
        whole = {"allOf": [schema], "components": ASYNCAPI["components"]}
        jsonschema_rs.Draft7Validator(whole, validate_formats=True).validate(value)
    named = ROOT / "libs" / "events" / headers["ce_dataschema"].lstrip("/")
    jsonschema_rs.validator_for(json.loads(named.read_text("utf-8"))).validate(record["body"])
    known = {header.name for header in HEADERS}
    assert {header.name for header in HEADERS if header.required} <= set(headers) <= known
