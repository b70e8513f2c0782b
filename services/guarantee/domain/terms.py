"""What an agreement is made of, term by term; every default means that nothing of the kind was agreed.

Fractions are 0 to 1, amounts are in the agreement's currency, days are calendar days unless named working days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from libs.events.guarantee import ShareOf

WHOLE, NONE = Decimal(1), Decimal(0)


class BindTiming(StrEnum):
    """When the partner must have agreed: before the approval, or (batch, 总对总) by filing after disbursement."""

    BEFORE_APPROVAL = "before_approval"
    FILED = "filed_after_disbursement"


class Contact(StrEnum):
    """Who calls whom: we ask at the partner's door, or it fetches what it is asked and answers at ours."""

    WE_CALL = "we_call"
    PARTNER_CALLS = "partner_calls"


class Adopting(StrEnum):
    """Whether every branch may use an agreement, or only those that adopted it within its limits."""

    EVERY_BRANCH = "every_branch"
    ADOPTED_ONLY = "adopted_only"


class LiabilityKind(StrEnum):
    """Civil Code 686-688: a general guarantor may refuse until execution against the debtor failed; a joint one not."""

    GENERAL = "general"
    JOINT = "joint"


class RecoveryRank(StrEnum):
    """Who is made whole first from what is recovered (Civil Code 700: subrogation not to the creditor's harm)."""

    PARI_PASSU = "pari_passu"
    BANK_FIRST = "bank_first"


class Subrogation(StrEnum):
    """How far a partner that paid steps into the bank's rights (Civil Code 700, Insurance Law 60)."""

    WHOLE = "whole"
    PAID_PART = "paid_part"
    ON_DEMAND = "on_demand"


class CapBase(StrEnum):
    """What a compensation cap is measured on: the guaranteed amounts disbursed in the period, or their mean balance."""

    DISBURSED = "disbursed"
    AVERAGE_BALANCE = "average_balance"


class CapCount(StrEnum):
    """What uses a cap up: what partners paid, or all that was ever claimed, denied claims included."""

    PAID = "paid"
    CLAIMED = "claimed"


class CapPeriod(StrEnum):
    """Which losses are set against which business: the year's loans (cohort), or whatever is claimed in the year."""

    COHORT = "cohort"
    CALENDAR_YEAR = "calendar_year"


class InSuspension(StrEnum):
    """What becomes of claims on existing covers while an agreement is suspended."""

    PAID = "paid"
    REFUSED = "refused"


class Measure(StrEnum):
    """What partners are measured by: claims paid to what they stood for, claims less recoveries to premiums, balance
    in arrears to balance, claims denied to claims decided, payments late to payments made."""

    COMPENSATION_RATE = "compensation_rate"
    LOSS_RATIO = "loss_ratio"
    OVERDUE_RATIO = "overdue_ratio"
    DENIAL_RATE = "denial_rate"
    LATE_PAYMENT_RATE = "late_payment_rate"


