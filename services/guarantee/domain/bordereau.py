"""The monthly bordereau of a partner (业务报表): what is new, in force, earned, claimed, reimbursed, recovered, capped.

Every figure is a sum of ledger entries of the month, so it can be added up from the events again.
"""

from __future__ import annotations

import csv
import io
from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from libs.kernel.errors import Invalid
from libs.kernel.money import Money

COLUMNS = ("kind", "reference", "party", "amount", "currency", "day")
STATE = "state"
SUMS = ("agreement", "kind", "party", "number", "amount", "currency")
PUT_OFF = ("opening", "put_off", "paid", "lapsed", "closing")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell for a formula (OWASP, CSV injection)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What stands on one day: covers bound and not ended, what they guarantee, and the part drawn and not repaid."""

    covers: int
    guaranteed: Money
    balance: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """All entries of one kind in the month; `party` where the event divides its sum among several."""

    kind: str
    party: str
    number: int
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class CapFigure:
    """One period's compensation cap as it stood at the end of the month."""

    book: str
    cap: Money
    used: Money
    room: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOff:
    """Claims put off to a later year by the yearly payout cap, each counted once and at what is claimed.

    `opening` and what was newly `put_off`, less what was `paid` of it and `lapsed` (denied, or cured), is `closing`.
    """

    opening: Money
    put_off: Money
    paid: Money
    lapsed: Money
    closing: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementStatement:
    """The month of one agreement: where it began, what happened, where it ended."""

    agreement: str
    opening: InForce
    figures: tuple[Figure, ...]
    closing: InForce
    caps: tuple[CapFigure, ...]
    deferred: PutOff | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A partner's month; it is `final` once the month is over, and never changes then."""

    partner: str
    month: str
    final: bool
    agreements: tuple[AgreementStatement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry as a statement lists it; `place` is its own name, by which the lines are in order."""

    place: str
    kind: str
    reference: str
    party: str
    amount: Money
    day: date


def days_of(month: str) -> tuple[date, date]:
    """The first and the last day of a month written as 2025-09."""
    first = date.fromisoformat(f"{month}-01")
    return first, first.replace(day=monthrange(first.year, first.month)[1])


def statement_csv(statement: Statement) -> str:
    """The statement's figures as CSV with a heading."""
    return _written([SUMS, *_sums(statement)])


def lines_csv(lines: Iterable[Line]) -> str:
    """The statement's lines as CSV with a heading, as a list of the partner's own is handed in."""
    rows = ((x.kind, x.reference, x.party, str(x.amount.amount), x.amount.currency, x.day.isoformat()) for x in lines)
    return _written([COLUMNS, *rows])


def rows_of(
    text: str, columns: tuple[str, ...] = COLUMNS, optional: tuple[str, ...] = (STATE,)
) -> Iterator[dict[str, str]]:
    """The rows of a list handed in as CSV, by column; raises Invalid for what is no such list."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        heading = next(reader, [])
        if not set(columns) <= set(heading) <= {*columns, *optional} or len(set(heading)) != len(heading):
            more = ", ".join(optional)
            raise Invalid("list_unreadable", f"the heading names {', '.join(columns)} and, if need be, {more}")
        for cells in reader:
            if len(cells) != len(heading):
                raise Invalid("list_unreadable", f"line {reader.line_num} has {len(cells)} cells")
            yield {name: _unguarded(cell) for name, cell in zip(heading, cells, strict=True)}
    except csv.Error as error:
        raise Invalid("list_unreadable", f"line {reader.line_num}: {error}") from error


def guarded(cell: str) -> str:
    """The cell with an apostrophe before it where a spreadsheet would run it."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def _sums(statement: Statement) -> Iterator[tuple[str, ...]]:
    for each in statement.agreements:
        yield from _standing(each.agreement, "opening", each.opening)
        for figure in each.figures:
            yield (each.agreement, figure.kind, figure.party, str(figure.number), *_cells(figure.amount))
        yield from _standing(each.agreement, "closing", each.closing)
        for cap in each.caps:
            named = (("cap", cap.cap), ("cap.used", cap.used), ("cap.room", cap.room))
            yield from ((each.agreement, kind, cap.book, "", *_cells(amount)) for kind, amount in named)
        if each.deferred is not None:
            for name in PUT_OFF:
                yield (each.agreement, f"deferred.{name}", "", "", *_cells(getattr(each.deferred, name)))


def _standing(agreement: str, when: str, stands: InForce) -> Iterator[tuple[str, ...]]:
    yield (agreement, f"{when}.guaranteed", "", str(stands.covers), *_cells(stands.guaranteed))
    yield (agreement, f"{when}.balance", "", "", *_cells(stands.balance))


def _cells(amount: Money) -> tuple[str, str]:
    return str(amount.amount), amount.currency


def _written(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([guarded(cell) for cell in row] for row in rows)
    return text.getvalue()
