"""American loans on real servers and processes: every life ends, and the books agree with the file to the cent."""

from __future__ import annotations

from decimal import Decimal

import pytest

from deploy.demo import sample, sba
from tests.harness.books import cells, check_file, check_run
from tests.harness.platform import Run
from tests.journeys.conftest import PUBLIC, PUBLIC_ROWS, SEED, TRAPS

REJECTED_SHARE_MAX = Decimal("0.02")

needs_public = pytest.mark.skipif(not PUBLIC.exists(), reason=f"the public loan file is not there: {PUBLIC.name}")


def test_every_american_life_ends_and_the_journal_is_complete(american: Run) -> None:
    check_run(american)


# --- the file of traps -----------------------------------------------------------------------------------------------


def test_every_row_of_the_file_of_traps_is_finished_or_rejected_with_its_line_and_reason(american: Run) -> None:
    results = list(sba.read(TRAPS))
    rejected = [row for row in results if isinstance(row, sba.Rejected)]
    finished = [row for row in results if isinstance(row, sba.Record) and row.ref in american.stories]
    loans = [line for line in TRAPS.read_bytes().split(b"\n")[1:] if line.strip()]
    assert len(loans) == len(finished) + len(rejected)
    assert all(row.line > 1 and row.code and row.reason for row in rejected)
    closed = {ref for ref, story in american.stories.items() if any(e.type == "loan.closed.v1" for e in story)}
    assert {row.ref for row in finished} <= closed
    expected = [line for line, row in cells(TRAPS).items() if row.get("Expect", "").startswith("accept")]
    assert {row.line for row in finished} <= set(expected)


def test_the_file_of_traps_reconciles_loan_by_loan_and_in_total(american: Run) -> None:
    check_file(american, TRAPS, (row for row in sba.read(TRAPS) if isinstance(row, sba.Record)))


# --- real records ----------------------------------------------------------------------------------------------------


@needs_public
def test_real_records_reconcile_loan_by_loan_and_in_total(american: Run) -> None:
    drawn = sample.stratified(sba.read(PUBLIC), PUBLIC_ROWS, SEED)
    assert len(drawn.records) == PUBLIC_ROWS
    check_file(american, PUBLIC, drawn.records)


@needs_public
def test_at_most_two_in_a_hundred_real_records_are_rejected() -> None:
    drawn = sample.stratified(sba.read(PUBLIC), PUBLIC_ROWS, SEED)
    rejected = sum(drawn.rejected.values())
    assert rejected <= REJECTED_SHARE_MAX * (drawn.accepted + rejected)
