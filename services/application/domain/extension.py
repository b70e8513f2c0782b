"""An extension (展期): asked for before the loan is due, approved by another person, consented to by the guarantor.

Only the last instalment moves. Under cover nothing moves before the guarantor stands for the new day: what it did not
agree to it would not guarantee (Civil Code 695).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from libs.events.application_upkeep import ExtensionApproved, ExtensionRefused, LoanExtended
from libs.kernel.calendar import add_months
from libs.kernel.errors import Invalid, NotFound, Refused
from services.application.domain.loan import Instalment, Loan, LoanStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionTerms:
    """Policy `application/extension`: how far all extensions together may reach beyond the first maturity.

    A loan of at most `short_months` may be extended by `short_share` of its term, one of at most `medium_months` by
    `medium_share`, a longer one by `long_months_max`. The guarantor has `consent_days` calendar days.
    """

    short_months: int
    short_share: Decimal
    medium_months: int
    medium_share: Decimal
    long_months_max: int
    consent_days: int


class ExtensionState(StrEnum):
    """`approved` waits for the guarantor; an `effective` one moved the maturity."""

    ASKED = "asked"
    APPROVED = "approved"
    EFFECTIVE = "effective"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A later maturity for one loan, by the `document` that the borrower signed; who asked never approves."""

    extension_id: str
    facility_id: str
    loan_id: str
    state: ExtensionState
    maturity_before: date
    maturity: date
    document: str
    asked_by: str
    asked_on: date
    approver: str = ""
    reason: str = ""

    @property
    def open(self) -> bool:
        """Whether somebody has still to say something."""
        return self.state in (ExtensionState.ASKED, ExtensionState.APPROVED)


def ask_extension(
    loan: Loan,
    others: tuple[Extension, ...],
    terms: ExtensionTerms,
    *,
    extension_id: str,
    maturity: date,
    document: str,
    actor: str,
    on: date,
) -> Extension:
    """A new extension; raises Refused while another is open, for a loan that admits none, and beyond the bound."""
    check_extendable(loan, on)
    if any(other.open for other in others):
        raise Refused("extension_waits", f"another extension of {loan.loan_id} is not decided yet")
    if maturity <= loan.maturity:
        raise Invalid("maturity_not_later", f"{loan.loan_id} is due on {loan.maturity}")
    last = latest_maturity(loan, others, terms)
    if maturity > last:
        raise Refused("extension_too_long", f"at most until {last}", until=last.isoformat())
    return Extension(
        extension_id=extension_id,
        facility_id=loan.facility_id,
        loan_id=loan.loan_id,
        state=ExtensionState.ASKED,
        maturity_before=loan.maturity,
        maturity=maturity,
        document=document,
        asked_by=actor,
        asked_on=on,
    )


def check_extendable(loan: Loan, on: date) -> None:
    """Raises Refused for a loan that is not running, is due, or is in trouble: that is restructured, not extended."""
    if loan.status is not LoanStatus.ACTIVE:
        raise Refused("loan_not_active", f"loan is {loan.status}", stands=str(loan.status))
    if loan.overdue_since is not None or loan.risk_class.npl:
        raise Refused("loan_in_arrears", f"{loan.loan_id} is {loan.risk_class}, overdue since {loan.overdue_since}")
    if on >= loan.maturity:
        raise Refused("maturity_reached", f"{loan.loan_id} was due on {loan.maturity}")


def latest_maturity(loan: Loan, others: tuple[Extension, ...], terms: ExtensionTerms) -> date:
    """The last day that all extensions together may reach, from the maturity that was first agreed."""
    moved = [other.maturity_before for other in others if other.state is ExtensionState.EFFECTIVE]
    first, began = min(moved, default=loan.maturity), loan.disbursed_on or loan.maturity
    for months, share in ((terms.short_months, terms.short_share), (terms.medium_months, terms.medium_share)):
        if first <= add_months(began, months):
            return first + timedelta(days=int((first - began).days * share))
    return add_months(first, terms.long_months_max)


def found(extensions: tuple[Extension, ...], loan_id: str, extension_id: str) -> Extension:
    """The loan's extension of this name; raises NotFound."""
    for extension in extensions:
        if (extension.loan_id, extension.extension_id) == (loan_id, extension_id):
            return extension
    raise NotFound("not_found", f"no Extension {extension_id} of loan {loan_id}")


def check_undecided(extension: Extension) -> None:
    """Raises Refused for an extension that somebody decided on before."""
    if extension.state is not ExtensionState.ASKED:
        raise Refused("extension_decided", f"{extension.extension_id} is {extension.state}")


def approve(extension: Extension, approver: str) -> tuple[Extension, ExtensionApproved]:
    """The bank agrees; under cover it waits for the guarantor now."""
    event = ExtensionApproved(
        facility_id=extension.facility_id,
        loan_id=extension.loan_id,
        extension_id=extension.extension_id,
        approver=approver,
        maturity=extension.maturity,
        document=extension.document,
    )
    return replace(extension, state=ExtensionState.APPROVED, approver=approver), event


def refuse(extension: Extension, decided_by: str, reason: str) -> tuple[Extension, ExtensionRefused]:
    """The approver, the guarantor or the calendar says no: the loan is due when it was."""
    event = ExtensionRefused(
        facility_id=extension.facility_id,
        loan_id=extension.loan_id,
        extension_id=extension.extension_id,
        decided_by=decided_by,
        reason=reason,
    )
    return replace(extension, state=ExtensionState.REFUSED, reason=reason), event


def extend(extension: Extension, loan: Loan) -> tuple[Extension, Loan, LoanExtended]:
    """The last instalment is due on the new day."""
    moved = Instalment(due=extension.maturity, principal=loan.schedule[-1].principal)
    event = LoanExtended(
        facility_id=loan.facility_id,
        loan_id=loan.loan_id,
        extension_id=extension.extension_id,
        maturity_before=loan.maturity,
        maturity=extension.maturity,
        outstanding=loan.outstanding,
    )
    effective = replace(extension, state=ExtensionState.EFFECTIVE)
    return effective, replace(loan, schedule=(*loan.schedule[:-1], moved)), event
