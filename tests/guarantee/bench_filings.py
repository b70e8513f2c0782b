"""Three filing lists of 100,000 drawdowns held against one another, with planted breaks: how long, and all found?

`python -m tests.guarantee.bench_filings [ROWS]` starts a PostgreSQL of its own and exits with 1 if a break is missed.
"""

from __future__ import annotations

import asyncio
import csv
import io
import random
import sys
import tempfile
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

from deploy.local import postgres
from libs.runtime import migrate
from services.guarantee.main import service
from tests.guarantee.stories import PARTNER
from tests.harness.bench import Bench

FIRST = date(2025, 9, 1)
# A cover, a loan to be filed within 20 days, and its filing on the day of disbursement.
SEED_SQL = """
WITH n AS (SELECT g, 'cover-' || g AS cover, 'loan-' || g AS loan, 'f-' || g AS facility,
                  (g % 90000 + 1000)::numeric(20, 2) AS amount, DATE '2025-09-01' + (g % 28)::int AS day
           FROM generate_series(1, $1::int) g),
c AS (INSERT INTO covers SELECT r.* FROM n CROSS JOIN LATERAL jsonb_populate_record(NULL::covers, jsonb_build_object(
    'cover_id', cover, 'facility_id', facility, 'agreement', 'batch', 'partner', 'city-guarantee', 'terms', 'batch@x',
    'state', 'active', 'currency', 'CNY', 'amount', amount, 'held', 0, 'guaranteed', 0, 'active', 0, 'used', 0,
    'drawdowns', 1, 'shares', '[]'::jsonb, 'layers', '[]'::jsonb, 'lines', '[]'::jsonb, 'reason', '')) r),
l AS (INSERT INTO loans SELECT r.* FROM n CROSS JOIN LATERAL jsonb_populate_record(NULL::loans, jsonb_build_object(
    'loan_id', loan, 'facility_id', facility, 'cover_id', cover, 'currency', 'CNY', 'amount', amount,
    'outstanding', amount, 'guaranteed', 0, 'annual_rate', 0, 'disbursed_on', day, 'maturity', day, 'premium', 0,
    'premium_open', false, 'file_by', day + 20, 'closed', false, 'waiting', '[]'::jsonb, 'shared', 0)) r)
INSERT INTO entries (entry_id, facility_id, cover_id, kind, reference, currency, amount, "on", party)
SELECT 'e-' || g, facility, cover, 'cover.filed', loan, 'CNY', amount, day, '' FROM n
"""
Row = list[str]


def clean(rows: int) -> list[Row]:
    """The list as our books have it."""
    return [
        ["cover.filed", f"loan-{g}", "", f"{g % 90000 + 1000}.00", "CNY", str(FIRST + timedelta(days=g % 28)), ""]
        for g in range(1, rows + 1)
    ]


def with_breaks(rows: list[Row], seed: int, each: int) -> tuple[str, Counter[str]]:
    """The list as CSV with `each` breaks of every kind in rows of their own, and how many there are."""
    drawn = random.Random(seed)
    listed, planted = [list(row) for row in rows], Counter[str]()
    doubled: list[Row] = []
    places = iter(drawn.sample(range(len(rows)), 7 * each))
    for finding in ("amount", "date", "late", "removed", "doubled", "missing", "unknown"):
        for row in (listed[next(places)] for _ in range(each)):
            day = date.fromisoformat(row[5])
            match finding:
                case "amount":
                    row[3] = f"{float(row[3]) + 1:.2f}"
                case "date":
                    row[5] = str(day + timedelta(days=1))
                case "late":
                    row[5] = str(day + timedelta(days=21))
                case "removed":
                    row[6] = "removed"
                case "doubled":
                    doubled.append(list(row))
                case "missing":
                    row[0] = ""
                case "unknown":
                    doubled.append([row[0], f"stranger-{row[1]}", *row[2:]])
            planted[finding] += 1
    listed = [row for row in listed if row[0]] + doubled
    drawn.shuffle(listed)
    text = io.StringIO()
    csv.writer(text).writerows([["kind", "reference", "party", "amount", "currency", "day", "state"], *listed])
    return text.getvalue(), planted


async def hand_in(b: Bench, text: str, party: str) -> tuple[float, dict[str, dict[str, int]]]:
    """The seconds that one list took, and what was found against each other side."""
    headers = {**b.bearer("li", "customer_manager"), "idempotency-key": party, "content-type": "text/csv"}
    began = time.monotonic()
    answer = await b.http.post(
        f"/v1/partners/city-guarantee/lists/filings/2025-09?party={party}", content=text, headers=headers, timeout=120
    )
    answer.raise_for_status()
    return time.monotonic() - began, {each["against"]: each["findings"] for each in answer.json()["compared"]}


async def run(url: str, folder: Path, rows: int) -> bool:
    """Hand three lists in; whether every planted break was found, and nothing else."""
    async with Bench(service, url, folder, request_seconds_max=120) as b:
        await b.open(FIRST)
        await b.post("/v1/partners", PARTNER, role="admin")
        async with b.parts.engine.begin() as conn:
            await conn.exec_driver_sql(SEED_SQL, (rows,))
        text, none = with_breaks(clean(rows), 0, 0)
        took, found = await hand_in(b, text, "city-guarantee")
        print(f"guarantor's clean list of {rows:,}, {len(text):,} bytes, against the bank: {took:.1f} s, {found}")
        right = found == {"bank": dict(none)}
        text, planted = with_breaks(clean(rows), 7, max(1, rows // 1000))
        took, found = await hand_in(b, text, "reguarantor")
        print(f"re-guarantor's list with {planted.total():,} breaks against bank and guarantor: {took:.1f} s, {found}")
        return right and found == {"bank": dict(planted), "city-guarantee": dict(planted)}


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder, postgres.running(Path(folder)) as url:
        asyncio.run(migrate.provision(url, (service.name,)))
        migrate.upgrade(service.name, url)
        right = asyncio.run(run(url, Path(folder), rows))
    print("every break found, and nothing else" if right else "the findings are not what was planted")
    raise SystemExit(not right)


if __name__ == "__main__":
    main()
