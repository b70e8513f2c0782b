"""Who else stands for a loan: personal and company guarantors towards the bank, counter-guarantees towards the partner.

Everybody is named by an id alone; who it is, application knows. An undertaking is signed, perfected where it is to be
registered, and released with the loan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from libs.events.guarantee_upkeep import CounterGuaranteePerfected, GuarantorSigned
from libs.kernel.errors import Invalid, Refused
from libs.kernel.money import Money
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.sharing import BANK
from services.guarantee.domain.terms import LiabilityKind


class UndertakingKind(StrEnum):
    """Owner's, spouse's and company guarantees stand towards the bank; counter-guarantees towards the partner (反担保).

    A second mortgage or a pledge in the partner's favour is a counter-guarantee that a registry perfects.
    """

    OWNER = "owner_guarantee"
    SPOUSE = "spouse_guarantee"
    COMPANY = "company_guarantee"
    COUNTER_GUARANTEE = "counter_guarantee"
    SECOND_MORTGAGE = "second_mortgage"
    PLEDGE = "pledge"


COUNTER = (UndertakingKind.COUNTER_GUARANTEE, UndertakingKind.SECOND_MORTGAGE, UndertakingKind.PLEDGE)
REGISTERED = (UndertakingKind.SECOND_MORTGAGE, UndertakingKind.PLEDGE)


class UndertakingState(StrEnum):
    """`signed` stands by itself unless a registry must perfect it; `released` is final."""

    SIGNED = "signed"
    PERFECTED = "perfected"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undertaking:
    """One guarantor's or counter-guarantor's signature under `document`, up to `amount`, in favour of `creditor`.

    `liability` is general where the contract names none (Civil Code 686). `registration` is the registry's number.
    """

    undertaking_id: str
    facility_id: str
    kind: UndertakingKind
    guarantor: str
    creditor: str
    liability: LiabilityKind
    currency: str
    amount: Money
    document: str
    state: UndertakingState
    signed_on: date
    registration: str = ""
    perfected_on: date | None = None
    released_on: date | None = None


def sign(undertakings: tuple[Undertaking, ...], new: Undertaking, partner: str) -> tuple[Undertaking, GuarantorSigned]:
    """A guarantor signed; raises Refused for a document or a guarantor counted before, or without a partner to favour.

    The creditor follows from the kind: the bank, or for counter-guarantees the `partner` of the cover.
    """
    if new.kind in COUNTER and not partner:
        raise Refused("no_partner_to_favour", "a counter-guarantee is given to the partner of a cover")
    if new.amount <= new.amount.zero:
        raise Invalid("undertaking_empty", "an undertaking stands for something")
    for other in undertakings:
        if other.state is not UndertakingState.RELEASED and (other.kind, other.guarantor) == (new.kind, new.guarantor):
            raise Refused("undertaking_signed_before", f"{other.undertaking_id} of {other.signed_on}")
    signed = replace(new, creditor=partner if new.kind in COUNTER else BANK)
    event = GuarantorSigned(
        facility_id=signed.facility_id,
        undertaking_id=signed.undertaking_id,
        kind=signed.kind.value,
        guarantor=signed.guarantor,
        creditor=signed.creditor,
        liability=signed.liability.value,
        amount=signed.amount,
    )
    return signed, event


def perfect(undertaking: Undertaking, registration: str, on: date) -> tuple[Undertaking, CounterGuaranteePerfected]:
    """A registry entered it; raises Refused for one that needs none, was entered before, or was released."""
    if undertaking.kind not in REGISTERED:
        raise Refused("perfection_not_needed", f"a {undertaking.kind} is not registered")
    if undertaking.state is not UndertakingState.SIGNED:
        raise Refused("undertaking_not_open", f"{undertaking.undertaking_id} is {undertaking.state}")
    event = CounterGuaranteePerfected(
        facility_id=undertaking.facility_id,
        undertaking_id=undertaking.undertaking_id,
        kind=undertaking.kind.value,
        creditor=undertaking.creditor,
        registration=registration,
        amount=undertaking.amount,
    )
    done = replace(undertaking, state=UndertakingState.PERFECTED, registration=registration, perfected_on=on)
    return done, event


def released(undertaking: Undertaking, on: date) -> Undertaking:
    """The debt is gone, and with it what stood for it (a guarantee follows the debt, Civil Code 682 and 393)."""
    if undertaking.state is UndertakingState.RELEASED:
        return undertaking
    return replace(undertaking, state=UndertakingState.RELEASED, released_on=on)


def lacking(agreement: Agreement, undertakings: tuple[Undertaking, ...]) -> tuple[str, ...]:
    """The kinds that the agreement asks for and that do not stand yet: not signed, or still to be registered."""
    standing = {
        one.kind
        for one in undertakings
        if one.creditor in (BANK, agreement.partner_id)  # not what was given to a partner that declined
        and (
            one.state is UndertakingState.PERFECTED
            or (one.state is UndertakingState.SIGNED and one.kind not in REGISTERED)
        )
    }
    return tuple(kind for kind in agreement.liability.undertakings if kind not in standing)
