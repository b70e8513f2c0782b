"""Who the borrower is: personal data, how it is masked, what a consent opens, and when a party may be erased.

Rules of the Personal Information Protection Law of the PRC (个人信息保护法, in force 2021-11-01), from memory but for
art. 23: art. 13 (a legal ground for each processing), 15 (a consent can be withdrawn; what was done before stays
lawful), 23 (another handler gets data only by a separate consent that names it and the purpose, and stays within
them), 29 (sensitive data needs a separate consent), 47 (deletion; while a law wants data kept, it is only stored), 51
(encryption), 55 and 56 (providing data to others is recorded).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from libs.kernel.calendar import add_months
from libs.kernel.errors import Invalid, NotAllowed, NotFound, Refused, Rejection
from services.application.domain.facility import Facility, Status

HIDDEN_MIN = 4
NEVER_LENT = (Status.REFERRED, Status.REFUSED)


class Detail(StrEnum):
    """What there is to know of a person."""

    NAME = "name"
    ID_NUMBER = "id_number"
    PHONE = "phone"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Person:
    """Personal data in clear; what is printed of it, by whatever mistake, is the masked form."""

    name: str
    id_number: str
    phone: str

    def __repr__(self) -> str:
        return f"Person({', '.join(masked(self).values())})"


def masked(person: Person) -> dict[str, str]:
    """What lists, views and logs may show of a person, 张*, 3101***********123, 138****0000, by field."""
    return {
        "name": f"{person.name[:1]}*",
        "id_number": _masked(person.id_number, head=4, tail=3),
        "phone": _masked(person.phone, head=3, tail=4),
    }


def _masked(text: str, *, head: int, tail: int) -> str:
    hidden = len(text) - head - tail
    if hidden < HIDDEN_MIN:
        return "*" * len(text)
    return text[:head] + "*" * hidden + text[-tail:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A borrower: `sealed` is a Person under this party's own data key, empty once that key was destroyed."""

    borrower_id: str
    sealed: str
    erased_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyKey:
    """A party's data key, wrapped by the master key `master`; the row is gone when the party is erased."""

    borrower_id: str
    wrapped: str
    master: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What the borrower agreed to: purposes, the partners named (none: our own use alone), through `valid_until`."""

    consent_id: str
    facility_id: str
    borrower_id: str
    purposes: tuple[str, ...]
    partners: tuple[str, ...]
    granted_on: date
    valid_until: date
    revoked_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Somebody wants to know who the borrower of a facility is, for a purpose, on behalf of a partner."""

    facility_id: str
    consent_id: str
    purpose: str
    partner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """One line of the record: who asked what for whom, and the fields told; `refused` is the code if nothing was."""

    disclosure_id: str
    facility_id: str
    borrower_id: str
    consent_id: str
    purpose: str
    partner: str
    fields: tuple[Detail, ...]
    refused: str
    asked_by: str
    asked_org: str
    asked_on: date
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityTerms:
    """Purposes with the fields each needs, those a referral's consent covers, and how long (months) data is kept.

    `consent_months_max` bounds a consent from the day it is given; `retention_months` run from the end of the
    business relationship.
    """

    fields: Mapping[str, tuple[Detail, ...]]
    referral_purposes: tuple[str, ...]
    consent_months_max: int
    retention_months: int


def consent_end(wanted: date | None, on: date, terms: IdentityTerms) -> date:
    """The last day of a consent given `on`: the day wanted, else the latest; raises Invalid outside."""
    latest = add_months(on, terms.consent_months_max)
    if wanted is not None and not on <= wanted <= latest:
        raise Invalid("consent_days_invalid", f"a consent given on {on} ends between that day and {latest}")
    return wanted or latest


def check_purposes(purposes: tuple[str, ...], terms: IdentityTerms) -> None:
    """Raises Invalid `purpose_unknown` for a purpose that no data is needed for."""
    unknown = sorted(set(purposes) - terms.fields.keys())
    if unknown:
        raise Invalid("purpose_unknown", f"known purposes: {', '.join(sorted(terms.fields))}")


def revoked(consent: Consent, on: date) -> Consent:
    """The consent withdrawn; raises Refused when it was before."""
    if consent.revoked_on is not None:
        raise Refused("consent_revoked", f"withdrawn on {consent.revoked_on}")
    return replace(consent, revoked_on=on)


def erased(party: Party) -> Refused:
    """Why nothing can be done for a party whose key was destroyed."""
    return Refused("party_erased", f"nobody can read this party's data since {party.erased_on}")


def why_withheld(
    asked: Asked, party: Party | None, consent: Consent | None, terms: IdentityTerms, on: date
) -> Rejection | None:
    """Why nobody is told who the borrower is, or None: the consent is live and names this purpose and this partner."""
    if party is None:
        return NotFound("not_found", "no such facility")
    if party.erased_on is not None:
        return erased(party)
    if asked.purpose not in terms.fields:
        return Invalid("purpose_unknown", f"known purposes: {', '.join(sorted(terms.fields))}")
    return _why_not_covered(asked, consent, on)


def _why_not_covered(asked: Asked, consent: Consent | None, on: date) -> Rejection | None:
    if consent is None or consent.facility_id != asked.facility_id:
        return NotFound("not_found", "no such consent for this facility")
    if consent.revoked_on is not None:
        return Refused("consent_revoked", f"withdrawn on {consent.revoked_on}")
    if on > consent.valid_until:
        return Refused("consent_expired", f"it was given until {consent.valid_until}")
    if asked.purpose not in consent.purposes:
        return NotAllowed("purpose_not_consented", "the consent is for another purpose")
    if asked.partner not in consent.partners:
        return NotAllowed("partner_not_consented", "the consent does not name this partner")
    return None


def check_erasable(facility: Facility, on: date, terms: IdentityTerms) -> None:
    """Nothing is erased that the bank still works with or that a law wants kept (art. 47).

    A relationship ends with its loan, or with the last day of a limit under which nothing is drawn.

    Raises Refused `party_in_use` or `retention_runs`, the latter up to and including the last day.
    """
    if facility.status in NEVER_LENT:
        return
    ended = facility.closed_on or (None if facility.loan_id else facility.valid_until)
    if ended is None or on < ended:
        raise Refused("party_in_use", "the business relationship has not ended")
    kept_until = add_months(ended, terms.retention_months)
    if on <= kept_until:
        raise Refused("retention_runs", f"kept until {kept_until}", until=kept_until.isoformat())
