"""Cover at risk: what a partner would not pay if a loan were claimed today, why, and whose duty mends it until when.

Pure: the facts that guarantee has are judged by the agreement's own terms and by law, whether or not a claim is near.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from libs.events.guarantee import CoverEndangered, CoverMended
from libs.kernel.calendar import add_months
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.change import RATE, Change, ChangeState
from services.guarantee.domain.claim_rules import Basis, loss_today, needed_first, payable
from services.guarantee.domain.cover import Cover, CoverFile
from services.guarantee.domain.loan import CoveredLoan, claimable_on, last_claim_day
from services.guarantee.domain.terms import InSuspension

CONSENT = "change_consent"
"""A consent given on paper is proved like a document; any other word names a document of the claim."""
BANK_MANAGER, RISK = "customer_manager", "risk_director"


class Defence(StrEnum):
    """Why the partner would not pay."""

    NOTICE_MISSED = "notice_missed"
    PERFECTION_LAPSED = "perfection_lapsed"
    RATE_RAISED = "rate_raised"
    TERM_EXTENDED = "term_extended"
    DRAWDOWN_NOT_FILED = "drawdown_not_filed"
    FUNDS_MISUSED = "funds_misused"
    DOCUMENT_MISSING = "document_missing"
    EXECUTION_NOT_TRIED = "execution_not_tried"
    PERIOD_EXPIRED = "period_expired"
    PREMIUM_UNPAID = "premium_unpaid"
    SUSPENDED = "agreement_suspended"
    CAP_USED_UP = "cap_used_up"


@dataclass(frozen=True, slots=True)
class DefenceTerms:
    """Policy `guarantee/defence`: which findings of an inspection prove misuse, and from which growth it is told.

    `growth_min` is in the profile's currency: a figure that grew by less is shown, but no event tells it.
    """

    misuse_findings: tuple[str, ...]
    growth_min: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """One security behind the facility, as collateral told; it lapsed when it was released without being sold."""

    collateral_id: str
    facility_id: str
    perfected: bool = False
    released: bool = False
    disposed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """That a duty was done, or a document is on file; `on` is the day it was."""

    proof_id: str
    facility_id: str
    loan_id: str
    duty: str
    on: date
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was told last of one loan, and what inspections found on it, by the codes of their findings."""

    loan_id: str
    facility_id: str
    currency: str
    told: Money
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that one loan under cover is judged by; `cap_room` is None where no cap was agreed."""

    loan: CoveredLoan
    cover: Cover
    agreement: Agreement
    file: CoverFile
    securities: tuple[Security, ...]
    proofs: tuple[Proof, ...]
    changes: tuple[Change, ...]
    misused: bool
    suspended: bool
    cap_room: Money | None
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One reason not to pay: how much, whose duty it is, and the last day to mend it.

    Without a day it can be mended on any; `mendable` is False once it is too late, or where nothing helps.
    """

    defence: Defence
    amount: Money
    holder: str
    mend_by: date | None
    mendable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRisk:
    """One loan: what its cover would pay today if nothing spoke against it, and what of that would be denied."""

    loan_id: str
    facility_id: str
    cover_id: str
    agreement: str
    partner: str
    payable: Money
    at_risk: Money
    gaps: tuple[Gap, ...]


def at_risk(facts: Facts) -> AtRisk:
    """Judge one loan. What several reasons would deny is denied once: the largest counts."""
    loss = loss_today(facts.loan, facts.agreement, facts.on)
    sound = payable(_basis(facts), loss).claimed
    gaps = tuple(gap for judge in _JUDGES for gap in judge(facts, sound) if gap.amount)
    return AtRisk(
        loan_id=facts.loan.loan_id,
        facility_id=facts.loan.facility_id,
        cover_id=facts.cover.cover_id,
        agreement=facts.agreement.code,
        partner=facts.cover.partner,
        payable=sound,
        at_risk=max((gap.amount for gap in gaps), default=sound.zero),
        gaps=gaps,
    )


