"""Every trap of the public loan format is accepted, corrected with a note, or rejected with its code."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from deploy.demo.lives import Life, due_by, paid_by
from deploy.demo.sba import COLUMNS, Record, Rejected, parse_day, read, replay_assumptions
from deploy.demo.sba_life import ASSUMED, life
from libs.kernel.errors import Invalid

HERE = Path(__file__).parent
TRAPS = HERE / "traps.csv"
REAL = HERE.parents[2] / "shared" / "data" / "sba_loans.csv.gz"
SEED = 7
BEFORE_THE_DECISION = (
    "channel",
    "branch",
    "region",
    "industry",
    "employees",
    "years_in_business",
    "first_time_borrower",
    "applied_on",
    "amount",
    "tenor_months",
    "annual_rate",
    "product",
    "agreement",
    "guaranteed",
    "declared",
    "investigations",
    "sources",
    "security",
)


def expectations() -> list[tuple[int, str, str]]:
    """(line, trap, expected) of every row that says what it expects; the broken ones cannot and are tested by line."""
    lines = TRAPS.read_bytes().split(b"\n")
    rows = [(number, line.decode("utf-8", "replace")) for number, line in enumerate(lines, start=1)]
    cells = [(number, next(csv.reader([line]), [])) for number, line in rows[1:]]
    return [(number, row[-2], row[-1]) for number, row in cells if len(row) == 26 and "�" not in row[1]]


RESULTS = {row.line: row for row in read(TRAPS)}


def test_the_file_holds_at_least_25_traps_beside_clean_rows() -> None:
    traps = [trap for _, trap, _ in expectations()]
    assert len({trap for trap in traps if not trap.startswith("clean")}) >= 25
    assert sum(trap.startswith("clean") for trap in traps) >= 10


@pytest.mark.parametrize(("line", "trap", "expected"), expectations(), ids=lambda value: str(value).replace(" ", "-"))
def test_each_trap_meets_its_expectation(line: int, trap: str, expected: str) -> None:
    row = RESULTS[line]
    verdict, _, detail = expected.partition(":")
    if verdict == "reject":
        assert isinstance(row, Rejected), trap
        assert row.code == detail
        assert row.reason
    else:
        assert isinstance(row, Record), row
        assert detail in ("", *row.notes)
        assert detail or not [note for note in row.notes if note != "industry:not-recorded"]


def test_rows_that_cannot_be_cut_into_cells_are_rejected_and_the_next_row_is_read() -> None:
    broken = [(row.line, row.code) for row in RESULTS.values() if isinstance(row, Rejected) and not row.ref]
    codes = [code for _, code in broken if code in ("malformed", "undecodable")]
    assert codes == ["malformed", "malformed", "undecodable", "malformed"]
    last = max(RESULTS)
    assert isinstance(RESULTS[last], Record)
    assert last > max(line for line, _ in broken)


def test_every_accepted_row_becomes_a_life() -> None:
    for row in RESULTS.values():
        if isinstance(row, Record):
            one = life(row, SEED)
            assert one.ref == row.ref
            assert one.ends_on <= replay_assumptions().day("dates", "last")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("13542", date(1997, 1, 28)),
        ("13665.0", date(1997, 5, 31)),
        ("2005-06-28", date(2005, 6, 28)),
        ("8/27/2004", date(2004, 8, 27)),
        ("28-Feb-97", date(1997, 2, 28)),
        ("1-Jan-70", date(1970, 1, 1)),
        ("31-Dec-29", date(2029, 12, 31)),
        ("31-Dec-1969", date(1969, 12, 31)),
        ("30-Feb-97", None),
        ("28-Fev-97", None),
        ("1997/01/28", None),
    ],
)
def test_a_day_is_read_in_four_formats_and_no_other(cell: str, expected: date | None) -> None:
    assert parse_day(cell, 1970) == expected


def test_a_gzip_file_reads_like_the_plain_one(tmp_path: Path) -> None:
    packed = tmp_path / "traps.csv.gz"
    packed.write_bytes(gzip.compress(TRAPS.read_bytes()))
    assert list(read(packed)) == list(RESULTS.values())


def test_a_cut_off_archive_keeps_what_was_read_and_rejects_the_rest(tmp_path: Path) -> None:
    packed = tmp_path / "cut.csv.gz"
    whole = gzip.compress(TRAPS.read_bytes() * 200)
    packed.write_bytes(whole[: len(whole) // 2])
    rows = list(read(packed))
    assert isinstance(rows[-1], Rejected)
    assert rows[-1].code == "undecodable"


def test_a_file_in_another_format_is_refused_as_a_whole(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(Invalid, match="columns_missing"):
        list(read(other))


def test_the_recorded_term_is_never_read(tmp_path: Path) -> None:
    assert "Term" not in COLUMNS
    header, *rows = TRAPS.read_bytes().split(b"\n")[:60]
    place = header.split(b",").index(b"Term")
    cut = tmp_path / "other-terms.csv"
    changed = [b",".join([*row.split(b",")[:place], b"999", *row.split(b",")[place + 1 :]]) for row in rows]
    cut.write_bytes(b"\n".join([header, *changed]))
    accepted = [row for row in read(cut) if isinstance(row, Record)]
    assert accepted == [RESULTS[row.line] for row in accepted]
    assert len(accepted) > 20


def test_what_is_known_before_the_decision_does_not_depend_on_the_outcome() -> None:
    lost = next(row for row in RESULTS.values() if isinstance(row, Record) and row.charged_off)
    paid = replace(lost, charged_off=None, charged_off_on=None, first_missed=None)
    one, other = life(lost, SEED), life(paid, SEED)
    assert one.default
    assert other.default is None
    for name in BEFORE_THE_DECISION:
        assert getattr(one, name) == getattr(other, name), name


def test_the_same_seed_gives_the_same_life_and_another_seed_other_figures() -> None:
    record = next(row for row in RESULTS.values() if isinstance(row, Record))
    assert life(record, SEED) == life(record, SEED)
    assert life(record, SEED).declared != life(record, SEED + 1).declared


def assert_sba_life(one: Life, record: Record) -> None:
    overdue = replay_assumptions().count("overdue", "days_min")
    assert set(ASSUMED) <= set(one.notes)
    assert one.amount == record.amount
    assert one.drawn <= one.amount
    assert all(row.due.day == 20 for row in one.schedule)
    if record.charged_off is None:
        assert one.default is None
        assert paid_by(one, date.max) == one.drawn
        return
    assert one.default
    assert one.default.charged_off == record.charged_off
    assert one.default.charged_off_on == record.charged_off_on
    assert (one.default.charged_off_on - one.default.first_missed).days >= overdue
    assert one.default.first_missed in [row.due for row in one.schedule]
    assert paid_by(one, one.default.first_missed) < due_by(one, one.default.first_missed)
    assert one.default.disposal.on.day == 1
    assert one.default.disposal.price <= min(one.default.charged_off, max(one.security.appraisals))


def test_accepted_traps_keep_recorded_facts() -> None:
    for record in RESULTS.values():
        if isinstance(record, Record):
            assert_sba_life(life(record, SEED), record)


@pytest.mark.skipif(not REAL.exists(), reason="the public SBA file is not beside the project (shared/data)")
def test_at_least_98_of_100_real_rows_are_accepted_and_every_other_one_says_why() -> None:
    rows = list(read(REAL))
    accepted = [row for row in rows if isinstance(row, Record)]
    rejected = Counter(row.code for row in rows if isinstance(row, Rejected))
    assert len(rows) == 32_030
    assert len(accepted) / len(rows) >= Decimal("0.98")
    assert rejected["no_outcome"] == 93
    assert rejected["paid_with_charge_off"] == 188
    assert rejected["charge_off_zero"] == 70
    assert rejected["charge_off_above_approved"] == 49
    assert not set(rejected) & {"malformed", "undecodable", "bad_date", "bad_amount", "duplicate"}
    for record in accepted[::25]:
        assert_sba_life(life(record, SEED), record)
    overdue = [
        (row.charged_off_on - row.first_missed).days for row in accepted if row.charged_off_on and row.first_missed
    ]
    assert sum(days > 360 for days in overdue) / len(overdue) > Decimal("0.95")
