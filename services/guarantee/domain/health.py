"""How a partner does under an agreement, in ratios, and what the agreement says happens when one grows too high.

Warn, then throttle, then suspend: the triggers are terms of the agreement. A ratio with nothing to measure on is none,
and triggers nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from libs.events.guarantee import PartOf
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.claim import Claim
from services.guarantee.domain.sharing import without_bank
from services.guarantee.domain.terms import ArrearsTrigger, LegMeasure, Measure, Trigger, UseMeasure, UseTrigger

Watch = Trigger | ArrearsTrigger | UseTrigger
Measured = Measure | LegMeasure | UseMeasure


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRecord:
    """What became of all covers under one agreement.

    `disbursed` is what partners ever stood for, `balance` what they stand for now, `in_arrears` the part of it that is
    overdue; `recovered` the partners' part. `behind` is what those behind the direct payer ever owed it, `behind_late`
    what of it is owed past its day. `late` counts payments that had to be asked for again. `warned` names the measures
    that have been warned of, `warned_behind` says it of the arrears of those behind, `warned_use` of the use: what
    covers hold (`bound`) of `capacity`, kept only where that was agreed to be watched.
    """

    code: str
    partner: str
    currency: str
    disbursed: Money
    balance: Money
    in_arrears: Money
    premiums: Money
    paid: Money
    recovered: Money
    behind: Money
    behind_late: Money
    bound: Money
    capacity: Money
    claims_decided: int = 0
    claims_denied: int = 0
    payments: int = 0
    late: int = 0
    warned: tuple[Measure, ...] = ()
    warned_behind: bool = False
    warned_use: bool = False

    @property
    def income(self) -> Money:
        """What came to the partners so far: premiums, and their part of recoveries."""
        return self.premiums + self.recovered


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the triggers ask for now: measures to warn of for the first time, and one to suspend or reinstate for."""

    record: TrackRecord
    warn: tuple[Watch, ...]
    suspend: Watch | None
    reinstate: bool


def new_record(agreement: Agreement) -> TrackRecord:
    """Nothing has happened under the agreement yet."""
    none = agreement.capacity.zero
    return TrackRecord(
        code=agreement.code,
        partner=agreement.partner_id,
        currency=agreement.currency,
        disbursed=none,
        balance=none,
        in_arrears=none,
        premiums=none,
        paid=none,
        recovered=none,
        behind=none,
        behind_late=none,
        bound=none,
        capacity=none,
    )


def value_of(record: TrackRecord, measure: Measured) -> Decimal | None:
    """The ratio as it stands; None while there is nothing to measure it on."""
    parts: dict[Measured, tuple[Decimal | int, Decimal | int]] = {
        Measure.COMPENSATION_RATE: (record.paid.amount, record.disbursed.amount),
        Measure.LOSS_RATIO: ((record.paid - record.recovered).amount, record.premiums.amount),
        Measure.OVERDUE_RATIO: (record.in_arrears.amount, record.balance.amount),
        Measure.DENIAL_RATE: (record.claims_denied, record.claims_decided),
        Measure.LATE_PAYMENT_RATE: (record.late, record.payments),
        LegMeasure.REIMBURSEMENT_ARREARS: (record.behind_late.amount, record.behind.amount),
        UseMeasure.CAPACITY_USE: (record.bound.amount, record.capacity.amount),
    }
    part, whole = parts[measure]
    return Decimal(part) / whole if whole > 0 else None


def with_payment(record: TrackRecord, claim: Claim) -> TrackRecord:
    """A claim was accepted and paid; it was late if the partner had to be asked again."""
    return replace(
        record,
        paid=record.paid + claim.claimed,
        claims_decided=record.claims_decided + 1,
        payments=record.payments + 1,
        late=record.late + bool(claim.rechecks),
    )


def with_denial(record: TrackRecord) -> TrackRecord:
    """A claim was denied, or accepted and never paid."""
    return replace(record, claims_decided=record.claims_decided + 1, claims_denied=record.claims_denied + 1)


def with_recovery(record: TrackRecord, parts: tuple[PartOf, ...]) -> TrackRecord:
    """A recovery was shared; the partners' part of it is what they got back."""
    return replace(record, recovered=record.recovered + without_bank(parts))


def judge(record: TrackRecord, triggers: tuple[Watch, ...], suspended_for: str) -> Verdict:
    """What the triggers ask for; `suspended_for` is the reason of the present suspension, empty if there is none.

    All bounds are inclusive. A suspension ends by itself only if its own measure brought it about and has fallen to
    the level that the trigger names; one that people ordered is people's to lift.
    """
    above = tuple(t for t in triggers if _reached(record, t.measure, t.warn_at))
    own_words = {LegMeasure.REIMBURSEMENT_ARREARS: record.warned_behind, UseMeasure.CAPACITY_USE: record.warned_use}
    known = (*record.warned, *(measure for measure, warned in own_words.items() if warned))
    warn = tuple(t for t in above if t.measure not in known)
    suspend = next((t for t in triggers if _reached(record, t.measure, t.suspend_at)), None)
    own = next((t for t in triggers if t.measure == suspended_for), None)
    fallen = own is not None and own.reinstate_at is not None and not _above(record, own.measure, own.reinstate_at)
    return Verdict(
        record=replace(
            record,
            warned=tuple(t.measure for t in above if isinstance(t, Trigger)),
            warned_behind=any(isinstance(t, ArrearsTrigger) for t in above),
            warned_use=any(isinstance(t, UseTrigger) for t in above),
        ),
        warn=warn,
        suspend=None if suspended_for else suspend,
        reinstate=fallen and suspend is None,
    )


def throttled(agreement: Agreement, record: TrackRecord | None) -> Agreement:
    """The agreement with the capacity that is left to it while it is warned of."""
    return (
        agreement
        if record is None
        else replace(agreement, capacity=agreement.capacity * throttle_of(agreement, record))
    )


def throttle_of(agreement: Agreement, record: TrackRecord) -> Decimal:
    """What is left to an agreement that is warned of, 0 to 1; all of it while it is not."""
    left = [t.throttle_to for t in agreement.watched if _reached(record, t.measure, t.warn_at)]
    return min(left, default=Decimal(1))


def _reached(record: TrackRecord, measure: Measured, level: Decimal | None) -> bool:
    value = value_of(record, measure)
    return value is not None and level is not None and value >= level


def _above(record: TrackRecord, measure: Measured, level: Decimal) -> bool:
    value = value_of(record, measure)
    return value is not None and value > level
