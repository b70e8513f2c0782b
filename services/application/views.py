"""What lending tells about its files: ids and facts; names, identity numbers and phones masked, no sealed value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from libs.events.application import Difference, Figures
from libs.kernel.money import Money, total
from libs.runtime.auth import Reach, within
from libs.runtime.keyring import Keyring
from libs.runtime.tx import Tx
from services.application.domain.classification import RiskClass
from services.application.domain.drawdown import unmet_conditions
from services.application.domain.extension import Extension
from services.application.domain.facility import CoverState, Facility, Item, Review, Status
from services.application.domain.identity import Consent, Detail, masked
from services.application.domain.investigation import Findings
from services.application.domain.loan import ClaimState, Instalment, LoanStatus, days_past_due
from services.application.domain.provision import Adequacy, ProvisionTerms, adequacy
from services.application.domain.review import missing_facts
from services.application.store import CONSENTS, EXTENSIONS, FACILITIES, INVESTIGATIONS, LOANS, PARTIES, person_of


@dataclass(frozen=True, slots=True, kw_only=True)
class InvestigationView:
    """Who investigates and who has filed; the values are sealed."""

    mode: str
    status: Findings
    lead: str
    assistant: str
    filed_by: tuple[str, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityView:
    """One facility as the process manager knows it; `missing` and `waits_for` say what the next step lacks."""

    facility_id: str
    external_ref: str
    borrower_id: str
    channel: str
    branch: str
    status: Status
    amount: Money | None
    tenor_months: int | None
    annual_rate: Decimal | None
    investigation: InvestigationView | None
    figures: Figures | None
    information: str
    size_class: str
    grade: str
    score: int | None
    pd: Decimal | None
    items: tuple[Item, ...]
    cover: CoverState
    guaranteed: Money | None
    missing: tuple[str, ...]
    review: Review | None
    approver: str
    decision_reasons: tuple[str, ...]
    limit: Money | None
    valid_until: date | None
    contract_id: str
    loan_id: str
    waits_for: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanView:
    """One loan's account mirror on the open business date."""

    loan_id: str
    facility_id: str
    status: LoanStatus
    amount: Money
    outstanding: Money
    schedule: tuple[Instalment, ...]
    maturity: date
    disbursed_on: date | None
    overdue_since: date | None
    days_past_due: int
    risk_class: RiskClass
    provision: Money
    claim: ClaimState
    claim_paid: Money
    case_determined: bool
    written_off: Money | None
    recovered: Money
    extensions: tuple[Extension, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityRow:
    """One line of the list."""

    facility_id: str
    external_ref: str
    branch: str
    status: Status
    grade: str
    loan_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTotal:
    """One risk class: how many running loans, what they owe, what is provided for them."""

    risk_class: RiskClass
    loans: int
    outstanding: Money
    provision: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """The book in one currency."""

    currency: str
    facilities: int
    refused: int
    granted: Money
    disbursed: Money
    outstanding: Money
    written_off: Money
    claims_paid: Money
    recovered: Money
    provision: Money
    classes: tuple[ClassTotal, ...]
    adequacy: Adequacy


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolios:
    """One book per currency, and the facilities that have none yet."""

    as_of: date
    referred: int
    books: tuple[Portfolio, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BorrowerView:
    """Who the borrower is, masked by field (nothing once erased), and what consents there are."""

    borrower_id: str
    masked: dict[str, str]
    erased_on: date | None
    consents: tuple[Consent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureRow:
    """Who asked when, for which partner and what for, and what was told; `refused` says why nothing was."""

    disclosure_id: str
    at: datetime
    asked_on: date
    asked_by: str
    asked_org: str
    facility_id: str
    borrower_id: str
    masked: dict[str, str]
    consent_id: str
    purpose: str
    partner: str
    fields: tuple[Detail, ...]
    refused: str
    policy: str


async def borrower(tx: Tx, keyring: Keyring, facility_id: str) -> BorrowerView:
    """The borrower of a facility, masked; raises NotFound."""
    facility = await tx.get(FACILITIES, facility_id)
    party = await tx.get(PARTIES, facility.borrower_id)
    return BorrowerView(
        borrower_id=party.borrower_id,
        masked=await _masked(tx, keyring, party.borrower_id),
        erased_on=party.erased_on,
        consents=await tx.of(CONSENTS, facility_id),
    )


async def disclosures(tx: Tx, keyring: Keyring, after: str, limit: int) -> list[DisclosureRow]:
    """At most `limit` lines of the record of disclosures whose id comes after `after`; ids ascend with time."""
    rows = await tx.sql(
        "SELECT * FROM disclosures WHERE disclosure_id > $1 ORDER BY disclosure_id LIMIT $2", after, limit
    )
    return [
        DisclosureRow(
            **{**row, "fields": tuple(map(Detail, json.loads(row["fields"])))},
            masked=await _masked(tx, keyring, row["borrower_id"]),
        )
        for row in rows
    ]


async def _masked(tx: Tx, keyring: Keyring, borrower_id: str) -> dict[str, str]:
    party = await tx.find(PARTIES, borrower_id)
    if party is None or party.erased_on is not None:
        return {}
    return masked(await person_of(tx, keyring, party))


async def facility_file(tx: Tx, facility_id: str) -> FacilityView:
    """One facility; raises NotFound."""
    facility = await tx.get(FACILITIES, facility_id)
    asked = facility.application
    return FacilityView(
        facility_id=facility.facility_id,
        external_ref=facility.external_ref,
        borrower_id=facility.borrower_id,
        channel=facility.channel,
        branch=facility.branch,
        status=facility.status,
        amount=asked.amount if asked else None,
        tenor_months=asked.tenor_months if asked else None,
        annual_rate=asked.annual_rate if asked else None,
        investigation=await _investigation(tx, facility_id),
        figures=facility.figures,
        information=facility.information,
        size_class=facility.size_class,
        grade=facility.grade,
        score=facility.score,
        pd=facility.pd,
        items=facility.items,
        cover=facility.cover,
        guaranteed=facility.guaranteed,
        missing=missing_facts(facility) if facility.status is Status.SUBMITTED else (),
        review=facility.review,
        approver=facility.approver,
        decision_reasons=facility.decision_reasons,
        limit=facility.limit,
        valid_until=facility.valid_until,
        contract_id=facility.contract_id,
        loan_id=facility.loan_id,
        waits_for=_waits_for(facility),
    )


def _waits_for(facility: Facility) -> tuple[str, ...]:
    return unmet_conditions(facility) if facility.status in (Status.APPROVED, Status.CONTRACTED) else ()


async def _investigation(tx: Tx, facility_id: str) -> InvestigationView | None:
    found = await tx.find(INVESTIGATIONS, facility_id)
    if found is None:
        return None
    return InvestigationView(
        mode=found.mode,
        status=found.status,
        lead=found.lead,
        assistant=found.assistant,
        filed_by=tuple(filing.investigator for filing in found.filings),
        differences=found.differences,
    )


async def loan_account(tx: Tx, loan_id: str) -> LoanView:
    """One loan; raises NotFound."""
    loan = await tx.get(LOANS, loan_id)
    return LoanView(
        loan_id=loan.loan_id,
        facility_id=loan.facility_id,
        status=loan.status,
        amount=loan.amount,
        outstanding=loan.outstanding,
        schedule=loan.schedule,
        maturity=loan.maturity,
        disbursed_on=loan.disbursed_on,
        overdue_since=loan.overdue_since,
        days_past_due=days_past_due(loan, tx.date),
        risk_class=loan.risk_class,
        provision=loan.provision,
        claim=loan.claim,
        claim_paid=loan.claim_paid,
        case_determined=loan.case_determined,
        written_off=loan.written_off,
        recovered=loan.recovered,
        extensions=tuple(each for each in await tx.of(EXTENSIONS, loan.facility_id) if each.loan_id == loan_id),
    )


async def facility_of_loan(tx: Tx, loan_id: str) -> str:
    """The facility under which a loan was drawn; raises NotFound."""
    return (await tx.get(LOANS, loan_id)).facility_id


async def facilities(tx: Tx, after: str, limit: int, reach: Reach) -> list[FacilityRow]:
    """At most `limit` facilities within reach whose id comes after `after`."""
    rows = await tx.sql(
        "SELECT facility_id, external_ref, branch, status, grade, loan_id FROM facilities"  # noqa: S608 - a constant
        f" WHERE facility_id > $1 AND {within('branch', 3)} ORDER BY facility_id LIMIT $2",
        after,
        limit,
        reach,
    )
    return [FacilityRow(**{**row, "status": Status(row["status"])}) for row in rows]


_GRANTED_SQL = f"""
SELECT currency, count(*) AS facilities, count(*) FILTER (WHERE status = 'refused') AS refused,
       COALESCE(sum("limit"), 0) AS granted
FROM facilities WHERE {within("branch", 1)} GROUP BY currency ORDER BY currency
"""  # noqa: S608 - constants
_BOOK_SQL = f"""
SELECT risk_class, count(*) FILTER (WHERE l.status = 'active') AS loans,
       COALESCE(sum(l.amount) FILTER (WHERE disbursed_on IS NOT NULL), 0) AS disbursed,
       COALESCE(sum(outstanding), 0) AS outstanding, COALESCE(sum(provision), 0) AS provision,
       COALESCE(sum(written_off), 0) AS written_off, COALESCE(sum(claim_paid), 0) AS claims_paid,
       COALESCE(sum(recovered), 0) AS recovered
FROM loans l JOIN facilities f USING (facility_id) WHERE l.currency = $1 AND {within("f.branch", 2)} GROUP BY risk_class
"""  # noqa: S608 - constants


async def portfolio(tx: Tx, reach: Reach) -> Portfolios:
    """The totals of the book within reach and whether its provisions suffice."""
    granted = await tx.sql(_GRANTED_SQL, reach)
    referred = sum(row["facilities"] for row in granted if not row["currency"])
    books = [await _book(tx, reach, **row) for row in granted if row["currency"]]
    return Portfolios(as_of=tx.date, referred=referred, books=tuple(books))


async def _book(tx: Tx, reach: Reach, *, currency: str, facilities: int, refused: int, granted: Decimal) -> Portfolio:
    rows = {RiskClass(row["risk_class"]): row for row in await tx.sql(_BOOK_SQL, currency, reach)}

    def summed(column: str) -> Money:
        return total((Money(row[column], currency) for row in rows.values()), currency)

    classes = tuple(
        ClassTotal(
            risk_class=risk_class,
            loans=rows[risk_class]["loans"],
            outstanding=Money(rows[risk_class]["outstanding"], currency),
            provision=Money(rows[risk_class]["provision"], currency),
        )
        for risk_class in RiskClass
        if risk_class in rows
    )
    terms = tx.policy(ProvisionTerms, "application/provisions").terms
    balances = {row.risk_class: row.outstanding for row in classes}
    return Portfolio(
        currency=currency,
        facilities=facilities,
        refused=refused,
        granted=Money(granted, currency),
        disbursed=summed("disbursed"),
        outstanding=summed("outstanding"),
        written_off=summed("written_off"),
        claims_paid=summed("claims_paid"),
        recovered=summed("recovered"),
        provision=summed("provision"),
        classes=classes,
        adequacy=adequacy(balances, summed("provision"), terms),
    )
