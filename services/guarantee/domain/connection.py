"""How a partner is reached: adapter, address, credential, dated; the version in force on the day of a call counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from libs.kernel.errors import Refused


class Adapter(StrEnum):
    """The interface that a partner offers: our own standard, or one of its own."""

    STANDARD = "standard"
    SURETY = "surety"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One version of the way to a partner; `header` carries its credential, which is sealed.

    `purpose` names what the partner must know the borrower for (empty: it is told no identity): then a request for
    cover goes out with the fields of that purpose, if a consent of the borrower covers it on the day, and otherwise not
    at all. `claim_purpose` is the same for a claim, which goes out without identity where no consent covers it: nothing
    that is owed is lost by a consent taken back.
    """

    ref: str
    partner_id: str
    effective: date
    adapter: Adapter
    base_url: str
    header: str
    purpose: str
    claim_purpose: str
    admitted_by: str
    sealed: str
    wrapped: str
    master: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A consent of a borrower that names partners, as application told of it; nothing of the person is in it."""

    consent_id: str
    facility_id: str
    purposes: tuple[str, ...]
    partners: tuple[str, ...]
    valid_until: date
    revoked: bool


def connection_on(versions: Sequence[Connection], on: date) -> Connection | None:
    """The latest version effective on or before `on`."""
    past = [version for version in versions if version.effective <= on]
    return max(past, key=lambda version: version.effective, default=None)


def follow(versions: Sequence[Connection], new: Connection) -> None:
    """Raises Refused for a version that is there already: it may have been used."""
    if any(version.ref == new.ref for version in versions):
        raise Refused("connection_exists", f"{new.ref}: another way needs another first day")


def consent_for(consents: Sequence[Consent], *, purpose: str, partner: str, on: date) -> Consent | None:
    """The consent under which this partner may be told for this purpose; whether it still may, the door decides."""
    fitting = [
        consent
        for consent in consents
        if purpose in consent.purposes and partner in consent.partners and not consent.revoked
        if on <= consent.valid_until
    ]
    return max(fitting, key=lambda consent: consent.valid_until, default=None)
