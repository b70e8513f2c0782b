"""The tables of lending: people, facilities, sealed investigations and loans, each a shelf of frozen rows."""

from __future__ import annotations

from libs.runtime.shelf import Shelf
from libs.runtime.tables import service_metadata
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
