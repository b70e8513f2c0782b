"""Between filing and outcome: query and answer, appeal, payment in advance; a day that passed unused names its side."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from libs.events.guarantee import ClaimAnswered, ClaimAppealed, ClaimInterimPaid, ClaimQueried, DeadlineMissed
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.guarantee.domain.claim import OPEN, Claim, ClaimState, days_from, require_state
from services.guarantee.domain.claim_rules import Evidence
from services.guarantee.domain.cover import Cover
from services.guarantee.domain.sharing import BANK
from services.guarantee.domain.terms import ClaimRules

ANSWER, DECISION, INTERIM, PAYMENT, NOTICE = "answer", "decision", "interim_payment", "payment", "notice_of_loss"
REFUSAL = "refusal_notice"


def query_claim(claim: Claim, asked: tuple[str, ...], on: date, terms: ClaimRules) -> tuple[Claim, ClaimQueried]:
    """The partner asks first: until it is answered, or its days are over, the bank's clock runs and not its own."""
    require_state(claim, ClaimState.FILED)
    if claim.asked:
        raise Refused("query_open", f"{', '.join(claim.asked)} is not answered yet")
    answer_by = days_from(on, terms.answer_days)
    event = ClaimQueried(
        facility_id=claim.facility_id,
        cover_id=claim.cover_id,
        claim_id=claim.claim_id,
        asked=asked,
        answer_by=answer_by,
    )
    return replace(claim, asked=asked, act_by=answer_by), event


def answer_query(
    claim: Claim, evidence: tuple[Evidence, ...], on: date, terms: ClaimRules
) -> tuple[Claim, ClaimAnswered]:
    """The bank answers; the partner's days to decide begin anew."""
    require_state(claim, ClaimState.FILED)
    if not claim.asked:
        raise Refused("nothing_asked", f"the partner asks nothing about {claim.claim_id}")
    decide_by = days_from(on, terms.decide_days)
    event = ClaimAnswered(
        facility_id=claim.facility_id,
        cover_id=claim.cover_id,
        claim_id=claim.claim_id,
        evidence=tuple(document.kind for document in evidence),
        decide_by=decide_by,
    )
    return replace(claim, asked=(), act_by=decide_by, evidence=(*claim.evidence, *evidence)), event


def appeal_claim(
    claim: Claim, grounds: tuple[str, ...], evidence: tuple[Evidence, ...], on: date, terms: ClaimRules
) -> tuple[Claim, ClaimAppealed]:
    """The bank appeals against a denial within its days, once; the partner's next word is the last."""
    require_state(claim, ClaimState.DENIED)
    if claim.appeal_by is None or on > claim.appeal_by:
        raise Refused("denial_final", f"{claim.claim_id} cannot be appealed, or not any more")
    decide_by = days_from(on, terms.decide_days)
    event = ClaimAppealed(
        facility_id=claim.facility_id,
        cover_id=claim.cover_id,
        claim_id=claim.claim_id,
        grounds=grounds,
        decide_by=decide_by,
    )
    reopened = replace(claim, state=ClaimState.FILED, reason="", appealed=True, appeal_by=None, act_by=decide_by)
    return replace(reopened, evidence=(*claim.evidence, *evidence)), event


def pay_interim(claim: Claim, amount: Money, receipt: str) -> tuple[Claim, ClaimInterimPaid]:
    """Money in advance; raises Refused for a receipt that was counted, and for all that is left or more."""
    require_state(claim, *OPEN)
    if receipt in claim.receipts:
        raise Refused("receipt_counted", f"{receipt} was counted for {claim.claim_id}")
    require_currency(claim, amount)
    if not amount or amount >= claim.left:
        raise Refused("interim_differs", f"less than {claim.left} is paid in advance, the rest at last")
    paid = replace(claim, interim=claim.interim + amount, receipts=(*claim.receipts, receipt))
    event = ClaimInterimPaid(
        facility_id=claim.facility_id,
        cover_id=claim.cover_id,
        claim_id=claim.claim_id,
        amount=amount,
        left=paid.left,
        receipt=receipt,
    )
    return paid, event


def first_paid(claim: Claim, terms: ClaimRules) -> bool:
    """Whether a claim that is paid in two parts (F7) has its first one, so that the rest may wait."""
    return terms.first_share < 1 and claim.interim >= claim.claimed * terms.first_share


def require_currency(claim: Claim, amount: Money) -> None:
    """Raise Refused for money in another currency than the claim's."""
    if amount.currency != claim.currency:
        raise Refused("payment_differs", f"{claim.claim_id} is in {claim.currency}", owed=str(claim.left))


def end_turn(claim: Claim, cover: Cover, on: date, terms: ClaimRules) -> tuple[Claim, DeadlineMissed | None]:
    """The last day of whose turn it was has passed.

    A query left unanswered goes back to the partner, who decides on what it has; a decision left open stays owed; and a
    denial that nobody appealed against is final, which breaks no duty.
    """
    match claim.state:
        case ClaimState.DENIED if claim.appeal_by is not None and on > claim.appeal_by:
            return replace(claim, appeal_by=None), None
        case ClaimState.FILED if claim.act_by is not None and on > claim.act_by:
            if claim.asked:
                decide_by = days_from(on, terms.decide_days)
                return replace(claim, asked=(), act_by=decide_by), missed(claim, ANSWER, BANK, claim.act_by)
            return replace(claim, act_by=None), missed(claim, DECISION, cover.partner, claim.act_by)
    return claim, None


def miss_interim(claim: Claim, cover: Cover, share: Decimal, due: date) -> DeadlineMissed | None:
    """The day of the payment in advance has passed; None when enough was paid, or nothing is owed any more.

    Where no share was agreed, what is owed is something of a claim that is still undecided (Insurance Law 25).
    """
    if claim.state not in OPEN or claim.interim >= claim.claimed * share > claim.claimed.zero:
        return None
    if not share and (claim.interim or claim.state is not ClaimState.FILED):
        return None
    return missed(claim, INTERIM, cover.partner, due)


def missed(claim: Claim, duty: str, side: str, due: date) -> DeadlineMissed:
    """A duty about a claim was not done by its last day."""
    return DeadlineMissed(
        facility_id=claim.facility_id,
        cover_id=claim.cover_id,
        claim_id=claim.claim_id,
        loan_id=claim.loan_id,
        duty=duty,
        side=side,
        due=due,
    )
