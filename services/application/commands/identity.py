"""Personal data comes in sealed, goes out through one door that asks for a consent, and ends with its party's key."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import date

from libs.events.application import ConsentGranted, ConsentRevoked
from libs.kernel.errors import NotFound, Rejection
from libs.runtime.keyring import DataKey, Keyring
from libs.runtime.tx import Tx
from services.application.domain.facility import Facility
from services.application.domain.identity import (
    Asked,
    Consent,
    Detail,
    Disclosure,
    IdentityTerms,
    Party,
    PartyKey,
    Person,
    check_erasable,
    check_purposes,
    consent_end,
    erased,
    revoked,
    why_withheld,
)
from services.application.store import CONSENTS, DISCLOSURES, FACILITIES, PARTIES, PARTY_KEYS, person_of


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Disclosed:
    """What is told, once: the fields that the purpose needs, in clear."""

    disclosure_id: str
    borrower_id: str
    purpose: str
    partner: str
    fields: dict[Detail, str]
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """The party's data key is destroyed; the consents that were still open are withdrawn."""

    borrower_id: str
    erased_on: date
    consents_revoked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrapped:
    """Data keys now under the newest master key, and how many are still under older ones."""

    master: str
    rewrapped: int
    left: int


def keep_party(tx: Tx, keyring: Keyring, person: Person) -> str:
    """A new party whose data is sealed under a key of its own; returns the borrower's id."""
    borrower_id = tx.new_id("borrower")
    sealed, key = keyring.seal(borrower_id, json.dumps(asdict(person)).encode())
    tx.put(PARTIES, Party(borrower_id=borrower_id, sealed=sealed))
    tx.put(PARTY_KEYS, PartyKey(borrower_id=borrower_id, wrapped=key.wrapped, master=key.master))
    return borrower_id


def grant_at_referral(tx: Tx, facility: Facility) -> Consent:
    """The consent that comes with a referral: our own purposes, no partner; those need a consent of their own."""
    terms = tx.policy(IdentityTerms, "application/identity")
    return _grant(tx, facility, terms.terms.referral_purposes, (), consent_end(None, tx.date, terms.terms))


async def grant_consent(
    tx: Tx, facility_id: str, purposes: tuple[str, ...], partners: tuple[str, ...], until: date | None
) -> Consent:
    """Record what the borrower agreed to: a separate consent that names the partners it is for (art. 23)."""
    facility = await tx.get(FACILITIES, facility_id)
    party = await tx.get(PARTIES, facility.borrower_id)
    if party.erased_on is not None:
        raise erased(party)
    terms = tx.policy(IdentityTerms, "application/identity").terms
    check_purposes(purposes, terms)
    return _grant(tx, facility, purposes, partners, consent_end(until, tx.date, terms))


def _grant(tx: Tx, facility: Facility, purposes: tuple[str, ...], partners: tuple[str, ...], until: date) -> Consent:
    consent = Consent(
        consent_id=tx.new_id("consent"),
        facility_id=facility.facility_id,
        borrower_id=facility.borrower_id,
        purposes=purposes,
        partners=partners,
        granted_on=tx.date,
        valid_until=until,
    )
    tx.put(CONSENTS, consent)
    tx.publish(
        ConsentGranted(
            facility_id=consent.facility_id,
            borrower_id=consent.borrower_id,
            consent_id=consent.consent_id,
            purposes=purposes,
            partners=partners,
            valid_until=until,
        )
    )
    return consent


async def revoke_consent(tx: Tx, facility_id: str, consent_id: str) -> Consent:
    """The borrower withdraws: from this commit on nothing is disclosed under it (art. 15)."""
    consent = await tx.get(CONSENTS, consent_id)
    if consent.facility_id != facility_id:
        raise NotFound("not_found", f"no Consent {consent_id}")
    return _revoke(tx, consent)