class LegMeasure(StrEnum):
    """What those behind a partner are measured by: what they owe it past its day, of all they ever owed."""

    REIMBURSEMENT_ARREARS = "reimbursement_arrears"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Which share of each component of a loss is covered; the rest is the bank's.

    Interest counts for at most `interest_days_max` days from the first day past due (the cut-off), on a year of
    `interest_year_days`. `ceiling` bounds what the partners pay as a fraction of the guaranteed amount (1 in F8).
    """

    principal: Decimal = WHOLE
    interest: Decimal = NONE
    penalty: Decimal = NONE
    cost: Decimal = NONE
    interest_days_max: int = 0
    interest_year_days: int = 360
    ceiling: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligibility:
    """Which loans may be covered; an empty list admits all. `products` keeps rollovers out by their product code.

    With `first_not_rollover` the first loan of a borrower under the agreement may not pay off another one (总对总).
    """

    amount_max: Decimal | None = None
    tenor_months_max: int | None = None
    rate_max: Decimal | None = None
    industries: tuple[str, ...] = ()
    size_classes: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    territory: tuple[str, ...] = ()
    first_not_rollover: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """How a cover comes about. A hold expires when the partner has not answered in `hold_days` (0: never).

    `file_days` after disbursement a batch drawdown must have been filed; `confirm_days` after that the partner has
    confirmed it or struck it off (0: whenever it likes), and silence is a yes. After `drawdowns_max` drawdowns what is
    left undrawn goes back. A `quoted` agreement lets the bank ask for a quote before it chooses. With
    `before_disbursement` capacity is held before the approval, and the partner is asked to bind after it; with
    `notice` no money moves before the guarantor's disbursement notice (放款通知书).
    """

    timing: BindTiming = BindTiming.BEFORE_APPROVAL
    file_days: int = 0
    confirm_days: int = 0
    hold_days: int = 0
    drawdowns_max: int = 1
    quoted: bool = False
    before_disbursement: bool = False
    notice: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most a partner guarantees of one loan, for one obligor and one group over all banks, and newly in one year.

    What a loan's guaranteed part exceeds `cover_max` by is the bank's.
    """

    cover_max: Decimal | None = None
    obligor_max: Decimal | None = None
    group_max: Decimal | None = None
    year_max: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRules:
    """When a claim may be filed and with what.

    Besides the waiting period in arrears: `maturity_wait_days` past maturity also makes a loan claimable;
    `lock_in_months` after disbursement nothing is claimable; after `file_days_max` from the first claimable day it is
    too late. `documents` must all be with the claim.

    The clocks of both sides, in calendar days: the bank gives notice of a loss within `notice_days` of the first day
    past due, and answers a query within `answer_days`; the partner decides within `decide_days` of the claim, the
    answer or the appeal, and has paid `interim_share` of the claim in advance `interim_days` after it if it is not
    settled by then; without a share, something while it is undecided. An insurer's law fills these two where they are
    left out. Within `appeal_days` the bank may appeal against a denial, once.

    Of an accepted claim `first_share` is paid in its days and the rest when recovery ends, or `rest_years` after the
    court's decree if that is sooner (F7: 0.75 and 3); the whole at once unless agreed.
    """

    maturity_wait_days: int | None = None
    lock_in_months: int = 0
    file_days_max: int | None = None
    documents: tuple[str, ...] = ()
    in_suspension: InSuspension = InSuspension.PAID
    notice_days: int | None = None
    decide_days: int | None = None
    answer_days: int | None = None
    appeal_days: int = 0
    interim_days: int | None = None
    interim_share: Decimal = NONE
    first_share: Decimal = WHOLE
    rest_years: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantors:
    """What personal and company guarantors stand for towards the bank, as fractions of the loan, before money moves.

    All together for `total_min`, the borrower's own side (owner, spouse) for `own_min`, others for `others_min`. As
    principal is repaid, `total_min` of it is freed again.
    """

    total_min: Decimal = NONE
    own_min: Decimal = NONE
    others_min: Decimal = NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Liability:
    """The guarantor's liability and what follows a payment.

    Claims end `period_months` after maturity. None: nothing was agreed, or "until the loan is repaid", which counts as
    nothing (Civil Code 692, interpretation 32); then law's period holds for a guarantee, and none for an insurance,
    which ends by its terms (`domain/law.py`). `enforcement_order` names securities and guarantors in the order agreed
    (392): what stands before the partner is enforced, and proved so, before a claim on it. Guarantors have contribution
    from each other only if `contribution` says how, `equally` or `by_amount` (interpretation 13). Of the parties
    `recovery_lead` pursues the debtor: the partner reports what it recovered only where that is itself. The kinds of
    guarantors and counter-guarantees named in `undertakings` must stand before the guarantor lets the money go, and
    `guarantors` for as much as agreed.
    """

    kind: LiabilityKind = LiabilityKind.JOINT
    period_months: int | None = None
    enforcement_order: tuple[str, ...] = ()
    contribution: str = ""
    subrogation: Subrogation = Subrogation.PAID_PART
    recovery_lead: str = "bank"
    recovery_rank: RecoveryRank = RecoveryRank.PARI_PASSU
    undertakings: tuple[str, ...] = ()
    guarantors: Guarantors | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """A compensation-rate cap: partners together bear at most `rate` of the base; `excess` bears what is above.

    An empty `excess` is the bank. With other parties in it the cap is a stop-loss: they take over above it.
    """

    rate: Decimal
    base: CapBase = CapBase.DISBURSED
    count: CapCount = CapCount.PAID
    period: CapPeriod = CapPeriod.COHORT
    excess: tuple[ShareOf, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutCap:
    """In a calendar year partners pay at most `multiple` times the premiums and recoveries that came to them in the
    year before (2 in F7); what is above is paid in the next year.

    Once that line was crossed in more than `crossings` of the last `years` calendar years, this one among them,
    premiums are higher by the part `surcharge` of them (F7: 3 of 5, 0.15).
    """

    multiple: Decimal
    surcharge: Decimal = NONE
    crossings: int = 0
    years: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PremiumRules:
    """How premiums are charged: `every_months` in advance on what is guaranteed then, or once to maturity (0).

    `refund` is the part of what was charged for days after an early repayment that goes back. A fund named in
    `subsidised_by` bears the part `subsidy` of each premium.
    """

    every_months: int = 0
    refund: Decimal = NONE
    subsidy: Decimal = NONE
    subsidised_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duties:
    """What the partner may hold against a claim besides its dates: each only where it was agreed.

    Security stays perfected; the money is used as contracted; the premium is paid.
    """

    perfection: bool = False
    use_of_funds: bool = False
    premium: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """Cash behind the direct payer: `party` reimburses its part within `working_days` of the payer's `proof`."""

    party: str
    working_days: int
    proof: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """From `warn_at` on the partner is warned and `throttle_to` of the capacity is left; at `suspend_at` all stops.

    A suspension by this trigger ends by itself once the measure is down to `reinstate_at` (None: people lift it).
    """

    suspend_at: Decimal
    warn_at: Decimal | None = None
    throttle_to: Decimal = WHOLE
    reinstate_at: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger(Marks):
    """The marks of one measure of how the partner does."""

    measure: Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrearsTrigger(Marks):
    """Marks on what those behind the direct payer owe it past its day: who is not reimbursed cannot pay."""

    @property
    def measure(self) -> LegMeasure:
        """There is one."""
        return LegMeasure.REIMBURSEMENT_ARREARS


class UseMeasure(StrEnum):
    """How full an agreement is: what covers hold of its capacity."""

    CAPACITY_USE = "capacity_use"


@dataclass(frozen=True, slots=True, kw_only=True)
class UseTrigger(Marks):
    """Marks on how much of the capacity covers hold: what is only asked for does not count until it binds."""

    @property
    def measure(self) -> UseMeasure:
        """There is one."""
        return UseMeasure.CAPACITY_USE


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One side's signature under exactly these terms, named by their digest."""

    party: str
    by: str
    on: date
    digest: str
