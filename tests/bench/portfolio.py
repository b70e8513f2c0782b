"""The whole book under cover and a stress of it, against the bare SQL aggregate of the same covers in the same run.

A part of `make bench` (BENCH=portfolio), and `python -m tests.bench.portfolio --covers 1000000` starts a PostgreSQL of
its own, fills it and prints the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from deploy.local import postgres
from libs.runtime import migrate
from services.guarantee.main import service
from tests.bench.figures import PAIRS_MIN, Comparison, Measured, Side, Wrong, order
from tests.bench.figures import Bench as Measurement
from tests.bench.ground import Ground
from tests.guarantee.stories import AGREED, NAMED, admit
from tests.harness.bench import Bench

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
# One cover in ten is bound and waits for its drawdown; the others have the loan of the same number.
_COVERS_SQL = """
INSERT INTO covers (cover_id, facility_id, agreement, terms, partner, state, currency, amount, held, guaranteed, active,
    used, drawdowns, shares, layers, lines, reason, conditions, asked, notice)
SELECT 'c-' || n, 'f-' || n, split_part(terms, '@', 1), terms, 'city-guarantee',
    CASE WHEN drawn THEN 'active' ELSE 'bound' END, 'CNY', amount, held, held,
    CASE WHEN drawn THEN held ELSE 0 END, CASE WHEN drawn THEN held ELSE 0 END,
    drawn::int, '[]', '[]', '[]', '', '[]', true, ''
FROM (
    SELECT n, n <= $1::bigint AS drawn, ($3::text[])[n % cardinality($3::text[]) + 1] AS terms,
        10000 + (n * 7919 % 490000)::numeric AS amount, round((10000 + (n * 7919 % 490000)::numeric) * 0.8, 2) AS held
    FROM generate_series(1, $2::bigint) n
) numbered
"""
_FILES_SQL = """
INSERT INTO files (facility_id, currency, amount, agreement, grade, application_refused, borrower, branch, size_class,
    industry, product, tenor_months, annual_rate, renews, pd)
SELECT 'f-' || n, 'CNY', 10000 + (n * 7919 % 490000)::numeric, '', 'A', false, 'b', 'b1', '', '', '', 12, 0.045, '',
    0.001 * (n % 16 + 1)
FROM generate_series(1, $1::bigint) n
"""
_BARE_SQL = """
SELECT terms, count(*), sum(outstanding), sum(guaranteed) FROM loans WHERE NOT closed GROUP BY terms
UNION ALL
SELECT terms, count(*), sum(amount), sum(held - active) FROM covers
WHERE state IN ('bound', 'active') AND held > active GROUP BY terms
"""


async def seed_loans(bench: Bench, loans: int, terms: tuple[str, ...]) -> None:
    """Loans of different size, age, PD and terms, one in twenty closed: the same for the same number."""
    async with bench.parts.engine.begin() as conn:
        await conn.exec_driver_sql(_SEED_SQL, (loans, list(terms)))


async def seed_covers(bench: Bench, covers: int) -> None:
    """So many covers with their files, nine in ten drawn."""
    drawn = covers - covers // 10
    await admit(bench, AGREED, NAMED, CAPPED)
    await seed_loans(bench, drawn, TERMS)
    async with bench.parts.engine.begin() as conn:
        await conn.exec_driver_sql(_COVERS_SQL, (drawn, covers, list(TERMS)))
        await conn.exec_driver_sql(_FILES_SQL, (covers,))
    async with bench.parts.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as conn:
        for table in ("loans", "covers", "files"):
            await conn.exec_driver_sql(f"VACUUM ANALYZE {table}")


@contextmanager
def sides(runner: asyncio.Runner, url: str, folder: Path, covers: int) -> Iterator[dict[str, Side]]:
    """The bare aggregate, and the stressed portfolio through its door, on a book of so many covers."""
    bench = runner.run(Bench(service, url, folder).__aenter__())
    try:
        runner.run(seed_covers(bench, covers))

        async def bare() -> int:
            async with bench.parts.engine.connect() as conn:
                rows = (await conn.exec_driver_sql(_BARE_SQL)).all()
            return sum(row[1] for row in rows)

        async def portfolio() -> int:
            answer = await bench.get("/v1/cover-portfolio?pd_factor=3&lgd_factor=1.5", role="risk_director")
            (view,) = answer.json()
            return int(view["loans"]) + int(view["covers"])

        def timed(work: Callable[[], Awaitable[int]]) -> Side:
            return lambda: {"ms": runner.run(_milliseconds(work, covers))}

        yield {"bare": timed(bare), "portfolio": timed(portfolio)}
    finally:
        runner.run(bench.__aexit__())


async def _milliseconds(work: Callable[[], Awaitable[int]], covers: int) -> float:
    begun = time.perf_counter()
    counted = await work()
    taken = (time.perf_counter() - begun) * 1000
    if counted != expected(covers):
        raise Wrong(f"{counted} loans and covers were added up, {expected(covers)} are there")
    return taken


def expected(covers: int) -> int:
    """The loans that are not closed, and the covers with something to draw."""
    drawn = covers - covers // 10
    return drawn - drawn // 20 + covers // 10


@contextmanager
def prepared(ground: Ground, facts: dict[str, str]) -> Iterator[dict[str, Side]]:
    """Both sides on a database of their own."""
    with asyncio.Runner() as runner, sides(runner, ground.database(), ground.home, ground.size) as found:
        facts["seeded"] = f"{ground.size - ground.size // 10:,} drawn covers and {ground.size // 10:,} not drawn"
        yield found


BENCH = Measurement(
    id="PORTFOLIO",
    title="the whole book under cover, and a stress of it",
    told=(
        "`GET /v1/cover-portfolio` with PD × 3 and LGD × 1.5 at the real door: exposure and commitments by agreement,"
        " the caps, and who bears what of the expected and of the stressed loss. Baseline: the bare SQL aggregate of"
        " the same rows, count and sums of loans and of commitments by terms. Loans and covers are counted in every"
        " answer."
    ),
    prepared=prepared,
    comparisons=(
        Comparison(
            what="time for the stressed portfolio",
            ours="portfolio.ms",
            baseline="bare.ms",
            unit="ms",
            solid=TIMES_MAX,
            reach=2.0,
            at_most=True,
        ),
    ),
    size=1_000_000,
    size_is="covers",
)


def main() -> int:
    """Print the figures; exit code 1 when the portfolio takes more than three times the bare aggregate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--covers", type=int, default=BENCH.size)
    covers = parser.parse_args().covers
    measured = Measured(BENCH, covers)
    with tempfile.TemporaryDirectory() as folder, postgres.running(Path(folder) / "postgres") as url:
        asyncio.run(migrate.provision(url, (service.name,)))
        with ThreadPoolExecutor(1) as pool:  # alembic runs an event loop of its own
            pool.submit(migrate.upgrade, service.name, url).result()
        with asyncio.Runner() as runner, sides(runner, url, Path(folder), covers) as found:
            for pair in range(PAIRS_MIN):
                for name in order(list(found), pair):
                    measured.add(name, found[name]())
    (comparison,) = BENCH.comparisons
    times = median(measured.ratios(comparison))
    print(json.dumps({"covers": covers, "ms": measured.figures, "times": round(times, 2)}))
    return int(times > TIMES_MAX)


if __name__ == "__main__":
    raise SystemExit(main())
