"""What application publishes: the story of one facility from referral to closure, as the process manager tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial

from libs.events.envelope import event
from libs.kernel.money import Money

_event = partial(event, "application")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Hard figures of a borrower, yearly unless named monthly; no personal data."""

    annual_sales: Money
    annual_profit: Money
    total_assets: Money
    total_liabilities: Money
    monthly_bank_inflow: Money
    monthly_tax_sales: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What kind of borrower this is: industry word, region, staff, age in years, first loan or not."""

    industry: str
    region: str
    employees: int
    years_in_business: Decimal
    first_time_borrower: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityOffer:
    """One thing offered as security: its kind (an advance-rate key), declared value and price-index series."""

    kind: str
    declared_value: Money
    index_series: str
    synthetic: bool = False


@_event("referral.received")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralReceived:
    """A channel referred a customer who consented; the facility's story begins here."""

    facility_id: str
    external_ref: str
    borrower_id: str
    channel: str
    branch: str


@_event("consent.granted")
@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentGranted:
    """The borrower agreed to these purposes through `valid_until` (inclusive), for us and for the partners named."""

    facility_id: str
    borrower_id: str
    consent_id: str
    purposes: tuple[str, ...]
    partners: tuple[str, ...]
    valid_until: date


@_event("consent.revoked")
@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRevoked:
    """The borrower withdrew a consent: nothing is disclosed under it any more; what was, was lawful."""

    facility_id: str
    borrower_id: str
    consent_id: str


@_event("application.submitted")
@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationSubmitted:
    """A customer manager registered the application with the security and the cover it wants.

    `agreement` is the code of the guarantee agreement asked for; empty means no cover is wanted, `any`
    that guarantee chooses among the agreements that fit.
    """

    facility_id: str
    borrower_id: str
    amount: Money
    tenor_months: int
    annual_rate: Decimal
    product: str
    profile: Profile
    declared: Figures
    security: tuple[SecurityOffer, ...]
    agreement: str


