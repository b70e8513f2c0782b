"""A claim from filing to payment: it asks for the partners' parts of a loss, and every wait ends in a named outcome."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from libs.events.guarantee import (
    ClaimAccepted,
    ClaimDenied,
    ClaimFiled,
    ClaimPaid,
    ClaimRefused,
    ClaimWithdrawn,
    PartOf,
    ShareOf,
)
from libs.kernel.calendar import Calendar
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.guarantee.domain.claim_rules import Basis, ClaimFault, Demand, Evidence, payable
from services.guarantee.domain.cover import Cover
from services.guarantee.domain.sharing import parts_of


@dataclass(frozen=True, slots=True)
class ClaimTerms:
    """Policy `guarantee/claim`: how often an accepted claim is asked after when its payment is late.

    The partner is asked again every `recheck_working_days`, at most `rechecks_max` times; then the claim has failed.
    """

    recheck_working_days: int
    rechecks_max: int


class ClaimState(StrEnum):
    """Where a claim stands; `filed` and `accepted` are open, `paid` and `withdrawn` final, see Claim.open."""

    FILED = "filed"
    ACCEPTED = "accepted"
    PAID = "paid"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"


OPEN = (ClaimState.FILED, ClaimState.ACCEPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim on the partners: `loss` when it was filed, `claimed` the partners' parts of it, `parts` everybody's.

    `counted` is what it uses of the cap whose book is named. While it is filed, `asked` is what the partner wants to
    know first, and `act_by` the last day of whose turn it is: the bank's to answer, else the partner's to decide. Until
    `appeal_by` a denial is not final; after an appeal (`appealed`) it is. `interim` was paid in advance.
    """

    claim_id: str
    facility_id: str
    loan_id: str
    cover_id: str
    state: ClaimState
    currency: str
    loss: Money
    claimed: Money
    parts: tuple[PartOf, ...]
    filed_on: date
    counted: Money
    book: str = ""
    pay_by: date | None = None
    rechecks: int = 0
    receipt: str = ""
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    asked: tuple[str, ...] = ()
    act_by: date | None = None
    appeal_by: date | None = None
    appealed: bool = False
    interim: Money
    receipts: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether it still waits for its outcome."""
        return self.state in OPEN or (self.state is ClaimState.DENIED and self.appeal_by is not None)

    @property
    def left(self) -> Money:
        """What is claimed and not paid in advance."""
        return self.claimed - self.interim

    @property
    def returned(self) -> Money | None:
        """What goes back to the partner if nothing is owed after all."""
        return self.interim or None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentLate:
    """The payment did not come: ask again on `ask_on`."""

    ask_on: date


def claim_open(claims: tuple[Claim, ...], loan_id: str) -> Claim | None:
    """The claim on this loan that still waits for its outcome, if any; there is never more than one."""
    return next((claim for claim in claims if claim.loan_id == loan_id and claim.open), None)


def claim_paid(claims: tuple[Claim, ...], loan_id: str) -> Claim | None:
    """The claim on this loan that the partners paid, if any; nothing more is ever claimed after it."""
    return next((claim for claim in claims if claim.loan_id == loan_id and claim.state is ClaimState.PAID), None)


def claimed(claims: tuple[Claim, ...], loan_id: str) -> bool:
    """Whether a claim on this loan is open or paid, so that it may not be claimed again."""
    return (claim_open(claims, loan_id) or claim_paid(claims, loan_id)) is not None


def file_claim(demand: Demand, basis: Basis, claim_id: str, book: str) -> tuple[Claim, ClaimFiled]:
    """Claim the partners' parts of a loss that no rule speaks against."""
    loan, due = basis.loan, payable(basis, demand.loss)
    claim = Claim(
        claim_id=claim_id,
        facility_id=loan.facility_id,
        loan_id=loan.loan_id,
        cover_id=loan.cover_id,
        state=ClaimState.FILED,
        currency=loan.currency,
        loss=demand.loss.whole,
        claimed=due.claimed,
        parts=due.parts,
        filed_on=basis.on,
        counted=due.counted,
        book=book,
        evidence=demand.evidence,
        act_by=days_from(basis.on, basis.agreement.claims.decide_days),
        interim=due.claimed.zero,
    )
    event = ClaimFiled(
        facility_id=claim.facility_id,
        cover_id=claim.cover_id,
        claim_id=claim_id,
        loss=claim.loss,
        claimed=claim.claimed,
    )
    return claim, event


