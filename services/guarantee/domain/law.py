"""What law adds to an agreement: a period where none was agreed, and an insurer's clocks.

A guarantee and an insurance are under different laws, so it goes by the agreement's kind: the Civil Code's guarantee
period is a guarantor's, an insurer's cover ends by the terms of its policy and has the Insurance Law's clocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache

from libs.kernel.calendar import Calendar
from services.guarantee.domain.agreement import Agreement


@dataclass(frozen=True, slots=True)
class LawTerms:
    """Policy `guarantee/law`; None means that law says nothing of the kind.

    Agreements of `insurance_kinds` are insurances, all others guarantees. A guarantee for which no period was agreed,
    or one "until the loan is repaid", can be claimed for `period_months` after maturity (Civil Code 692). An insurer
    decides within `decide_days` and pays within `pay_days` of its yes unless something else was agreed (Insurance Law
    23); it gives notice of a refusal within `refusal_days` of deciding (24), and has paid what is certain within
    `interim_days` (25), whatever was agreed. All in calendar days.
    """

    insurance_kinds: tuple[str, ...]
    period_months: int | None = None
    decide_days: int | None = None
    pay_days: int | None = None
    refusal_days: int | None = None
    interim_days: int | None = None


@lru_cache(maxsize=256)  # asked for with every event, and a copy takes its digest anew
def under_law(agreement: Agreement, law: LawTerms) -> Agreement:
    """The agreement as it is acted on, law's defaults filled in; it is never saved, and its digest is nobody's."""
    if not _insures(agreement, law):
        liability = agreement.liability
        if liability.period_months is not None or law.period_months is None:
            return agreement
        return replace(agreement, liability=replace(liability, period_months=law.period_months))
    agreed = agreement.claims
    decide = law.decide_days if agreed.decide_days is None else agreed.decide_days
    claims = replace(agreed, decide_days=decide, interim_days=_sooner(agreed.interim_days, law.interim_days))
    return agreement if claims == agreed else replace(agreement, claims=claims)


def pay_by(agreement: Agreement, on: date, calendar: Calendar, law: LawTerms) -> date:
    """The last day to pay a claim accepted on `on`: the agreed working days, or law's days where none were agreed."""
    if not agreement.pay_working_days and law.pay_days is not None and _insures(agreement, law):
        return on + timedelta(days=law.pay_days)
    return calendar.add_working_days(on, agreement.pay_working_days)


def refusal_by(agreement: Agreement, decided_on: date, law: LawTerms) -> date | None:
    """The last day to give notice of a refusal decided on that day; None where law sets none."""
    if law.refusal_days is None or not _insures(agreement, law):
        return None
    return decided_on + timedelta(days=law.refusal_days)


def _insures(agreement: Agreement, law: LawTerms) -> bool:
    return agreement.kind in law.insurance_kinds


def _sooner(agreed: int | None, most: int | None) -> int | None:
    return min((days for days in (agreed, most) if days is not None), default=None)
