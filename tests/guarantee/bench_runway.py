"""The cap runway back-tested on public loan records: each vintage forecast at its year's end, held against what came.

`python -m tests.guarantee.bench_runway sba_loans.csv.gz`: for each year of disbursement PDs by term are learnt from
charge-offs known by its end, a cap of 3 % of the guaranteed amounts is set, and the forecast is compared with the days
on which the file's charge-offs used it up. The width of each band is learnt from earlier vintages alone: those whose
forecast had run to its end by the day of the forecast. Vintages are tested from the first that has VINTAGES_MIN such
before it. Prints one line a vintage, and how often the bands held.
"""

from __future__ import annotations

import csv
import gzip
import math
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

from libs.kernel.money import Money
from services.guarantee.domain.runway import (
    Bucket,
    Miss,
    Runway,
    RunwayTerms,
    chance_variance,
    forecast,
    spread,
    vintage_factor,
)

CAP_RATE = Decimal("0.03")
LOANS_MIN = 100
VINTAGES_MIN = 3
YEARS = range(1985, 2011)
POLICY = Path("services/guarantee/policies/runway/2026-01-01.toml")
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


@dataclass(frozen=True, slots=True)
class Tested:
    """One vintage's forecast at its year's end, and what came."""

    loans: int
    told: Runway
    came: Decimal
    ended: date | None
    miss: Miss


def tested(vintages: dict[int, list[Loan]], year: int, terms: RunwayTerms) -> Tested:
    """Forecast one vintage from what was known at its year's end, and look what came."""
    on, vintage = date(year, 12, 31), vintages[year]
    known = [loan for earlier in range(year - 8, year) for loan in vintages[earlier]]
    pds = learnt(known, on)
    cap = Decimal(str(sum(loan.amount for loan in vintage))) * CAP_RATE
    used = Decimal(str(sum(loan.lost for loan in vintage if loan.lost_on and loan.lost_on <= on)))
    room = Money(cap - used, "USD")
    factor = vintage_factor(buckets(vintage, pds, on, past=True), Money(used, "USD"), terms)
    to_go = buckets(vintage, pds, on, past=False)
    told = forecast(to_go, room, factor, terms, wait_months=0, on=on, months=terms.horizon_months)
    total, ended = Decimal(0), None
    for lost_on, lost in sorted(
        (loan.lost_on, loan.lost) for loan in vintage if loan.lost_on and on < loan.lost_on <= told.until
    ):
        total += Decimal(str(lost))
        if ended is None and total >= room.amount:
            ended = lost_on
    miss = Miss(total, told.claims.expected.amount, chance_variance(to_go, terms.horizon_months))
    return Tested(len(vintage), told, total, ended, miss)


def interval(held: int, seen: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson)."""
    z, share = 1.96, held / seen
    middle, half = share + z * z / (2 * seen), z * math.sqrt(share * (1 - share) / seen + (z / (2 * seen)) ** 2)
    return (middle - half) / (1 + z * z / seen), (middle + half) / (1 + z * z / seen)


def main() -> None:
    terms = RunwayTerms(**tomllib.loads(POLICY.read_text("utf-8"), parse_float=Decimal)["terms"])
    vintages: dict[int, list[Loan]] = defaultdict(list)
    for loan in loans(Path(sys.argv[1])):
        vintages[loan.drawn.year].append(loan)
    misses: dict[int, Miss] = {}
    held = dated = 0
    seen: list[int] = []
    for year in YEARS:
        if len(vintages[year]) < LOANS_MIN:
            continue
        # A vintage's misses do not hang on the width, so they can be noted before a width is known.
        past = [miss for earlier, miss in misses.items() if earlier + terms.horizon_months // 12 <= year]
        width = spread(past) if len(past) >= VINTAGES_MIN else None
        one = tested(vintages, year, replace(terms, factor_sd=width or Decimal(0)))
        misses[year] = one.miss
        if width is None:
            print(f"{year} {one.loans:>6,} loans  expected {_m(one.miss.expected)}, came {_m(one.came)}: not tested")
            continue
        seen.append(year)
        inside = one.told.claims.low.amount <= one.came <= one.told.claims.high.amount
        on_time = _on_time(one.ended, one.told.earliest, one.told.latest)
        held, dated = held + inside, dated + on_time
        print(
            f"{year} {one.loans:>6,} loans  sd {width:.2f} of {len(past)}:"
            f" expected {_m(one.told.claims.expected.amount)} ({_m(one.told.claims.low.amount)} -"
            f"{_m(one.told.claims.high.amount)}), came {_m(one.came)}"
            f" {'in' if inside else 'OUT'}; cap ends {one.told.expected or 'after'} ({one.told.earliest or 'after'} -"
            f" {one.told.latest or 'after'}), ended {one.ended or 'after'} {'in' if on_time else 'OUT'}"
        )
    for what, hits in (("claims within the band", held), ("the cap's last day within its band", dated)):
        low, high = interval(hits, len(seen))
        print(f"{what}: {hits} of {len(seen)} vintages, {seen[0]} to {seen[-1]}; 95 % interval {low:.0%} to {high:.0%}")
    print(f"sd of all {len(misses)} vintages, {min(misses)} to {max(misses)}: {spread(list(misses.values())):.2f}")


def _m(amount: Decimal) -> str:
    return f"{amount / 1_000_000:>7.1f} M"


def _on_time(ended: date | None, early: date | None, late: date | None) -> bool:
    """Whether the day lies between the ends; an end that is None lies behind the horizon, like a day that is None."""
    never = date.max
    return (early or never) <= (ended or never) <= (late or never)


if __name__ == "__main__":
    main()
