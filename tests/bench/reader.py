"""A service that does the least a reaction can: for each referral one row of its own and one event, each once.

With SEEN set to a path it writes there, after each commit, which facility took effect when; with SILENT set it tells
nothing back.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from libs.events.application import ReferralReceived
from libs.events.envelope import Meta
from libs.events.rating import InformationVerified
from libs.runtime.service import Service
from libs.runtime.shelf import Shelf
from libs.runtime.tables import service_metadata
from libs.runtime.tx import Tx


@dataclass(frozen=True, slots=True)
class Record:
    """The effect of one event."""

    event_id: str
    facility_id: str
    external_ref: str


METADATA = service_metadata()
RECORDS = Shelf(METADATA, "records", Record, id="event_id")
CREATE_SQL = """
CREATE TABLE rating.records (event_id text PRIMARY KEY, facility_id text NOT NULL, external_ref text NOT NULL);
CREATE INDEX ON rating.records (facility_id);
ALTER TABLE rating.records OWNER TO silverbear_rating
"""


class Notebook:
    """Which facility's effect was committed when, on the clock that all processes of a machine share."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def note(self, facility_id: str) -> None:
        """Now."""
        self._file.write(f"{facility_id} {time.monotonic()}\n")


SILENT = bool(os.environ.get("SILENT"))
NOTEBOOK = Notebook(Path(os.environ["SEEN"])) if os.environ.get("SEEN") else None


async def record(tx: Tx, event: ReferralReceived, meta: Meta) -> None:
    """The effect and what it tells."""
    tx.put(RECORDS, Record(meta.id, event.facility_id, event.external_ref))
    if not SILENT:
        tx.publish(InformationVerified(facility_id=event.facility_id, checks=(), size_class="small"))
    if NOTEBOOK is not None:
        tx.unit.committed.append(partial(NOTEBOOK.note, event.facility_id))


service = Service(
    name="rating",
    metadata=METADATA,
    reads=("application",),
    reactions={ReferralReceived: record},
    timers={},
    partners={},
    routers=(),
)
app = service.app