def nothing_at_risk(loan: CoveredLoan) -> AtRisk:
    """A loan that is closed, repaid or claimed: no cover of it is at risk any more."""
    none = loan.amount.zero
    return AtRisk(
        loan_id=loan.loan_id,
        facility_id=loan.facility_id,
        cover_id=loan.cover_id,
        agreement="",
        partner="",
        payable=none,
        at_risk=none,
        gaps=(),
    )


def changed(before: Money, now: AtRisk, growth_min: Decimal) -> CoverEndangered | CoverMended | None:
    """The event for a figure that was told as `before`: grown by at least `growth_min`, or gone down."""
    named = {"facility_id": now.facility_id, "cover_id": now.cover_id, "loan_id": now.loan_id}
    if now.at_risk < before:
        return CoverMended(**named, before=before, after=now.at_risk)
    if now.at_risk == before or (now.at_risk - before).amount < growth_min:
        return None
    days = sorted(gap.mend_by for gap in now.gaps if gap.mendable and gap.mend_by is not None)
    return CoverEndangered(
        **named,
        before=before,
        after=now.at_risk,
        reasons=tuple(gap.defence.value for gap in now.gaps),
        holders=tuple(dict.fromkeys(gap.holder for gap in now.gaps)),
        mend_by=tuple(days),
    )


def next_look(facts: Facts) -> date | None:
    """The first day after today on which the figure can change by itself; None when there is none."""
    period = _last_day(facts)
    days = [day + timedelta(days=1) for day in (facts.loan.file_by, period) if day is not None and day >= facts.on]
    return min(days, default=None)


def _gap(defence: Defence, amount: Money, holder: str, facts: Facts, mend_by: date | None = None) -> Gap:
    """A gap that can be mended to the end of `mend_by`."""
    mendable = mend_by is None or facts.on <= mend_by
    return Gap(defence=defence, amount=amount, holder=holder, mend_by=mend_by, mendable=mendable)


def _notice(facts: Facts, sound: Money) -> Iterator[Gap]:
    """The partner is told of arrears within the agreed days; a notice that came later is none."""
    days, since = facts.agreement.claims.notice_days, facts.loan.overdue_since
    if days is None or since is None:
        return
    last, told = since + timedelta(days=days), facts.loan.notified_on
    if told is None or told > last:
        yield _gap(Defence.NOTICE_MISSED, sound, BANK_MANAGER, facts, last)


def _perfection(facts: Facts, sound: Money) -> Iterator[Gap]:
    """Security that was agreed stays registered until it is sold; the partner would be subrogated to nothing."""
    lapsed = any(not (each.perfected and not each.released) and not each.disposed for each in facts.securities)
    if facts.agreement.duties.perfection and lapsed:
        yield _gap(Defence.PERFECTION_LAPSED, sound, BANK_MANAGER, facts)


def _changes(facts: Facts, sound: Money) -> Iterator[Gap]:
    """What was made heavier without the guarantor's written consent is not guaranteed (Civil Code 695).

    So is a change that bank and borrower agreed on and the partner has refused, or not answered yet.
    """
    if any(proof.duty == CONSENT for proof in facts.proofs):
        return
    loan, agreed = facts.loan, facts.file.annual_rate
    consented = any(change.state is ChangeState.CONSENTED for change in facts.changes)
    waits = _unconsented(facts.changes)
    rate = waits.annual_rate if waits is not None and RATE in waits.heavier else loan.annual_rate
    stands = loan.annual_rate if consented else min(agreed or loan.annual_rate, loan.annual_rate)
    if rate > stands:
        yield _gap(Defence.RATE_RAISED, _payable_at(rate, facts) - _payable_at(stands, facts), BANK_MANAGER, facts)
    if waits is not None and set(waits.heavier) - {RATE}:
        yield _gap(Defence.TERM_EXTENDED, sound, BANK_MANAGER, facts, waits.maturity_before)
    elif facts.file.tenor_months and not consented:
        until = add_months(loan.disbursed_on, facts.file.tenor_months)
        if loan.maturity > until:
            yield _gap(Defence.TERM_EXTENDED, sound, BANK_MANAGER, facts, until)