@_event("investigation.opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class InvestigationOpened:
    """Two customer managers were named to investigate; neither sees the other's values."""

    facility_id: str
    mode: str
    lead: str
    assistant: str


@_event("investigation.filed")
@dataclass(frozen=True, slots=True, kw_only=True)
class InvestigationFiled:
    """One investigator filed; sealed: who and when, no values until both are in."""

    facility_id: str
    investigator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field on which the two findings differ: relative deviation and the policy's tolerance."""

    field: str
    deviation: Decimal
    tolerance: Decimal


@_event("investigation.disputed")
@dataclass(frozen=True, slots=True, kw_only=True)
class InvestigationDisputed:
    """The two findings differ beyond tolerance; a third person must resolve them field by field."""

    facility_id: str
    differences: tuple[Difference, ...]


@_event("investigation.reconciled")
@dataclass(frozen=True, slots=True, kw_only=True)
class InvestigationReconciled:
    """The two findings agree within tolerance, or a third person resolved them; differences stay on record."""

    facility_id: str
    figures: Figures
    differences: tuple[Difference, ...]
    resolved_by: str = ""


@_event("application.reviewed")
@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationReviewed:
    """A reviewer, who investigated nothing here, read the complete file and left an opinion."""

    facility_id: str
    reviewer: str
    opinion: str
    recommendation: str
    reasons: tuple[str, ...]


@_event("application.approved")
@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationApproved:
    """An approver with authority for this amount and grade approved; our own recommendation stands beside it."""

    facility_id: str
    approver: str
    amount: Money
    grade: str
    recommendation: str
    reasons: tuple[str, ...]


@_event("application.refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRefused:
    """The application was refused: a decision with reasons, not an error."""

    facility_id: str
    decided_by: str
    reasons: tuple[str, ...]


@_event("facility.granted")
@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityGranted:
    """A limit was granted until `valid_until` (inclusive)."""

    facility_id: str
    borrower_id: str
    limit: Money
    valid_until: date


@_event("contract.signed")
@dataclass(frozen=True, slots=True, kw_only=True)
class ContractSigned:
    """The loan contract under the facility was signed."""

    facility_id: str
    contract_id: str
    amount: Money


@_event("drawdown.requested")
@dataclass(frozen=True, slots=True, kw_only=True)
class DrawdownRequested:
    """The borrower asked to draw; the loan (借据) is born here and waits for its conditions."""

    facility_id: str
    loan_id: str
    amount: Money
    maturity: date


@_event("disbursement.requested")
@dataclass(frozen=True, slots=True, kw_only=True)
class DisbursementRequested:
    """Every condition is met; core banking was told to pay, once, under `reference`."""

    facility_id: str
    loan_id: str
    amount: Money
    reference: str


@_event("disbursement.failed")
@dataclass(frozen=True, slots=True, kw_only=True)
class DisbursementFailed:
    """The drawdown ends unpaid: core banking declined, or a condition was not met in time; no money moved.

    `reason` is core banking's own, or `conditions_not_met_in_time:` and the conditions by commas.
    """

    facility_id: str
    loan_id: str
    reason: str


@_event("disbursement.unknown")
@dataclass(frozen=True, slots=True, kw_only=True)
class DisbursementUnknown:
    """Core banking has not said in time what became of `reference`, ordered on `since`; nothing may be assumed.

    The loan goes on waiting: a later answer still counts, and is told as loan.disbursed or disbursement.failed.
    """

    facility_id: str
    loan_id: str
    reference: str
    since: date


@_event("loan.disbursed")
@dataclass(frozen=True, slots=True, kw_only=True)
class LoanDisbursed:
    """Core banking paid the drawdown; carries who stood for it, because pay and accountability follow the people."""

    facility_id: str
    loan_id: str
    amount: Money
    maturity: date
    annual_rate: Decimal
    grade: str
    lead: str
    assistant: str
    reviewer: str
    approver: str
    channel: str


@_event("repayment.received")
@dataclass(frozen=True, slots=True, kw_only=True)
class RepaymentReceived:
    """Core banking reported a repayment; `outstanding` is the principal left after it."""

    facility_id: str
    loan_id: str
    principal: Money
    interest: Money
    outstanding: Money


@_event("loan.overdue")
@dataclass(frozen=True, slots=True, kw_only=True)
class LoanOverdue:
    """An instalment was not met by the close of its due date; days past due count from `since`."""

    facility_id: str
    loan_id: str
    since: date
    days_past_due: int
    outstanding: Money


@_event("loan.cured")
@dataclass(frozen=True, slots=True, kw_only=True)
class LoanCured:
    """All arrears were cleared."""

    facility_id: str
    loan_id: str
    outstanding: Money


@_event("loan.reclassified")
@dataclass(frozen=True, slots=True, kw_only=True)
class LoanReclassified:
    """The five-class risk class changed (CLS-01); `npl` is true from substandard down."""

    facility_id: str
    loan_id: str
    before: str
    after: str
    days_past_due: int
    outstanding: Money
    npl: bool


@_event("provision.changed")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionChanged:
    """The loan-loss provision moved from `before` to `after` (PRV-01)."""

    facility_id: str
    loan_id: str
    before: Money
    after: Money
    risk_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionFinding:
    """One finding of an inspection: its code, whom it concerns, and the evidence that proves it."""

    code: str
    staff: str
    evidence: str


@_event("inspection.completed")
@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionCompleted:
    """A post-loan inspection was completed; no finding means everything was in order."""

    facility_id: str
    loan_id: str
    inspector: str
    findings: tuple[InspectionFinding, ...]


@_event("loan.written_off")
@dataclass(frozen=True, slots=True, kw_only=True)
class LoanWrittenOff:
    """The loan was written off after the case was determined: gross principal, what partners paid, the bank's net."""

    facility_id: str
    loan_id: str
    gross: Money
    claim_paid: Money
    net: Money


@_event("recovery.received")
@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryReceived:
    """Money was recovered on a loan in trouble, net of costs; `final` when nothing more can be expected."""

    facility_id: str
    loan_id: str
    amount: Money
    source: str
    final: bool


@_event("loan.closed")
@dataclass(frozen=True, slots=True, kw_only=True)
class LoanClosed:
    """The loan's account is closed: `repaid` in full or `written_off` and worked out."""

    facility_id: str
    loan_id: str
    outcome: str
