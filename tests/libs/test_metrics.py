"""What a scrape says: true figures under few labels, and still what it can when database or broker are silent."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from libs.events.rating import InformationVerified
from libs.runtime import metrics
from libs.runtime.consumer import Consumer
from libs.runtime.settings import Settings
from tests.harness.bench import Bench
from tests.harness.toy import toy

DAY = date(2026, 1, 5)
FACILITY = "f-7c1e"
Make = Callable[..., Bench]
LABELS = {"operation", "outcome", "type", "kind", "step", "topic", "where", "state", "source"}
OF_THE_BUILD, OF_A_BUCKET = {"service", "version", "python"}, {"le"}


def figures(text: str) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels, these in the order of their names."""
    return {
        (sample.name.removeprefix("silverbear_"), *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scraped(bench: Bench) -> str:
    """What Prometheus would get now."""
    bench.parts.telemetry.metrics._fresh_until = 0
    answer = await bench.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


async def test_what_a_service_does_is_counted_under_few_labels(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        await bench.open(DAY)
        for name in ("a", "refused"):
            await bench.post("/referrals", {"facility_id": FACILITY, "name": name}, role="officer")
        await bench.post("/reminders", {"facility_id": FACILITY, "name": "r"}, role="officer")
        await bench.http.request("BREW", f"/tallies/{FACILITY}")
        await bench.http.get(f"/{FACILITY}")
        await bench.react(InformationVerified(facility_id=FACILITY, checks=(), size_class="small"), on=DAY)
        await bench.tick(date(2026, 2, 1))
        bench.parts.telemetry.retried("consumer")
        bench.parts.telemetry.metrics.published.labels("application").inc()
        with (
            suppress(ConnectionError),
            bench.parts.telemetry.call({"kind": "pay", "traceparent": "", "key": FACILITY, "attempts": 1}, "send"),
        ):
            raise ConnectionError
        await bench.parts.bell.close()
        text = await scraped(bench)
    found = figures(text)
    assert found["request_seconds_count", "POST /referrals", "done"] == 1
    assert found["request_seconds_count", "POST /referrals", "refused"] == 1
    assert found["request_seconds_count", "other /tallies/{facility_id}", "refused"] == 1
    assert found["request_seconds_count", "GET unknown", "refused"] == 1
    assert found["reaction_seconds_count", "applied", "information.verified.v1"] == 1
    assert found["event_delay_seconds_count", "information.verified.v1"] == 1
    assert found["timers_fired_total", "remind", "applied"] == 1
    assert found["call_seconds_count", "pay", "unanswered", "send"] == 1
    assert found["outbox_events",] == 2  # the referral, and what the timer told
    assert found["pool_connections",] == 20
    assert found["pool_connections_in_use",] == 0
    assert found["consumer_paused",] == 0
    assert found["source_answers", "database"] == 1
    assert FACILITY not in text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if family.name.startswith("silverbear_") and family.name != "silverbear_build_info":
                assert sample.labels.keys() <= LABELS | OF_A_BUCKET, sample
    check_by_promtool(text)


def check_by_promtool(text: str) -> None:
    """Hold a scrape against the format and Prometheus's own advice on names."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (on Debian or Ubuntu: apt-get install prometheus)")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_what_waits_is_read_from_the_database(toy_bench: Make) -> None:
    async with toy_bench("application") as bench:
        async with bench.parts.engine.begin() as conn:
            await conn.exec_driver_sql(
                "INSERT INTO outbox (key, topic, event_id, headers, payload, created, error) VALUES"
                " ('f', 'application', 'e1', '{}', '', now() - interval '90 seconds', ''),"
                " ('f', 'application', 'e2', '{}', '', now(), 'too large')"
            )
            await conn.exec_driver_sql(
                "INSERT INTO parked (key, status, topic, event_id, headers, payload, reason) VALUES"
                " ('f', 'parked', 'rating', 'e3', '{}', '', 'why'), ('f', 'waiting', 'rating', 'e4', '{}', '', ''),"
                " ('g', 'waiting', 'rating', 'e5', '{}', '', '')"
            )
            await conn.exec_driver_sql(
                "INSERT INTO calls (id, key, kind, reference, request, business_date, status, attempts, lease_until)"
                " SELECT n, 'f', 'pay', n, '{}', '2026-01-05', status, attempts, now() + lease FROM (VALUES"
                " ('1', 'pending', 0, NULL), ('2', 'unknown', 1, interval '9 seconds'),"  # under way for the first time
                " ('3', 'unknown', 1, NULL), ('4', 'unknown', 2, interval '9 seconds'),"
                " ('5', 'unknown', 1, interval '-9 seconds'), ('6', 'failed', 1, NULL), ('7', 'done', 1, NULL)"
                ") AS c(n, status, attempts, lease)"
            )
        found = figures(await scraped(bench))
    assert 90 <= found["outbox_oldest_seconds",] < 300
    assert (found["outbox_events",], found["outbox_parked_events",]) == (2, 1)
    assert (found["parked_events",], found["waiting_events",]) == (1, 2)
    calls = {state: found["calls_open", state] for state in ("pending", "unknown", "failed")}
    assert calls == {"pending": 2, "unknown": 3, "failed": 1}


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
async def test_without_a_database_a_scrape_says_so_and_what_else_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    monkeypatch.setattr(metrics, "ASK_SECONDS_MAX", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1] if silent else 1
        settings = Settings(
            database_url=f"postgresql://u:p@127.0.0.1:{port}/d",
            kafka_bootstrap="127.0.0.1:1",
            jwks_path=tmp_path,
            pool_size=7,
        )
        parts = toy("rating").parts(settings)
        parts.telemetry.retried("consumer")
        began = time.monotonic()
        scrapes = await asyncio.gather(*(parts.telemetry.metrics.text(parts, Consumer(parts)) for _ in range(50)))
        assert time.monotonic() - began < 5  # fifty scrapes at once ask once
        await parts.close()
    found = figures(scrapes[0].decode())
    assert found["source_answers", "database"] == 0
    assert ("outbox_events",) not in found
    assert found["pool_connections",] == 7
    assert found["retries_total", "consumer"] == 1