def _unconsented(changes: tuple[Change, ...]) -> Change | None:
    """The latest change that needs a consent, unless it was given."""
    asked = [change for change in changes if change.state is not ChangeState.LIGHTER]
    # Of one day: a consent ends what was refused before it, and what still waits came after what was decided.
    last = max(asked, key=lambda c: (c.asked_on, c.state is ChangeState.CONSENTED, c.decided_on is None), default=None)
    return None if last is None or last.state is ChangeState.CONSENTED else last


def _payable_at(annual_rate: Decimal, facts: Facts) -> Money:
    """What the cover would pay if the loan bore this rate."""
    loan = replace(facts.loan, annual_rate=annual_rate)
    return payable(_basis(facts), loss_today(loan, facts.agreement, facts.on)).claimed


def _filing(facts: Facts, sound: Money) -> Iterator[Gap]:
    """A batch drawdown that is not filed is not covered."""
    if facts.loan.file_by is not None and facts.loan.filed_on is None:
        yield _gap(Defence.DRAWDOWN_NOT_FILED, sound, BANK_MANAGER, facts, facts.loan.file_by)


def _use(facts: Facts, sound: Money) -> Iterator[Gap]:
    """Where the use of funds was made a condition, money used otherwise is not guaranteed; nothing mends it."""
    if facts.agreement.duties.use_of_funds and facts.misused:
        yield Gap(defence=Defence.FUNDS_MISUSED, amount=sound, holder=BANK_MANAGER, mend_by=None, mendable=False)


def _documents(facts: Facts, sound: Money) -> Iterator[Gap]:
    """Once a loan is in arrears, what the claim needs must be on file before its last day, executions among it."""
    if facts.loan.overdue_since is None:
        return
    there, last = {proof.duty for proof in facts.proofs}, _last_day(facts)
    if not set(facts.agreement.claims.documents) <= there:
        yield _gap(Defence.DOCUMENT_MISSING, sound, BANK_MANAGER, facts, last)
    if not set(needed_first(facts.agreement)) <= there:
        yield _gap(Defence.EXECUTION_NOT_TRIED, sound, BANK_MANAGER, facts, last)


def _period(facts: Facts, sound: Money) -> Iterator[Gap]:
    """A claim not made in the guarantee period, or in the days the agreement gives, is lost (Civil Code 693)."""
    last = _last_day(facts)
    if last is not None and facts.on > last:
        yield _gap(Defence.PERIOD_EXPIRED, sound, BANK_MANAGER, facts, last)


def _premium(facts: Facts, sound: Money) -> Iterator[Gap]:
    """Where the agreement says so, a premium that is owed keeps the cover from paying."""
    if facts.agreement.duties.premium and facts.loan.premium_open:
        yield _gap(Defence.PREMIUM_UNPAID, sound, facts.agreement.premium_payer, facts)


def _suspension(facts: Facts, sound: Money) -> Iterator[Gap]:
    """While the agreement is suspended claims are refused, where that was agreed."""
    if facts.suspended and facts.agreement.claims.in_suspension is InSuspension.REFUSED:
        yield _gap(Defence.SUSPENDED, sound, RISK, facts)


def _cap(facts: Facts, sound: Money) -> Iterator[Gap]:
    """What is above the room under the compensation cap falls back on the bank; nobody's duty mends it."""
    if facts.cap_room is not None and facts.cap_room < sound:
        above = sound - facts.cap_room
        yield Gap(defence=Defence.CAP_USED_UP, amount=above, holder=RISK, mend_by=None, mendable=False)


def _last_day(facts: Facts) -> date | None:
    """The last day to claim; of a loan that is paid on time the end of the guarantee period after its maturity."""
    loan = facts.loan
    since = loan.overdue_since or loan.maturity
    return last_claim_day(loan, claimable_on(loan, since, facts.agreement), facts.agreement)


def _basis(facts: Facts) -> Basis:
    return Basis(
        cover=facts.cover,
        loan=facts.loan,
        agreement=facts.agreement,
        claimed_before=False,
        suspended=False,
        cap_room=None,
        on=facts.on,
    )


_JUDGES: tuple[Callable[[Facts, Money], Iterator[Gap]], ...] = (
    _notice,
    _perfection,
    _changes,
    _filing,
    _use,
    _documents,
    _period,
    _premium,
    _suspension,
    _cap,
)
