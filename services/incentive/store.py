"""Incentive's tables: one file per loan, and the pay ledger, which is only ever added to."""

from __future__ import annotations

from libs.runtime.shelf import Shelf
from libs.runtime.tables import service_metadata
from services.incentive.domain.ledger import Entry
from services.incentive.domain.loan_file import LoanFile

metadata = service_metadata()
FILES = Shelf(metadata, "loan_files", LoanFile, id="loan_id")
LEDGER = Shelf(metadata, "ledger", Entry, id="entry_id", group="staff")  # grouped by staff: the index of a pay account
