"""The real programme's rules by era, each at its thresholds, and that nothing but the approval decides on them."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest

from deploy.demo.programme import Programme, Replayed, main, read_programme, replay, why_not
from deploy.demo.sba import COLUMNS, Rejected

EXPRESS, ORDINARY = "9900005000", "9900004000"
CASES = [
    # approved, amount, number, low document, revolving -> version, guaranteed
    ("1979-05-01", "100000", ORDINARY, "N", "N", "sba-7a@1970-01-01", "90000"),
    ("1984-05-01", "600000", ORDINARY, "N", "N", "sba-7a@1970-01-01", "500000"),
    ("1986-04-06", "155000", ORDINARY, "N", "N", "sba-7a@1970-01-01", "139500"),
    ("1986-04-07", "155000", ORDINARY, "N", "N", "sba-7a-small@1986-04-07", "139500"),
    ("1986-04-07", "155001", ORDINARY, "N", "N", "sba-7a@1986-04-07", "131750.85"),
    ("1988-11-03", "1000000", ORDINARY, "N", "N", "sba-7a@1988-11-03", "750000"),
    ("1993-09-01", "200000", ORDINARY, "N", "N", "sba-7a@1993-09-01", "150000"),
    ("1995-10-11", "100000", ORDINARY, "Y", "N", "sba-7a-small@1986-04-07", "90000"),
    ("1995-10-12", "100000", ORDINARY, "Y", "N", "sba-7a-small@1995-10-12", "80000"),
    ("1995-10-12", "100001", ORDINARY, "N", "N", "sba-7a@1995-10-12", "75000.75"),
    ("1995-02-26", "50000", ORDINARY, "N", "Y", "sba-7a-small@1986-04-07", "45000"),
    ("1995-02-27", "50000", ORDINARY, "N", "Y", "sba-express@1995-02-27", "25000"),
    ("1997-02-01", "50000", ORDINARY, "Y", "Y", "sba-7a-small@1995-10-12", "40000"),
    ("1997-02-01", "100001", ORDINARY, "N", "Y", "sba-7a@1995-10-12", "75000.75"),
    ("1998-10-01", "150000", ORDINARY, "N", "T", "sba-express@1998-10-01", "75000"),
    ("2000-12-20", "1200000", ORDINARY, "N", "N", "sba-7a@1995-10-12", "750000"),
    ("2000-12-21", "150000", ORDINARY, "N", "N", "sba-7a-small@2000-12-21", "127500"),
    ("2000-12-21", "150001", ORDINARY, "N", "N", "sba-7a@2000-12-21", "112500.75"),
    ("2004-05-03", "2000000", ORDINARY, "N", "N", "sba-7a@2004-04-05", "1500000"),
    ("2004-11-03", "2000000", ORDINARY, "N", "N", "sba-7a@2004-10-01", "1000000"),
    ("2004-12-08", "350000", EXPRESS, "N", "N", "sba-express@2004-12-08", "175000"),
    ("2004-12-08", "350001", EXPRESS, "N", "N", "sba-7a@2004-12-08", "262500.75"),
]


@pytest.fixture(scope="module")
def programme() -> Programme:
    return read_programme()


def row(case: tuple[str, ...], **recorded: str) -> dict[str, str]:
    day, amount, number, low, revolving, *_ = case
    known = {"LoanNr_ChkDgt": number, "ApprovalDate": day, "GrAppv": amount, "LowDoc": low, "RevLineCr": revolving}
    return dict.fromkeys(COLUMNS, "") | known | {"SBA_Appv": "1"} | recorded


def played(path: Path, rows: list[dict[str, str]], programme: Programme) -> list[Replayed | Rejected]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return list(replay(path, programme))


def test_each_rule_covers_its_era_and_amounts(tmp_path: Path, programme: Programme) -> None:
    found = played(tmp_path / "loans.csv", [row(case) for case in CASES], programme)
    assert [(one.ref, one.guaranteed.amount) for one in found if isinstance(one, Replayed)] == [
        (ref, Decimal(guaranteed)) for *_, ref, guaranteed in CASES
    ]


def test_neither_the_recorded_part_nor_the_outcome_decides(tmp_path: Path, programme: Programme) -> None:
    known = {"LoanNr_ChkDgt", "ApprovalDate", "GrAppv", "LowDoc", "RevLineCr"}
    after = {name: "77" for name in COLUMNS if name not in known}
    plain = played(tmp_path / "plain.csv", [row(case) for case in CASES], programme)
    other = played(tmp_path / "other.csv", [row(case, **after) for case in CASES], programme)
    assert [(one.ref, one.guaranteed) for one in plain if isinstance(one, Replayed)] == [
        (one.ref, one.guaranteed) for one in other if isinstance(one, Replayed)
    ]


@pytest.mark.parametrize(("recorded", "explained"), [("127650.00", True), ("127650.01", False), ("127349.99", False)])
def test_a_row_is_explained_within_a_dollar_in_a_thousand(
    recorded: str, explained: bool, tmp_path: Path, programme: Programme
) -> None:
    case = ("2001-05-01", "150000", ORDINARY, "N", "N")
    [one] = played(tmp_path / "loans.csv", [row(case, SBA_Appv=recorded)], programme)
    assert isinstance(one, Replayed)
    assert one.explained is explained


@pytest.mark.parametrize(
    ("case", "recorded", "reason"),
    [
        (("2001-05-01", "150000", ORDINARY, "N", "N"), "150000", "504"),
        (("2001-05-01", "150000", ORDINARY, "N", "N"), "75000", "though neither"),
        (("2001-05-01", "150000", ORDINARY, "N", "Y"), "127500", "marked as Express"),
        (("1994-05-01", "500000", ORDINARY, "N", "N"), "350000", "preferred"),
        (("2001-05-01", "150000", ORDINARY, "N", "N"), "112500", "less than"),
        (("2001-05-01", "150000", ORDINARY, "N", "N"), "135000", "more than"),
    ],
)
def test_what_no_rule_explains_has_a_reason(
    case: tuple[str, ...], recorded: str, reason: str, tmp_path: Path, programme: Programme
) -> None:
    [one] = played(tmp_path / "loans.csv", [row(case, SBA_Appv=recorded)], programme)
    assert isinstance(one, Replayed)
    assert not one.explained
    assert reason in why_not(one)


def test_the_command_counts_every_row_of_its_file(
    tmp_path: Path, programme: Programme, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "loans.csv"
    guaranteed = [row(case, SBA_Appv=case[-1]) for case in CASES]
    played(path, [*guaranteed, row(CASES[0], GrAppv="much"), row(CASES[0], GrAppv="0")], programme)
    assert main(["--loans", str(path)]) == 0
    told = capsys.readouterr().out
    assert f"{len(CASES)} of {len(CASES) + 2} rows explained" in told
    assert "| cannot be read: `bad_amount` | 1 |" in told
    assert "| cannot be read: `approval_unknown` | 1 |" in told


def test_the_rules_of_a_programme_are_terms_a_bank_could_sign(programme: Programme) -> None:
    versions = [version for code in programme.route for version in programme.versions[code]]
    assert all(version.signed for version in versions)
    assert all(len(version.source) > 20 for version in versions)
