"""Reads public SBA 7(a)/504 loan records: every row becomes a Record or a Rejected with a code, never an exception."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from deploy.demo.lives import days_before, half_year_days, last_half_year_day, month_settlement_days
from deploy.demo.policies import Assumptions, assumptions
from libs.kernel.calendar import add_months
from libs.kernel.errors import Invalid
from libs.kernel.money import Money

CURRENCY = "USD"
POLICY = "replay-assumptions"
# `Term` is not among them: it is written after the outcome and leaks it.
COLUMNS = (
    "LoanNr_ChkDgt",
    "State",
    "BankState",
    "NAICS",
    "ApprovalDate",
    "NoEmp",
    "NewExist",
    "RevLineCr",
    "LowDoc",
    "ChgOffDate",
    "DisbursementDate",
    "DisbursementGross",
    "MIS_Status",
    "ChgOffPrinGr",
    "GrAppv",
    "SBA_Appv",
)
# Beyond these a cell is a slip of the pen, not a loan.
LOAN_NUMBER_DIGITS, AMOUNT_DIGITS, EMPLOYEE_DIGITS = 10, 10, 6
SAS_EPOCH = date(1960, 1, 1)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})")
NAMED = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4}|\d{2})")
SECTOR = re.compile(r"[1-9][1-9](?=\d*(?:\.0*)?$)")  # the first two digits of a NAICS code
SAS_DAY = re.compile(r"(\d{1,5})(?:\.0*)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One usable row, corrected; `notes` say how. `charged_off` is None for a loan paid in full."""

    line: int
    ref: str
    state: str
    bank_state: str
    naics: str
    employees: int
    new_business: bool
    product: str
    approved_on: date
    disbursed_on: date
    amount: Money
    guaranteed: Money
    drawn: Money
    charged_off: Money | None
    charged_off_on: date | None
    first_missed: date | None
    notes: tuple[str, ...]

    @property
    def outcome(self) -> str:
        return "repaid" if self.charged_off is None else "charged_off"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """One row that cannot be replayed: where it stands, which loan, a stable code and the reason in words."""

    line: int
    ref: str
    code: str
    reason: str


class Unusable(Exception):
    """Leaves the reading of a row with a code and a reason."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code)
        self.code, self.reason = code, reason


def replay_assumptions() -> Assumptions:
    """What a record lacks; one set covers the whole file."""
    return assumptions(POLICY, date(1970, 1, 1))


def read(path: Path) -> Iterator[Record | Rejected]:
    """Every row of a csv or csv.gz in the public format, in file order, streaming.

    Raises Invalid when the file is not in this format at all (`columns_missing`) and OSError when it cannot be opened.
    """
    terms = replay_assumptions()
    accepted: set[str] = set()
    for line, cells in rows(path):
        row = cells if isinstance(cells, Rejected) else _read_row(line, cells, accepted, terms)
        if isinstance(row, Record):
            accepted.add(row.ref)
        yield row


def rows(path: Path, columns: Sequence[str] = COLUMNS) -> Iterator[tuple[int, dict[str, str] | Rejected]]:
    """Each line's number and its cells by column, unread; raises as `read` does when one of `columns` is missing."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
        lines = enumerate(_whole_lines(stream), start=1)
        header = [name.strip() for name in _cells(next(lines, (1, b""))[1]) or []]
        if not set(columns) <= set(header):
            raise Invalid("columns_missing", f"missing {', '.join(sorted(set(columns) - set(header)))}")
        for line, raw in lines:
            if raw is None or raw.strip():
                yield line, _row(line, header, raw)


def _whole_lines(stream: Iterable[bytes]) -> Iterator[bytes | None]:
    """The file's lines; None once where a cut-off or damaged archive stops."""
    try:
        yield from stream
    except (EOFError, OSError, zlib.error):
        yield None


def _cells(raw: bytes | None) -> list[str] | None:
    """One line's cells, or None if it is not text. A line is a row: the format has no line breaks inside a cell."""
    if raw is None:
        return None
    try:
        return next(csv.reader([raw.decode("utf-8-sig").rstrip("\r\n")]), [])
    except (UnicodeDecodeError, csv.Error):
        return None


def _row(line: int, header: Sequence[str], raw: bytes | None) -> dict[str, str] | Rejected:
    cells = _cells(raw)
    if cells is None:
        return Rejected(line=line, ref="", code="undecodable", reason="the line is not readable text")
    if len(cells) != len(header):
        reason = f"{len(cells)} cells instead of {len(header)}"
        return Rejected(line=line, ref="", code="malformed", reason=reason)
    return {name: cell.strip() for name, cell in zip(header, cells, strict=True)}


