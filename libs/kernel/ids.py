"""Names for identifiers: text that is born once where the thing is born, and never changed."""

from __future__ import annotations

from typing import NewType

FacilityId = NewType("FacilityId", str)
LoanId = NewType("LoanId", str)
StaffId = NewType("StaffId", str)
PartnerId = NewType("PartnerId", str)
EventId = NewType("EventId", str)
