"""P1, the request path: registering an application in the whole service, against a bare endpoint of two inserts."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.local.process import ChildFailed
from tests.bench.figures import Bench, Comparison, Side, Wrong
from tests.bench.ground import Ground, ask, check

CONNECTIONS = 16
WARM_SECONDS = 1
ROWS_MAX = "10000000"
SCRIPT = Path(__file__).with_name("register.lua")


def what_is_missing() -> str:
    """How to get the load generator, or nothing when it is there."""
    if shutil.which("wrk"):
        return ""
    return "P1 needs the load generator wrk, which is not here. On Debian or Ubuntu: apt-get install wrk"


def load(url: str, path: str, token: str, seconds: int) -> dict[str, float]:
    """What wrk counts in so many seconds; raises Wrong when any request was refused or broke."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "20s", "-s", str(SCRIPT), url, "--"]
    words += [path, token, uuid.uuid4().hex[:12]]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if ran.returncode:
        raise ChildFailed(f"wrk ended with exit code {ran.returncode}\n{ran.stdout}{ran.stderr}")
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    if found["refused"] or found["broken"]:
        raise Wrong(f"{url}{path}: {found}")
    return found


def _side(ground: Ground, url: str, database: str, *, path: str, token: str, rows: Mapping[str, int]) -> Side:
    """Load for some seconds; `rows` is what each request leaves, by table."""

    def measure() -> dict[str, float]:
        load(url, path, token, WARM_SECONDS)
        before = {table: ask(database, f"SELECT count(*) FROM {table}") for table in rows}
        found = load(url, path, token, ground.size)
        number = int(found["requests"])
        for table, each in rows.items():
            check(database, {table: before[table] + each * number}, slack=each * 2 * CONNECTIONS)
        return {
            "rate": number / found["microseconds"] * 1e6,
            "p50_ms": found["p50_us"] / 1000,
            "p99_ms": found["p99_us"] / 1000,
        }

    return measure


@contextmanager
def prepared(ground: Ground, facts: dict[str, str]) -> Iterator[dict[str, Side]]:
    """A bare endpoint, the service with its relay elsewhere, and the service that also publishes what it commits."""
    sides: dict[str, Side] = {}
    database = ground.database()
    url = ground.serve_bare("bare", "tests.bench.bare:app", {"DATABASE_URL": database})
    bare_rows = {"bare_facilities": 1, "bare_outbox": 1}
    sides["bare"] = _side(ground, url, database, path="/referrals", token="none", rows=bare_rows)
    for name, relay in (("service", "false"), ("publishing", "true")):
        stack = ground.stack()
        token = stack.issuer.token("manager", "customer_manager", org="b1")
        extra = {"RELAY": relay, "OUTBOX_ROWS_MAX": ROWS_MAX}
        url = ground.serve(stack, "application-1", "services.application.main:app", extra)
        rows = {"application.facilities": 1, "application.requests": 1, "application.stream": 1}
        rows |= {} if relay == "true" else {"application.outbox": 2}
        sides[name] = _side(ground, url, stack.admin_url, path="/v1/referrals", token=token, rows=rows)
    facts["load"] = f"wrk in a process of its own, one thread, {CONNECTIONS} connections"
    yield sides


BENCH = Bench(
    id="P1",
    title="registering an application",
    told=(
        "`POST /v1/referrals` of the application service, one process under `libs/runtime/serve.py`: the caller's"
        " token, the idempotency key, the body's rules, the borrower's data sealed under a key of its own, facility,"
        " consent, stream row, two events in the outbox and the stored answer, in one transaction. Baseline:"
        " `tests/bench/bare.py` under uvicorn with uvloop and httptools and as many connections, which does none of"
        " that and inserts two rows with SQLAlchemy. *Publishing* is the same service with its relay in the same"
        " process, as the local stack runs it: it also carries each event to Kafka. Facilities, answers, stream rows"
        " and events are counted afterwards."
    ),
    prepared=prepared,
    comparisons=(
        Comparison(
            what="requests a second, one worker",
            ours="service.rate",
            baseline="bare.rate",
            unit="/s",
            solid=0.7,
            reach=0.95,
        ),
        Comparison(what="the same, publishing as well", ours="publishing.rate", baseline="bare.rate", unit="/s"),
    ),
    size=5,
    size_is="seconds of load a side",
)
