"""A partner's own list of a month: handed in, held against ours and against the other parties', difference by line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from libs.kernel.money import Money


class About(StrEnum):
    """What a list is of: every line of the month's statement, or the drawdowns that were filed (总对总 备案)."""

    STATEMENT = "statement"
    FILINGS = "filings"


FILED = "cover.filed"
REMOVED = "removed"


class Finding(StrEnum):
    """What is wrong with a line; `late` is a filing that reached the other side after its last day."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    DOUBLED = "doubled"
    AMOUNT = "amount"
    DATE = "date"
    LATE = "late"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One list held against another: how many lines agree, and how often each finding was made."""

    against: str
    agree: int
    findings: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerList:
    """The list that `party` handed in for a month; a later one takes its place."""

    list_id: str
    partner_id: str
    party: str
    about: About
    month: str
    rows: int
    handed_in_by: str
    on: date
    compared: tuple[Comparison, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One finding: our side (or that of the party in `against`) and theirs; a side that has no such line is None.

    `line` is theirs, counted from 1 after the heading. `cause` is the likely one.
    """

    place: str
    finding: Finding
    cause: str
    kind: str
    reference: str
    party: str
    line: int | None
    ours: Money | None
    our_day: date | None
    theirs: Money | None
    their_day: date | None


def list_name(partner_id: str, about: About, month: str, party: str) -> str:
    """How a list is named: one for each party, month and matter."""
    return f"{partner_id}/{about}/{month}/{party}"
