"""What guarantee publishes about losses: notice, claims, payments, caps, recoveries, and days that passed unused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial

from libs.events.envelope import event
from libs.kernel.money import Money

_event = partial(event, "guarantee")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOf:
    """One party's exact part of an amount."""

    party: str
    amount: Money


@_event("loss.notified")
@dataclass(frozen=True, slots=True, kw_only=True)
class LossNotified:
    """The bank gave notice that a covered loan is in arrears since `since` (报案), before any claim."""

    facility_id: str
    cover_id: str
    loan_id: str
    outstanding: Money
    since: date


@_event("claim.filed")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFiled:
    """The waiting period passed and arrears stand: the bank claimed the partners' shares of `loss`."""

    facility_id: str
    cover_id: str
    claim_id: str
    loss: Money
    claimed: Money


@_event("claim.refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRefused:
    """A claim broke a rule of the cover, so it was not filed and nobody was asked; `reason` is the rule's code."""

    facility_id: str
    cover_id: str
    loan_id: str
    partner: str
    principal: Money
    reason: str


@_event("claim.queried")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimQueried:
    """The partner asks for more before it decides; the bank answers by `answer_by`, if the agreement names days."""

    facility_id: str
    cover_id: str
    claim_id: str
    asked: tuple[str, ...]
    answer_by: date | None = None


@_event("claim.answered")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimAnswered:
    """The bank answered the partner's query with what is named in `evidence`; the days to decide begin anew."""

    facility_id: str
    cover_id: str
    claim_id: str
    evidence: tuple[str, ...]
    decide_by: date | None = None


@_event("claim.appealed")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimAppealed:
    """The bank appealed against a denial: the claim is open once more, for the partner's last word."""

    facility_id: str
    cover_id: str
    claim_id: str
    grounds: tuple[str, ...]
    decide_by: date | None = None


@_event("claim.interim_paid")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimInterimPaid:
    """The partner paid a part in advance (Insurance Law 25); `left` is still claimed."""

    facility_id: str
    cover_id: str
    claim_id: str
    amount: Money
    left: Money
    receipt: str


@_event("deadline.missed")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineMissed:
    """A duty under a cover was not done by its last day; `side` is who owed it: `bank`, or the partner."""

    facility_id: str
    cover_id: str
    duty: str
    side: str
    due: date
    claim_id: str = ""
    loan_id: str = ""


@_event("claim.accepted")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimAccepted:
    """The partner accepted the claim and must pay by `pay_by`."""

    facility_id: str
    cover_id: str
    claim_id: str
    amount: Money
    pay_by: date


@_event("claim.denied")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimDenied:
    """The partner denied the claim with its reason; the loss stays with the bank, unless it appeals by `appeal_by`.

    `returned` is what was paid in advance and goes back when the denial stands.
    """

    facility_id: str
    cover_id: str
    claim_id: str
    reason: str
    appeal_by: date | None = None
    returned: Money | None = None


@_event("claim.withdrawn")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimWithdrawn:
    """The borrower cured before payment; the claim fell away, and what was paid in advance is `returned`."""

    facility_id: str
    cover_id: str
    claim_id: str
    returned: Money | None = None


@_event("claim.paid")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimPaid:
    """The partners paid; `parts` is the final split of the loss over all parties, the bank included."""

    facility_id: str
    cover_id: str
    claim_id: str
    amount: Money
    receipt: str
    parts: tuple[PartOf, ...]


@_event("reguarantee.reimbursed")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReguaranteeReimbursed:
    """A party behind the direct payer gave it its part, or some of it, of a claim paid; `left` is still owed."""

    facility_id: str
    cover_id: str
    claim_id: str
    party: str
    payee: str
    amount: Money
    left: Money
    receipt: str


@_event("reguarantee.overdue")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReguaranteeOverdue:
    """The last day for a reimbursement passed; `party` still owes `amount` to `payee`."""

    facility_id: str
    cover_id: str
    claim_id: str
    party: str
    payee: str
    amount: Money
    due: date


@_event("cap.reached")
@dataclass(frozen=True, slots=True, kw_only=True)
class CapReached:
    """The partners' compensation cap of a period is used up; what is claimed above it falls on others."""

    facility_id: str
    agreement: str
    period: str
    cap: Money
    used: Money


@_event("recovery.shared")
@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryShared:
    """A recovery was split among those who bore the loss, by the largest remainder."""

    facility_id: str
    cover_id: str
    amount: Money
    parts: tuple[PartOf, ...]