def refuse_claim(demand: Demand, basis: Basis, fault: ClaimFault) -> ClaimRefused:
    """The claim breaks a rule: nobody is asked, and nothing is left of it but this event."""
    return ClaimRefused(
        facility_id=basis.loan.facility_id,
        cover_id=basis.cover.cover_id,
        loan_id=basis.loan.loan_id,
        partner=demand.partner,
        principal=demand.loss.principal,
        reason=fault.value,
    )


def accept_claim(claim: Claim, pay_by: date) -> tuple[Claim, ClaimAccepted]:
    """The partner accepted: it pays by `pay_by`."""
    require_state(claim, ClaimState.FILED)
    event = ClaimAccepted(
        facility_id=claim.facility_id,
        cover_id=claim.cover_id,
        claim_id=claim.claim_id,
        amount=claim.claimed,
        pay_by=pay_by,
    )
    return replace(claim, state=ClaimState.ACCEPTED, pay_by=pay_by, asked=(), act_by=None), event


def deny_claim(claim: Claim, reason: str, appeal_by: date | None = None) -> tuple[Claim, ClaimDenied]:
    """The partner will not pay; the loss stays with the bank unless it may appeal, which it may once.

    Raises Refused once it has accepted: its yes binds it (Insurance Law 23).
    """
    require_state(claim, ClaimState.FILED)
    return _denied(claim, reason, appeal_by)


def _denied(claim: Claim, reason: str, appeal_by: date | None = None) -> tuple[Claim, ClaimDenied]:
    last = None if claim.appealed else appeal_by
    event = ClaimDenied(
        facility_id=claim.facility_id,
        cover_id=claim.cover_id,
        claim_id=claim.claim_id,
        reason=reason,
        appeal_by=last,
        returned=claim.returned,
    )
    return replace(claim, state=ClaimState.DENIED, reason=reason, asked=(), act_by=None, appeal_by=last), event


def withdraw_claim(claim: Claim) -> tuple[Claim, ClaimWithdrawn]:
    """The borrower cured before the partners paid; a cure lapses the claim."""
    if not claim.open:
        require_state(claim, *OPEN)
    event = ClaimWithdrawn(
        facility_id=claim.facility_id, cover_id=claim.cover_id, claim_id=claim.claim_id, returned=claim.returned
    )
    return replace(claim, state=ClaimState.WITHDRAWN, asked=(), act_by=None, appeal_by=None), event


def pay_claim(claim: Claim, receipt: str) -> tuple[Claim, ClaimPaid]:
    """The partners paid what was claimed; the parts are the final split of the loss, the bank's own included."""
    require_state(claim, ClaimState.ACCEPTED)
    event = ClaimPaid(
        facility_id=claim.facility_id,
        cover_id=claim.cover_id,
        claim_id=claim.claim_id,
        amount=claim.claimed,
        receipt=receipt,
        parts=claim.parts,
    )
    return replace(claim, state=ClaimState.PAID, receipt=receipt), event


def loss_ratio(claim: Claim, cover: Cover) -> tuple[ShareOf, ...]:
    """The ratio in which the loss was borne: the cover's own where nothing cut it, else that of the parts.

    The parts are rounded to the cent, so the ratio they came from is the truer one.
    """
    if claim.parts == parts_of(claim.loss, cover.shares):
        return cover.shares
    return tuple(ShareOf(party=part.party, weight=part.amount.amount) for part in claim.parts)


def miss_payment(
    claim: Claim, on: date, calendar: Calendar, terms: ClaimTerms, *, in_part: bool = False
) -> tuple[Claim, PaymentLate | ClaimDenied | None]:
    """No payment when asked: ask again later, and after the last time count the claim as denied.

    One that was paid `in_part`, as agreed, is never counted so: its rest stays owed.
    """
    require_state(claim, ClaimState.ACCEPTED)
    if claim.rechecks >= terms.rechecks_max:
        if in_part:
            return claim, None
        return _denied(claim, "payment_not_received")
    later = calendar.add_working_days(on, terms.recheck_working_days)
    return replace(claim, rechecks=claim.rechecks + 1), PaymentLate(ask_on=later)


def days_from(on: date, days: int | None) -> date | None:
    """The last of so many calendar days; None when none were agreed."""
    return None if days is None else on + timedelta(days=days)


def require_state(claim: Claim, *states: ClaimState) -> None:
    """Raise Refused unless the claim is in one of `states`."""
    if claim.state not in states:
        raise Refused(f"claim_{claim.state}", f"{claim.claim_id} is {claim.state}")