def _revoke(tx: Tx, consent: Consent) -> Consent:
    withdrawn = revoked(consent, tx.date)
    tx.put(CONSENTS, withdrawn)
    tx.publish(
        ConsentRevoked(facility_id=consent.facility_id, borrower_id=consent.borrower_id, consent_id=consent.consent_id)
    )
    return withdrawn


async def disclose_identity(tx: Tx, keyring: Keyring, asked: Asked) -> Disclosed | Rejection:
    """Tell who the borrower is, or return why not; both are recorded with who asked, for whom and what for."""
    party = await _borrower(tx, asked.facility_id)
    consent = await tx.find(CONSENTS, asked.consent_id)
    terms = tx.policy(IdentityTerms, "application/identity")
    withheld = why_withheld(asked, party, consent, terms.terms, tx.date)
    line = Disclosure(
        disclosure_id=tx.new_id("disclosure"),
        facility_id=asked.facility_id,
        borrower_id=party.borrower_id if party else "",
        consent_id=asked.consent_id,
        purpose=asked.purpose,
        partner=asked.partner,
        fields=terms.terms.fields[asked.purpose] if withheld is None else (),
        refused=withheld.code if withheld else "",
        asked_by=tx.actor,
        asked_org=tx.org,
        asked_on=tx.date,
        policy=terms.ref,
    )
    tx.put(DISCLOSURES, line)
    if party is None or withheld is not None:
        return withheld or NotFound("not_found", "no such facility")
    person = await person_of(tx, keyring, party)
    return Disclosed(
        disclosure_id=line.disclosure_id,
        borrower_id=party.borrower_id,
        purpose=asked.purpose,
        partner=asked.partner,
        fields={detail: getattr(person, detail) for detail in line.fields},
        policy=terms.ref,
    )


async def _borrower(tx: Tx, facility_id: str) -> Party | None:
    facility = await tx.find(FACILITIES, facility_id)
    if facility is None:
        return None
    party = await tx.get(PARTIES, facility.borrower_id)
    return party  # noqa: RET504 - a name of its own keeps the type from widening


async def erase_party(tx: Tx, facility_id: str) -> Erased:
    """Destroy the borrower's data key: what is sealed under it is noise from now on; events and books stay."""
    facility = await tx.get(FACILITIES, facility_id)
    party = await tx.get(PARTIES, facility.borrower_id)
    if party.erased_on is not None:
        raise erased(party)
    check_erasable(facility, tx.date, tx.policy(IdentityTerms, "application/identity").terms)
    live = [consent for consent in await tx.of(CONSENTS, facility_id) if consent.revoked_on is None]
    for consent in live:
        _revoke(tx, consent)
    await tx.sql("DELETE FROM party_keys WHERE borrower_id = $1", party.borrower_id)
    tx.put(PARTIES, replace(party, sealed="", erased_on=tx.date))
    return Erased(borrower_id=party.borrower_id, erased_on=tx.date, consents_revoked=len(live))


async def rewrap_keys(tx: Tx, keyring: Keyring, count_max: int) -> Rewrapped:
    """Wrap up to `count_max` data keys anew with the newest master key; when none is left an older one can go."""
    rows = await tx.sql(
        "SELECT borrower_id, wrapped, master FROM party_keys WHERE master <> $1"
        " ORDER BY borrower_id LIMIT $2 FOR UPDATE",
        keyring.newest,
        count_max,
    )
    for row in rows:
        key = keyring.rewrap(row["borrower_id"], DataKey(wrapped=row["wrapped"], master=row["master"]))
        tx.put(PARTY_KEYS, PartyKey(borrower_id=row["borrower_id"], wrapped=key.wrapped, master=key.master))
    older = await tx.sql("SELECT count(*) AS count FROM party_keys WHERE master <> $1", keyring.newest)
    return Rewrapped(master=keyring.newest, rewrapped=len(rows), left=older[0]["count"] - len(rows))
