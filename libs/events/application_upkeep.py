"""What application publishes while the terms of a running loan change: a later maturity, agreed and in effect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial

from libs.events.envelope import event
from libs.kernel.money import Money

_event = partial(event, "application")


@_event("extension.approved")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionApproved:
    """The bank agreed that the loan is repaid later (展期); under cover it waits for the guarantor's consent."""

    facility_id: str
    loan_id: str
    extension_id: str
    approver: str
    maturity: date
    document: str


@_event("extension.refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionRefused:
    """No extension: the approver or the guarantor said no, or the time was over; the loan is due when it was."""

    facility_id: str
    loan_id: str
    extension_id: str
    decided_by: str
    reason: str


@_event("loan.extended")
@dataclass(frozen=True, slots=True, kw_only=True)
class LoanExtended:
    """The extension is in effect: the last instalment is due on the new day."""

    facility_id: str
    loan_id: str
    extension_id: str
    maturity_before: date
    maturity: date
    outstanding: Money
