"""Whether a claim may be filed at all: every reason against it has a code of its own, and the first one counts.

A refusal here is the bank's own check before anybody is asked; what a partner denies is another thing (`claim.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from libs.events.guarantee import PartOf
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.cover import Cover, CoverState
from services.guarantee.domain.loan import CoveredLoan, claimable_on, last_claim_day
from services.guarantee.domain.sharing import Loss, final_split, without_bank
from services.guarantee.domain.terms import InSuspension, LiabilityKind

EXECUTION_FAILED = "execution_failed"
ENFORCED = "enforced-"
"""Before the name of a security or guarantor: the document that proves its enforcement, such as `enforced-mortgage`."""


class ClaimFault(StrEnum):
    """Why a claim is refused by our own rules."""

    COVER_ENDED = "cover_ended"
    FOREIGN_CURRENCY = "foreign_currency"
    WRONG_PARTNER = "wrong_partner"
    CLAIMED_BEFORE = "claimed_before"
    NOT_IN_ARREARS = "not_in_arrears"
    NOTHING_COVERED = "nothing_covered"
    TOO_EARLY = "too_early"
    TOO_LATE = "too_late"
    DRAWDOWN_NOT_FILED = "drawdown_not_filed"
    AGREEMENT_SUSPENDED = "agreement_suspended"
    DOCUMENTS_MISSING = "documents_missing"
    WRONG_AMOUNT = "wrong_amount"
    OVER_CAP = "over_cap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A document that goes with a claim: what it is, where it lies, and the SHA-256 of its bytes if it was taken."""

    kind: str
    reference: str
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A claim as it is asked for: of whom, for which loss, how much of them; `claimed` None asks what terms allow."""

    partner: str
    loss: Loss
    claimed: Money | None
    documents: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What the claim is judged by: the terms, what was claimed on this loan before, the room under the cap."""

    cover: Cover
    loan: CoveredLoan
    agreement: Agreement
    claimed_before: bool
    suspended: bool
    cap_room: Money | None
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Payable:
    """What a claim comes to: all parts of the loss, what is asked of the partners, and what of it uses the cap up."""

    parts: tuple[PartOf, ...]
    claimed: Money
    counted: Money


def loss_today(loan: CoveredLoan, agreement: Agreement, on: date) -> Loss:
    """The loss as our books have it: principal left, and interest on it from the first day past due to the cut-off."""
    coverage, none = agreement.coverage, loan.outstanding.zero
    days = 0 if loan.overdue_since is None else max((on - loan.overdue_since).days, 0)
    counted = min(days, coverage.interest_days_max)
    interest = loan.outstanding * (loan.annual_rate * counted / coverage.interest_year_days)
    return Loss(principal=loan.outstanding, interest=interest if coverage.interest else none, penalty=none, cost=none)


def payable(basis: Basis, loss: Loss) -> Payable:
    """The final split of the loss under the cover, its cap included."""
    sharing, coverage, covered = basis.cover.sharing, basis.agreement.coverage, basis.loan.amount
    parts = final_split(loss, sharing, coverage, covered=covered)
    counted = without_bank(parts)
    if basis.cap_room is not None and basis.agreement.cap is not None and basis.cap_room < counted:
        counted = basis.cap_room
        excess = basis.agreement.cap.excess
        parts = final_split(loss, sharing, coverage, covered=covered, payable_max=counted, excess=excess)
    return Payable(parts=parts, claimed=without_bank(parts), counted=counted)


def fault_of(demand: Demand, basis: Basis) -> ClaimFault | None:
    """The first rule that the demand breaks; None when it may be filed."""
    return _fault_of_place(demand, basis) or _fault_of_time(demand, basis) or _fault_of_amount(demand, basis)


def files_itself(agreement: Agreement) -> bool:
    """Whether a claim needs nothing but our own books, so that it is filed on its first day without a person."""
    return not agreement.claims.documents and not needed_first(agreement)


def needed_first(agreement: Agreement) -> tuple[str, ...]:
    """What proves that the partner's turn has come: that execution failed, that earlier ranks were enforced.

    A general guarantor may refuse until execution against the debtor failed (Civil Code 687). Where an order was agreed
    (392), whatever stands before the partner in it has been enforced; a partner not named in it comes last.
    """
    order = agreement.liability.enforcement_order
    before = order[: order.index(agreement.partner_id)] if agreement.partner_id in order else order
    failed = (EXECUTION_FAILED,) if agreement.liability.kind is LiabilityKind.GENERAL else ()
    return (*failed, *(f"{ENFORCED}{name}" for name in before))


def _fault_of_place(demand: Demand, basis: Basis) -> ClaimFault | None:
    """Whom it is asked of, in what, and whether there is anything to stand for."""
    loan, loss = basis.loan, demand.loss
    amounts = [loss.principal, loss.interest, loss.penalty, loss.cost, demand.claimed or loan.outstanding]
    suspended = basis.suspended and basis.agreement.claims.in_suspension is InSuspension.REFUSED
    broken = {
        ClaimFault.COVER_ENDED: basis.cover.state is CoverState.RELEASED,
        ClaimFault.FOREIGN_CURRENCY: any(amount.currency != loan.currency for amount in amounts),
        ClaimFault.WRONG_PARTNER: demand.partner != basis.cover.partner,
        ClaimFault.CLAIMED_BEFORE: basis.claimed_before,
        ClaimFault.DRAWDOWN_NOT_FILED: loan.file_by is not None and (loan.filed_on is None or bool(loan.removed)),
        ClaimFault.AGREEMENT_SUSPENDED: suspended,
    }
    return next((fault for fault, is_so in broken.items() if is_so), None)


def _fault_of_time(demand: Demand, basis: Basis) -> ClaimFault | None:
    """Whether the days for it have come and not passed, and what must be with it is there."""
    loan, agreement = basis.loan, basis.agreement
    if loan.overdue_since is None or loan.closed or not loan.outstanding:
        return ClaimFault.NOT_IN_ARREARS
    first = claimable_on(loan, loan.overdue_since, agreement)
    last = last_claim_day(loan, first, agreement)
    if basis.on < first:
        return ClaimFault.TOO_EARLY
    if last is not None and basis.on > last:
        return ClaimFault.TOO_LATE
    needed = {*agreement.claims.documents, *needed_first(agreement)}
    shown = {*demand.documents, *(document.kind for document in demand.evidence)}
    noticed = agreement.claims.notice_days is None or loan.notified_on is not None
    return None if needed <= shown and noticed else ClaimFault.DOCUMENTS_MISSING


def _fault_of_amount(demand: Demand, basis: Basis) -> ClaimFault | None:
    """Whether the figures are those of our books and of the terms."""
    ours = loss_today(basis.loan, basis.agreement, basis.on)
    if demand.loss.principal != ours.principal or demand.loss.interest > ours.interest:
        return ClaimFault.WRONG_AMOUNT
    allowed = payable(basis, demand.loss)
    uncapped = payable(replace(basis, cap_room=None), demand.loss)
    if not allowed.claimed and uncapped.claimed:
        return ClaimFault.OVER_CAP
    if not allowed.claimed:
        return ClaimFault.NOTHING_COVERED
    if demand.claimed is None or demand.claimed == allowed.claimed:
        return None
    above = allowed.claimed < demand.claimed <= uncapped.claimed
    return ClaimFault.OVER_CAP if above else ClaimFault.WRONG_AMOUNT
