"""The states' programmes replayed: shares and premiums as recorded, or the reason why not, on rows made by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from deploy.demo.ssbci import COLUMNS, EQUAL, Programmes, Replayed, main, read_programmes, replay

GUARANTEE, SUPPORT, RESERVE = "Loan Guarantee", "Collateral Support", "CAP"
SHARES = [
    # programme, state, loan, part -> predicted, reason
    (GUARANTEE, "CA", "250000.0", "200000.0", "200000.00", EQUAL),
    (GUARANTEE, "CA", "250000.0", "199750.0", "200000.00", EQUAL),
    (GUARANTEE, "CA", "250000.0", "199749.9", "200000.00", "below the state's"),
    (GUARANTEE, "GA", "100000.0", "50000.0", "10000.00", "above the state's"),
    (GUARANTEE, "CA", "100000.0", "80000.01", "80000.00", EQUAL),
    (GUARANTEE, "CA", "100000.0", "81000.0", "80000.00", "refused: `guaranteed_above_maximum`"),
    (GUARANTEE, "AL", "100000.0", "0.0", "50000.00", "refused: `nothing_guaranteed`"),
    (GUARANTEE, "AL", "20000000.01", "100.0", "10000000.01", "refused: `amount_not_eligible`"),
    (SUPPORT, "MI", "300000.0", "149700.0", "149700.00", EQUAL),
    (SUPPORT, "KY", "300000.0", "30000.0", "60000.00", "no more than the collateral lacks"),
    (SUPPORT, "NH", "300000.0", "60000.0", "0.00", "too few loans"),
    ("Loan Participation", "CA", "300000.0", "0.0", "0.00", "no cover at all"),
]
PREMIUMS = [
    # borrower, lender, original, recycled -> the state's half, reason
    ("350.0", "350.0", "700.0", "0.0", "700.00", EQUAL),
    ("100.0", "100.0", "0.0", "200.0", "200.00", EQUAL),
    ("0.0", "333.33", "300.0", "33.33", "333.33", EQUAL),
    ("150.0", "150.0", "150.0", "0.0", "300.00", "another amount"),
    ("90.0", "90.0", "180.0", "0.0", "180.00", "outside 2 to 7 %"),
    ("350.0", "360.0", "710.0", "0.0", "710.00", "outside 2 to 7 %"),
    ("0.0", "0.0", "0.0", "0.0", "0.00", "outside 2 to 7 %"),
]


@pytest.fixture(scope="module")
def programmes() -> Programmes:
    return read_programmes()


def row(kind: str, state: str, lent: str, **columns: str) -> dict[str, str]:
    known = {"program_type": kind, "state_id": state, "loan_investment_amount": lent}
    return dict.fromkeys(COLUMNS, "0.0") | known | columns


def rows_of_shares() -> list[dict[str, str]]:
    column = {SUPPORT: "collateral_support"}
    return [
        row(kind, state, lent, **{column.get(kind, "guaranteed_amount"): part})
        for kind, state, lent, part, *_ in SHARES
    ]


def rows_of_premiums() -> list[dict[str, str]]:
    names = ("borrower_insurance_premium", "lender_insurance_premium", "ssbci_original_funds", "ssbci_recycled_funds")
    return [row(RESERVE, "CA", "10000.0", **dict(zip(names, case[:4], strict=True))) for case in PREMIUMS]


def written(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_shares_and_premiums_are_as_recorded_or_have_a_reason(tmp_path: Path, programmes: Programmes) -> None:
    path = written(tmp_path / "transactions.csv", rows_of_shares() + rows_of_premiums())
    found = [one for one in replay(path, programmes) if isinstance(one, Replayed)]
    expected = [case[-2:] for case in SHARES] + [case[-2:] for case in PREMIUMS]
    assert [str(one.predicted.amount) for one in found] == [predicted for predicted, _ in expected]
    for one, (_, reason) in zip(found, expected, strict=True):
        assert reason in one.reason if reason else one.reason == EQUAL, one


def test_the_recorded_part_does_not_decide_on_the_prediction(tmp_path: Path, programmes: Programmes) -> None:
    plain, other = rows_of_shares(), rows_of_shares()
    for one in other:
        one |= {"guaranteed_amount": "77.0", "collateral_support": "77.0", "ssbci_original_funds": "77.0"}
    parts = [
        [one.predicted for one in replay(written(tmp_path / name, rows), programmes) if isinstance(one, Replayed)]
        for name, rows in (("plain.csv", plain), ("other.csv", other))
    ]
    assert parts[0] == parts[1]


def test_the_command_counts_every_row_of_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unread = [row(GUARANTEE, "CA", "much"), row(RESERVE, "CA", "0.0")]
    path = written(tmp_path / "transactions.csv", rows_of_shares() + rows_of_premiums() + unread)
    assert main(["--transactions", str(path)]) == 0
    told = capsys.readouterr().out
    assert "| guarantee | 8 | 3 | 37.5 % |" in told
    assert "| collateral | 3 | 1 | 33.3 % |" in told
    assert "| reserve | 7 | 3 | 42.9 % |" in told
    assert "| cannot be read: `bad_amount` | 2 |" in told
