"""The tables of lending: parties, consents, staff, facilities, investigations, loans, each a shelf of frozen rows."""

from __future__ import annotations

import json
from datetime import date

from sqlalchemy import Column, DateTime, func

from libs.kernel.errors import NotFound
from libs.runtime.dump import CHANCE
from libs.runtime.keyring import DataKey, Keyring
from libs.runtime.shelf import Shelf
from libs.runtime.tables import service_metadata
from libs.runtime.tx import Tx
from services.application.domain.extension import Extension
from services.application.domain.facility import Facility
from services.application.domain.identity import Consent, Disclosure, Party, PartyKey, Person, erased
from services.application.domain.investigation import Investigation
from services.application.domain.loan import Loan
from services.application.domain.people import Staff

metadata = service_metadata()
PARTIES = Shelf(metadata, "parties", Party, id="borrower_id", group="borrower_id")
PARTY_KEYS = Shelf(metadata, "party_keys", PartyKey, id="borrower_id", group="borrower_id")
CONSENTS = Shelf(metadata, "consents", Consent, id="consent_id")
DISCLOSURES = Shelf(metadata, "disclosures", Disclosure, id="disclosure_id")
DISCLOSURES.table.append_column(Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()))
for _column in (PARTIES.table.c.sealed, PARTY_KEYS.table.c.wrapped, DISCLOSURES.table.c.at):
    _column.info[CHANCE] = True
STAFF = Shelf(metadata, "staff", Staff, id="staff_id", group="staff_id")
FACILITIES = Shelf(metadata, "facilities", Facility, id="facility_id")
INVESTIGATIONS = Shelf(metadata, "investigations", Investigation, id="facility_id")
LOANS = Shelf(metadata, "loans", Loan, id="loan_id")
EXTENSIONS = Shelf(metadata, "extensions", Extension, id="extension_id")


async def ordered_on(tx: Tx, kind: str, reference: str) -> date:
    """The business date on which an outbound call was written; raises NotFound for one that never was."""
    rows = await tx.sql("SELECT business_date FROM calls WHERE kind = $1 AND reference = $2", kind, reference)
    if not rows:
        raise NotFound("not_found", f"no call {kind} {reference}")
    found: date = rows[0]["business_date"]
    return found


async def person_of(tx: Tx, keyring: Keyring, party: Party) -> Person:
    """The party's data in clear; raises Refused `party_erased`."""
    key = await tx.find(PARTY_KEYS, party.borrower_id)
    if key is None:
        raise erased(party)
    clear = keyring.open(party.borrower_id, party.sealed, DataKey(wrapped=key.wrapped, master=key.master))
    return Person(**json.loads(clear))