def _read_row(line: int, row: dict[str, str], accepted: set[str], terms: Assumptions) -> Record | Rejected:
    number = loan_number(row["LoanNr_ChkDgt"])
    if number is None:
        reason = f"{row['LoanNr_ChkDgt']!r} is no loan number"
        return Rejected(line=line, ref="", code="no_loan_number", reason=reason)
    ref = f"sba-{number}"
    if ref in accepted:
        return Rejected(line=line, ref=ref, code="duplicate", reason="this loan number was already accepted")
    try:
        return _record(line, ref, row, terms)
    except Unusable as unusable:
        return Rejected(line=line, ref=ref, code=unusable.code, reason=unusable.reason)


def _record(line: int, ref: str, row: dict[str, str], terms: Assumptions) -> Record:
    notes: list[str] = []
    status = row["MIS_Status"].replace(" ", "").upper()
    if status not in ("PIF", "CHGOFF"):
        raise Unusable("unknown_outcome" if status else "no_outcome", f"status is {row['MIS_Status']!r}")
    approved_on = day_of(row, "ApprovalDate", terms)
    if approved_on is None:
        raise Unusable("no_approval_date", "the loan has no day to start on")
    amount, guaranteed = amount_of(row, "GrAppv"), amount_of(row, "SBA_Appv")
    if not amount > amount.zero:
        raise Unusable("approved_not_positive", f"approved {amount}")
    if not guaranteed > guaranteed.zero:
        raise Unusable("guarantee_not_positive", f"guaranteed {guaranteed}")
    if guaranteed > amount:
        raise Unusable("guarantee_above_approved", f"guaranteed {guaranteed} of {amount}")
    charged_off, charged_off_on = _loss(status, row, amount, terms, notes)
    disbursed_on = _disbursed_on(row, approved_on, terms, notes)
    _check_window(disbursed_on, charged_off_on, amount, terms)
    missed = charged_off_on and _first_missed(disbursed_on, charged_off_on, amount, terms, notes)
    return Record(
        line=line,
        ref=ref,
        state=_place(row["State"]),
        bank_state=_place(row["BankState"]),
        naics=_sector(row["NAICS"], notes),
        employees=_employees(row["NoEmp"], notes),
        new_business=row["NewExist"].startswith("2"),
        product=_product(row, amount, guaranteed),
        approved_on=approved_on,
        disbursed_on=disbursed_on,
        amount=amount,
        guaranteed=guaranteed,
        drawn=_drawn(row, amount, charged_off, notes),
        charged_off=charged_off,
        charged_off_on=charged_off_on,
        first_missed=missed,
        notes=tuple(notes),
    )


def _loss(
    status: str, row: dict[str, str], amount: Money, terms: Assumptions, notes: list[str]
) -> tuple[Money | None, date | None]:
    """The charge-off and its day, or neither; a status that the money contradicts is not believed."""
    lost, lost_on = amount_of(row, "ChgOffPrinGr"), day_of(row, "ChgOffDate", terms)
    if status == "PIF":
        if lost:
            raise Unusable("paid_with_charge_off", f"paid in full, yet {lost} charged off")
        if lost_on:
            notes.append("charge-off-date:ignored-paid-in-full")
        return None, None
    if not lost:
        raise Unusable("charge_off_zero", "charged off, yet nothing was lost")
    if lost_on is None:
        raise Unusable("charge_off_undated", f"{lost} charged off on no day")
    if lost > amount:
        raise Unusable("charge_off_above_approved", f"{lost} charged off of {amount}")
    return lost, lost_on


def _disbursed_on(row: dict[str, str], approved_on: date, terms: Assumptions, notes: list[str]) -> date:
    recorded = day_of(row, "DisbursementDate", terms)
    if recorded is None:
        notes.append("disbursement-date:assumed-approval-date")
        return approved_on
    if recorded < approved_on:
        notes.append("disbursement-date:before-approval-moved-to-it")
        return approved_on
    return recorded


def _drawn(row: dict[str, str], amount: Money, lost: Money | None, notes: list[str]) -> Money:
    recorded = amount_of(row, "DisbursementGross")
    if not recorded:
        notes.append("drawn:not-recorded-assumed-approved")
        return amount
    if recorded > amount:
        notes.append("drawn:above-approved-cut-to-it")
        return amount
    if lost and lost > recorded:
        notes.append("drawn:below-charge-off-raised-to-approved")
        return amount
    return recorded


def _check_window(disbursed_on: date, charged_off_on: date | None, amount: Money, terms: Assumptions) -> None:
    """Unusable when the plan or the sale after a charge-off could pass the last day the replay knows."""
    sale_months = int(terms.span("disposal", "months")[1]) + 1  # a sale falls on the first of a month
    ends = add_months(disbursed_on, tenor_months(amount, terms))
    if charged_off_on:
        ends = max(ends, add_months(charged_off_on, sale_months))
    if ends > terms.day("dates", "last"):
        raise Unusable("runs_past_window", f"the loan could run until {ends}")


