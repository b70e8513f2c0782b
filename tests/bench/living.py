"""P5, whole loan lives a second: the platform with one and two processes of each service, against direct calls.

`python -m tests.bench.living LIVES ADMIN_URL FOLDER` is the baseline.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from deploy.demo import generator
from deploy.demo.replay import Replay
from deploy.demo.report import accounts, reconcile
from deploy.local import demo, stack
from deploy.local.process import terminate
from tests.bench.direct import applied, branch_of, world
from tests.bench.figures import Bench, Comparison, Side, Wrong
from tests.bench.ground import Ground, run, tell, used

SEED = 1


async def direct(count: int, admin_url: str, folder: Path) -> None:
    """All lives to their ends; what came out is reconciled with what went in."""
    lives = list(generator.generate(count, SEED))
    async with world(admin_url, folder, lives[0].profile) as (client, router):
        began = time.monotonic()
        replay = Replay(
            lives, generator.indices(lives, SEED), branch_of(lives), client, router, "http://partner", lambda _: None
        )
        await replay.run()
        ended = time.monotonic()
        published = Counter(entry.type for entry in router.journal)
        found = accounts(router.journal, lives[0].amount.currency)
        if problems := reconcile(lives, found, published, await applied(router)).problems:
            raise Wrong(f"the direct calls do not reconcile: {problems[:3]}")
        tell({"rate": count / (ended - began), "events": float(len(router.journal))})


def _used(ground: Ground, running: stack.Stack) -> dict[str, float]:
    """Processor time so far: of the services, the servers, and what only this machine needs (stand-ins, the driver)."""
    services, others = [], []
    for name, child in running.children.items():
        (services if name.rpartition("-")[0] in stack.SERVICES else others).append(child.pid)
    servers = {name: used(pid) for name, pid in ground.servers.items()}
    return {"services": used(*services), **servers, "driver": time.process_time() * 1000 + used(*others)}


@contextmanager
def prepared(ground: Ground, facts: dict[str, str]) -> Iterator[dict[str, Side]]:
    """Every side begins with an empty database and, if it has any, empty topics."""
    portfolio = demo.read_portfolio("", ground.size, SEED)

    def bare() -> dict[str, float]:
        folder = ground.home / "direct"
        folder.mkdir(exist_ok=True)
        env = ground.stack(ground.template_url).environment("application")
        return ground.work("direct", __name__, str(ground.size), ground.database(day=""), str(folder), env=env)

    def platform(replicas: int) -> Side:
        def measure() -> dict[str, float]:
            running = ground.stack(ground.database(day=""))
            try:
                stack._start_all(running, ground.home / "logs", replicas, stack.SERVICES, {})
                before = _used(ground, running)
                outcome = run(demo.play(running, portfolio, lambda _: None, seed=SEED))
                after = _used(ground, running)
            finally:
                terminate(*running.children.values())
            if outcome.findings.problems:
                raise Wrong(f"the lives do not reconcile: {outcome.findings.problems[:3]}")
            cost = {f"{name}_cpu_ms_a_life": (after[name] - before[name]) / ground.size for name in before}
            return {"rate": ground.size / outcome.seconds, "events": float(sum(outcome.published.values())), **cost}

        return measure

    facts["portfolio"] = portfolio.told
    yield {"direct": bare, "one": platform(1), "two": platform(2)}


BENCH = Bench(
    id="P5",
    title="whole loan lives",
    told=(
        "A generated branch as in `make demo`, from referral to the end of every loan, through six services, Kafka, two"
        " stand-ins and the real rules, with one process of each service and with two; the driver and all of them share"
        " the machine. Baseline (`tests/bench/direct.py`): the same commands as direct calls in one process on one"
        " database; events are handed to the same reactions in large batches, everything is written as it is otherwise,"
        " but there is no HTTP, no token, no idempotency, no relay and no Kafka. Each run is reconciled with its input,"
        " loan by loan. The branch is as large as it takes to keep the machine busy: all wait for the end of each"
        " business day, and with 120 lives a fourth of the two cores stood idle."
    ),
    prepared=prepared,
    comparisons=(
        Comparison(
            what="lives a second, one process each", ours="one.rate", baseline="direct.rate", unit="/s", solid=0.3
        ),
        Comparison(what="lives a second, two each", ours="two.rate", baseline="direct.rate", unit="/s", solid=0.3),
    ),
    size=300,
    size_is="lives",
)


if __name__ == "__main__":
    uvloop.run(direct(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
