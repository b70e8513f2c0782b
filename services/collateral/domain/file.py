"""What collateral knows of a facility's debt: the amount asked for, what is owed, and whether it is in default."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from libs.kernel.errors import Refused
from libs.kernel.money import Money, total
from services.collateral.domain.item import Appraisal


class FileStatus(StrEnum):
    """`awaited` before the application arrives, `open` while the debt or the wish for it lives, else how it ended."""

    AWAITED = "awaited"
    OPEN = "open"
    REFUSED = "refused"
    REPAID = "repaid"
    WRITTEN_OFF = "written_off"


class LoanStatus(StrEnum):
    """How one drawdown stands: `performing`, `npl`, `written_off` (still claimed, off the books), or `closed`."""

    PERFORMING = "performing"
    NPL = "npl"
    WRITTEN_OFF = "written_off"
    CLOSED = "closed"


DEFAULTED = (LoanStatus.NPL, LoanStatus.WRITTEN_OFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyAppraisal:
    """An appraisal that came before the item it values was offered."""

    number: int
    appraisal: Appraisal


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanBalance:
    """One drawdown: the principal outstanding on the books and how it stands."""

    loan_id: str
    outstanding: Money
    status: LoanStatus = LoanStatus.PERFORMING


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityFile:
    """The facts of one facility that security depends on; `shortfall_found` until the shortfall is cured."""

    facility_id: str
    currency: str
    status: FileStatus = FileStatus.AWAITED
    requested: Money | None = None
    early: tuple[EarlyAppraisal, ...] = ()
    loans: tuple[LoanBalance, ...] = ()
    shortfall_found: bool = False


def check_open(file: SecurityFile) -> None:
    """Raises Refused `facility_ended` once the application was refused or the debt is gone."""
    if file.status not in (FileStatus.AWAITED, FileStatus.OPEN):
        raise Refused("facility_ended", f"the facility ended: {file.status}")


def owed(file: SecurityFile) -> Money | None:
    """Principal on the books over all drawdowns; None before the first one."""
    if not file.loans:
        return None
    return total((loan.outstanding for loan in file.loans), file.currency)


def exposure(file: SecurityFile) -> Money:
    """What the security must carry: what is owed, or the amount asked for before anything was drawn."""
    drawn = owed(file)
    if drawn is not None:
        return drawn
    if file.requested is None:
        raise Refused("not_submitted", "the application has not arrived")
    return file.requested


def in_default(file: SecurityFile) -> bool:
    """Whether any drawdown is non-performing or written off and not yet closed."""
    return any(loan.status in DEFAULTED for loan in file.loans)


def with_loan(file: SecurityFile, loan: LoanBalance) -> SecurityFile:
    """The file with a new or changed drawdown, in the order in which they were drawn."""
    if any(known.loan_id == loan.loan_id for known in file.loans):
        loans = tuple(loan if known.loan_id == loan.loan_id else known for known in file.loans)
    else:
        loans = (*file.loans, loan)
    return replace(file, loans=loans)


def loan_of(file: SecurityFile, loan_id: str) -> LoanBalance:
    """The drawdown with this id; raises Refused `loan_unknown`, which for an event means it is impossible."""
    for loan in file.loans:
        if loan.loan_id == loan_id:
            return loan
    raise Refused("loan_unknown", f"{loan_id} was never disbursed under {file.facility_id}")


def close_loan(file: SecurityFile, loan_id: str, outcome: str) -> SecurityFile:
    """The file with the drawdown closed; the file ends with its last drawdown, the way that one ended."""
    loan = loan_of(file, loan_id)
    closed = with_loan(file, replace(loan, outstanding=loan.outstanding.zero, status=LoanStatus.CLOSED))
    if any(other.status is not LoanStatus.CLOSED for other in closed.loans):
        return closed
    return replace(closed, status=FileStatus.REPAID if outcome == "repaid" else FileStatus.WRITTEN_OFF)
