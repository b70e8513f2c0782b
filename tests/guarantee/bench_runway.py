"""The cap runway back-tested on public loan records: each vintage forecast at its year's end, held against what came.

`python -m tests.guarantee.bench_runway sba_loans.csv.gz`: for each year of disbursement PDs by term are learnt from
charge-offs known by its end, a cap of 3 % of the guaranteed amounts is set, and the forecast is compared with the days
on which the file's charge-offs used it up. Prints one line a vintage, and how often the bands held.
"""

from __future__ import annotations

import csv
import gzip
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from libs.kernel.money import Money
from services.guarantee.domain.runway import Bucket, RunwayTerms, forecast, vintage_factor

CAP_RATE = Decimal("0.03")
LOANS_MIN = 100
POLICY = Path("services/guarantee/policies/runway/2025-07-01.toml")
TERM_STEPS = (36, 60, 84, 120, 240)


@dataclass(frozen=True, slots=True)
class Loan:
    """One row: guaranteed amount, the guaranteed part of its charge-off, when, and its term."""

    drawn: date
    term: int
    amount: float
    lost: float
    lost_on: date | None

    @property
    def step(self) -> int:
        return sum(self.term > step for step in TERM_STEPS)


def day(cell: str) -> date | None:
    """A date of the file; None where it has none."""
    try:
        return date.fromisoformat(cell.strip())
    except ValueError:
        return None


def loans(path: Path) -> Iterator[Loan]:
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
        for row in csv.DictReader(file):
            money = {n: float(row[n] or 0) for n in ("SBA_Appv", "GrAppv", "ChgOffPrinGr")}
            drawn = day(row["DisbursementDate"])
            if drawn is None or not row["Term"] or not money["GrAppv"]:
                continue
            share = money["SBA_Appv"] / money["GrAppv"]
            lost_on = day(row["ChgOffDate"])
            yield Loan(drawn, int(float(row["Term"])), money["SBA_Appv"], money["ChgOffPrinGr"] * share, lost_on)


def months(first: date, last: date) -> int:
    return max(0, (last.year - first.year) * 12 + last.month - first.month)


def learnt(known: list[Loan], on: date) -> dict[int, Decimal]:
    """Yearly loss rates by term of loans up to four years old, over the last three years, as known on a day."""
    lost: dict[int, float] = defaultdict(float)
    years: dict[int, float] = defaultdict(float)
    since = date(on.year - 3, on.month, on.day)
    for loan in known:
        gone = loan.lost_on if loan.lost_on is not None and loan.lost_on <= on else None
        ends = min(48, loan.term if gone is None else months(loan.drawn, gone))
        began = months(loan.drawn, since)
        years[loan.step] += loan.amount * max(0, min(ends, months(loan.drawn, on)) - began) / 12
        if gone is not None and gone > since and months(loan.drawn, gone) <= 48:
            lost[loan.step] += loan.lost
    return {step: Decimal(str(lost[step] / years[step])) for step in years if years[step]}


def buckets(vintage: list[Loan], pds: dict[int, Decimal], on: date, *, past: bool) -> list[Bucket]:
    """The vintage's loans by term and age: those still running, or all as drawn."""
    sums: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for loan in vintage:
        run = min(loan.term, months(loan.drawn, on))
        if not past and loan.lost_on is not None and loan.lost_on <= on:
            continue
        place = sums[loan.step, run if past else loan.term - run]
        place[0] += loan.amount
        place[1] += loan.amount**2
    return [
        Bucket(amount=Decimal(str(a)), squares=Decimal(str(s)), pd=pds.get(step, Decimal(0)), months=to_go)
        for (step, to_go), (a, s) in sums.items()
    ]


def main() -> None:
    terms = RunwayTerms(**tomllib.loads(POLICY.read_text("utf-8"), parse_float=Decimal)["terms"])
    vintages: dict[int, list[Loan]] = defaultdict(list)
    for loan in loans(Path(sys.argv[1])):
        vintages[loan.drawn.year].append(loan)
    held = dated = seen = 0
    for year in range(1990, 2011):
        on, vintage = date(year, 12, 31), vintages[year]
        if len(vintage) < LOANS_MIN:
            continue
        known = [loan for earlier in range(year - 8, year) for loan in vintages[earlier]]
        pds = learnt(known, on)
        cap = Decimal(str(sum(loan.amount for loan in vintage))) * CAP_RATE
        used = Decimal(str(sum(loan.lost for loan in vintage if loan.lost_on and loan.lost_on <= on)))
        room = Money(cap - used, "USD")
        factor = vintage_factor(buckets(vintage, pds, on, past=True), Money(used, "USD"), terms)
        to_go = buckets(vintage, pds, on, past=False)
        told = forecast(to_go, room, factor, terms, wait_months=0, on=on, months=terms.horizon_months)
        later = sorted(
            (loan.lost_on, loan.lost) for loan in vintage if loan.lost_on and on < loan.lost_on <= told.until
        )
        total, ended = Decimal(0), None
        for lost_on, lost in later:
            total += Decimal(str(lost))
            if ended is None and total >= room.amount:
                ended = lost_on
        inside = told.claims.low.amount <= total <= told.claims.high.amount
        early, late = told.earliest, told.latest
        on_time = _on_time(ended, early, late)
        held, dated, seen = held + inside, dated + on_time, seen + 1
        print(
            f"{year} {len(vintage):>6,} loans  expected {told.claims.expected.amount / 1_000_000:>7.1f} M"
            f" ({told.claims.low.amount / 1_000_000:.1f}-{told.claims.high.amount / 1_000_000:.1f}),"
            f" came {total / 1_000_000:>7.1f} M {'in' if inside else 'OUT'};"
            f" cap ends {told.expected or 'after'} ({early or 'after'} - {late or 'after'}), ended {ended or 'after'}"
            f" {'in' if on_time else 'OUT'}"
        )
    print(f"claims within the band: {held} of {seen}; the cap's last day within its band: {dated} of {seen}")


def _on_time(ended: date | None, early: date | None, late: date | None) -> bool:
    """Whether the day lies between the ends; an end that is None lies behind the horizon, like a day that is None."""
    never = date.max
    return (early or never) <= (ended or never) <= (late or never)


if __name__ == "__main__":
    main()
