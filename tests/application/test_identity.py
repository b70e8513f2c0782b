"""The rules about personal data: the mask, what a consent opens, and when a party may be erased."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from libs.kernel.errors import Rejection
from services.application.domain.facility import Facility, Status
from services.application.domain.identity import (
    Asked,
    Consent,
    Detail,
    IdentityTerms,
    Party,
    Person,
    check_erasable,
    consent_end,
    masked,
    why_withheld,
)

TODAY = date(2026, 3, 2)
TERMS = IdentityTerms(
    fields={"claim": (Detail.NAME,), "collection": (Detail.PHONE,)},
    referral_purposes=("claim",),
    consent_months_max=12,
    retention_months=120,
)
PARTY = Party(borrower_id="b-1", sealed="…")
CONSENT = Consent(
    consent_id="c-1",
    facility_id="f-1",
    borrower_id="b-1",
    purposes=("claim",),
    partners=("insurer",),
    granted_on=date(2026, 1, 1),
    valid_until=TODAY,
)
ASKED = Asked(facility_id="f-1", consent_id="c-1", purpose="claim", partner="insurer")
FACILITY = Facility(
    facility_id="f-1",
    external_ref="x",
    borrower_id="b-1",
    channel="c",
    branch="b",
    status=Status.REFERRED,
    referred_on=date(2025, 9, 1),
)


@pytest.mark.parametrize(
    ("name", "id_number", "phone", "shown"),
    [
        ("张三丰", "310101199001010123", "13812340000", ("张*", "3101***********123", "138****0000")),
        ("A", "3101019001011", "1381234000", ("A*", "3101******011", "**********")),
        ("", "31010190011", "", ("*", "3101****011", "")),
        ("张", "3101019001", "8613812340000", ("张*", "**********", "861******0000")),
    ],
)
def test_a_mask_hides_at_least_four_characters_or_all(
    name: str, id_number: str, phone: str, shown: tuple[str, ...]
) -> None:
    person = Person(name=name, id_number=id_number, phone=phone)
    assert tuple(masked(person).values()) == shown
    assert repr(person) == str(person) == f"Person({', '.join(shown)})"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, ""),
        ({"party": None}, "not_found 404"),
        ({"party": replace(PARTY, sealed="", erased_on=TODAY)}, "party_erased 409"),
        ({"asked": replace(ASKED, purpose="curiosity")}, "purpose_unknown 422"),
        ({"consent": None}, "not_found 404"),
        ({"consent": replace(CONSENT, facility_id="f-2")}, "not_found 404"),
        ({"consent": replace(CONSENT, revoked_on=TODAY)}, "consent_revoked 409"),
        ({"on": date(2026, 3, 3)}, "consent_expired 409"),
        ({"asked": replace(ASKED, purpose="collection")}, "purpose_not_consented 403"),
        ({"asked": replace(ASKED, partner="another")}, "partner_not_consented 403"),
        ({"consent": replace(CONSENT, partners=())}, "partner_not_consented 403"),
    ],
)
def test_a_consent_opens_its_purposes_for_its_partners_while_it_lives(change: dict[str, object], told: str) -> None:
    asked: dict[str, object] = {"asked": ASKED, "party": PARTY, "consent": CONSENT, "terms": TERMS, "on": TODAY}
    withheld = why_withheld(**{**asked, **change})  # type: ignore[arg-type]  # a table of changes
    assert (f"{withheld.code} {withheld.status}" if withheld else "") == told


@pytest.mark.parametrize(
    ("wanted", "end"),
    [
        (None, date(2027, 3, 2)),
        (date(2027, 3, 2), date(2027, 3, 2)),
        (TODAY, TODAY),
        (date(2027, 3, 3), None),
        (date(2026, 3, 1), None),
    ],
)
def test_a_consent_ends_within_the_span_of_the_policy(wanted: date | None, end: date | None) -> None:
    if end is not None:
        assert consent_end(wanted, TODAY, TERMS) == end
        return
    with pytest.raises(Rejection, match="consent_days_invalid"):
        consent_end(wanted, TODAY, TERMS)


CLOSED = replace(FACILITY, status=Status.CLOSED, loan_id="l-1", closed_on=date(2016, 3, 1))
UNDRAWN = replace(FACILITY, status=Status.CONTRACTED, valid_until=date(2016, 3, 1))


@pytest.mark.parametrize(
    ("facility", "told"),
    [
        (FACILITY, ""),
        (replace(FACILITY, status=Status.REFUSED), ""),
        (replace(FACILITY, status=Status.SUBMITTED), "party_in_use"),
        (replace(FACILITY, status=Status.REVIEWED), "party_in_use"),
        (replace(UNDRAWN, loan_id="l-1"), "party_in_use"),
        (replace(UNDRAWN, valid_until=date(2026, 3, 3)), "party_in_use"),
        (replace(UNDRAWN, valid_until=TODAY), "retention_runs"),
        (replace(CLOSED, closed_on=TODAY), "retention_runs"),
        (replace(CLOSED, closed_on=date(2016, 3, 2)), "retention_runs"),
        (CLOSED, ""),
        (UNDRAWN, ""),
    ],
)
def test_a_party_is_erased_only_when_nobody_works_with_it_and_no_law_wants_it(facility: Facility, told: str) -> None:
    if not told:
        check_erasable(facility, TODAY, TERMS)
        return
    with pytest.raises(Rejection, match=told):
        check_erasable(facility, TODAY, TERMS)