def _first_missed(disbursed_on: date, lost_on: date, amount: Money, terms: Assumptions, notes: list[str]) -> date:
    """The due date missed: long enough before the write-off, inside the assumed tenor; Unusable without room."""
    days = (lost_on - disbursed_on).days
    if days < terms.count("overdue", "disbursed_to_charge_off_days_min"):
        raise Unusable("charged_off_too_soon", f"charged off {days} days after disbursement")
    maturity = last_half_year_day(disbursed_on, tenor_months(amount, terms))
    preferred = half_year_days(disbursed_on, days_before(lost_on, terms.count("overdue", "preferred_days")))
    if preferred:
        if preferred[-1] > maturity:
            notes.append("first-missed:at-the-assumed-maturity")
        return min(preferred[-1], maturity)
    latest = days_before(lost_on, terms.count("overdue", "days_min"))
    possible = half_year_days(disbursed_on, latest) or month_settlement_days(disbursed_on, latest)
    if not possible:
        raise Unusable("charged_off_too_soon", f"no due date fits the {days} days before the charge-off")
    notes.append("first-missed:short-overdue")
    return possible[0]


def tenor_months(amount: Money, terms: Assumptions) -> int:
    """The assumed tenor of a replayed loan: from the approved amount alone."""
    return next(int(row["months"]) for row in terms.rows("tenors") if amount.amount <= row["amount_max"])


def loan_number(cell: str) -> str | None:
    """Ten digits, however a spreadsheet wrote them (`8954024009`, `8954024009.0`, `8.954024009E9`), or None."""
    number = _decimal(cell)
    if number is None or number <= 0 or number.adjusted() >= LOAN_NUMBER_DIGITS or number != number.to_integral_value():
        return None
    return f"{int(number):0{LOAN_NUMBER_DIGITS}d}"


def _decimal(cell: str) -> Decimal | None:
    """The cell as a finite number (`$115,000.00 ` too), or None."""
    try:
        number = Decimal(cell.replace("$", "").replace(",", "").strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def amount_of(row: dict[str, str], name: str) -> Money:
    """Dollars; a blank is zero, anything else that is no plausible amount is Unusable."""
    number = _decimal(row[name]) if row[name] else Decimal(0)
    if number is None or number.adjusted() > AMOUNT_DIGITS or number < 0:
        raise Unusable("bad_amount", f"{name} is {row[name]!r}")
    return Money(number, CURRENCY)


def day_of(row: dict[str, str], name: str, terms: Assumptions) -> date | None:
    """The day in any of the four formats of the file; None for a blank, Unusable outside the file's span."""
    cell = row[name]
    if not cell:
        return None
    first, last = terms.day("dates", "first"), terms.day("dates", "last")
    day = parse_day(cell, first.year)
    if day is None or not first <= day <= last:
        raise Unusable("bad_date", f"{name} is {cell!r}")
    return day


def parse_day(cell: str, first_year: int) -> date | None:
    """ISO, m/d/yyyy, d-Mon-yy or a SAS day number; None if it is none of these. Two-digit years follow `first_year`."""
    if match := SAS_DAY.fullmatch(cell):
        return SAS_EPOCH + timedelta(days=int(match[1]))
    if match := ISO.fullmatch(cell):
        year, month, day = match.groups()
    elif match := SLASHED.fullmatch(cell):
        month, day, year = match.groups()
    elif (match := NAMED.fullmatch(cell)) and match[2].lower() in MONTHS:
        day, name, year = match.groups()
        month = str(MONTHS.index(name.lower()) + 1)
    else:
        return None
    full_year = first_year + (int(year) - first_year) % 100 if len(year) == len("yy") else int(year)
    try:
        return date(full_year, int(month), int(day))
    except ValueError:
        return None


def _place(cell: str) -> str:
    return cell.lower() if re.fullmatch(r"[A-Za-z]{2}", cell) else "unknown"


def _sector(cell: str, notes: list[str]) -> str:
    """The two-digit sector; `00` where the period did not record one."""
    match = SECTOR.match(cell)
    if match is None:
        notes.append("industry:not-recorded")
        return "00"
    return match[0]


def _employees(cell: str, notes: list[str]) -> int:
    number = _decimal(cell)
    if number is None or number < 0 or number.adjusted() > EMPLOYEE_DIGITS:
        notes.append("employees:not-recorded")
        return 0
    return int(number)


def _product(row: dict[str, str], amount: Money, guaranteed: Money) -> str:
    """From what was known at approval; a full guarantee is the debenture programme."""
    if guaranteed == amount:
        return "sba-504"
    if row["LowDoc"].upper() == "Y":
        return "sba-7a-low-document"
    return "sba-7a-revolving" if row["RevLineCr"].upper() == "Y" else "sba-7a"
