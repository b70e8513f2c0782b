"""The whole book under cover and a stress of it, against the bare SQL aggregate of the same loans in the same run.

`python -m tests.bench.portfolio --loans 1000000` starts a PostgreSQL of its own, fills it and prints the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from deploy.local import postgres
from libs.runtime import migrate
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, NAMED, admit
from tests.harness.bench import Bench

ROUNDS = 5
TIMES_MAX = 3.0
CAPPED = AGREED | {"code": "capped", "cap": {"rate": "0.03"}}
TERMS = tuple(f"{agreement['code']}@2025-07-01" for agreement in (AGREED, NAMED, CAPPED))
_SEED_SQL = """
INSERT INTO loans (loan_id, facility_id, cover_id, currency, amount, outstanding, guaranteed, annual_rate,
    disbursed_on, maturity, premium, premium_open, closed, waiting, shared, charges, removed, reported, terms, year, pd)
SELECT 'l-' || n, 'f-' || n, 'c-' || n, 'CNY', amount, outstanding, round(outstanding * 0.8, 2), 0.045, day,
    date '2027-01-01', 0, false, n % 20 = 0, '[]', 0, '[]', '', '[]', ($2::text[])[n % cardinality($2::text[]) + 1],
    extract(year FROM day), 0.001 * (n % 16 + 1)
FROM (
    SELECT n, amount, round(amount * (n % 10 + 1) / 10, 2) AS outstanding, date '2023-01-01' + (n % 900)::int AS day
    FROM (SELECT n, 10000 + (n * 7919 % 490000)::numeric AS amount FROM generate_series(1, $1::bigint) n) sized
) numbered
"""
_BARE_SQL = """
SELECT terms, count(*), sum(outstanding), sum(guaranteed) FROM loans WHERE NOT closed GROUP BY terms
"""


async def seed_loans(bench: Bench, loans: int, terms: tuple[str, ...]) -> None:
    """Loans of different size, age, PD and terms, one in twenty closed: the same for the same number."""
    async with bench.parts.engine.begin() as conn:
        await conn.exec_driver_sql(_SEED_SQL, (loans, list(terms)))


async def figures(bench: Bench, loans: int) -> dict[str, Any]:
    """Seconds of the bare aggregate and of the stressed portfolio through its door: medians of rounds by turns."""
    await admit(bench, AGREED, NAMED, CAPPED)
    await seed_loans(bench, loans, TERMS)
    engine = bench.parts.engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as conn:
        await conn.exec_driver_sql("VACUUM ANALYZE loans")

        async def bare() -> None:
            (await conn.exec_driver_sql(_BARE_SQL)).all()

        async def whole() -> None:
            answer = await bench.get("/v1/cover-portfolio?pd_factor=3&lgd_factor=1.5", role="risk_director")
            assert answer.status_code == 200, answer.text

        taken: dict[str, list[float]] = {"bare": [], "portfolio": []}
        for _ in range(ROUNDS):
            taken["bare"].append(await _seconds(bare))
            taken["portfolio"].append(await _seconds(whole))
    seconds = {name: round(median(each), 3) for name, each in taken.items()}
    return {"loans": loans, "seconds": seconds, "times": round(seconds["portfolio"] / seconds["bare"], 2)}


async def _seconds(work: Callable[[], Awaitable[None]]) -> float:
    begun = time.perf_counter()
    await work()
    return time.perf_counter() - begun


async def _measure(url: str, folder: Path, loans: int) -> dict[str, Any]:
    async with Bench(service, url, folder) as bench:
        return await figures(bench, loans)


def main() -> int:
    """Print the figures; exit code 1 when the portfolio takes more than three times the bare aggregate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loans", type=int, default=1_000_000)
    loans = parser.parse_args().loans
    with tempfile.TemporaryDirectory() as folder, postgres.running(Path(folder) / "postgres") as url:
        asyncio.run(migrate.provision(url, (service.name,)))
        with ThreadPoolExecutor(1) as pool:  # alembic runs an event loop of its own
            pool.submit(migrate.upgrade, service.name, url).result()
        found = asyncio.run(_measure(url, Path(folder), loans))
    print(json.dumps(found))
    return int(found["times"] > TIMES_MAX)


if __name__ == "__main__":
    raise SystemExit(main())
