"""The tables of lending: people, facilities, sealed investigations and loans, each a shelf of frozen rows."""

from __future__ import annotations

from datetime import date

from libs.kernel.errors import NotFound
from libs.runtime.shelf import Shelf
from libs.runtime.tables import service_metadata
from libs.runtime.tx import Tx
from services.application.domain.facility import Facility
from services.application.domain.investigation import Investigation
from services.application.domain.loan import Loan
from services.application.domain.people import Party, Staff

metadata = service_metadata()
PARTIES = Shelf(metadata, "parties", Party, id="borrower_id", group="borrower_id")
STAFF = Shelf(metadata, "staff", Staff, id="staff_id", group="staff_id")
FACILITIES = Shelf(metadata, "facilities", Facility, id="facility_id")
INVESTIGATIONS = Shelf(metadata, "investigations", Investigation, id="facility_id")
LOANS = Shelf(metadata, "loans", Loan, id="loan_id")


async def ordered_on(tx: Tx, kind: str, reference: str) -> date:
    """The business date on which an outbound call was written; raises NotFound for one that never was."""
    rows = await tx.sql("SELECT business_date FROM calls WHERE kind = $1 AND reference = $2", kind, reference)
    if not rows:
        raise NotFound("not_found", f"no call {kind} {reference}")
    found: date = rows[0]["business_date"]
    return found
