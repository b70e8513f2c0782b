"""The console's own projection: every event as it was told and one line per facility; nobody else touches it."""

from __future__ import annotations

from sqlalchemy import Index

from libs.runtime.shelf import Shelf
from libs.runtime.tables import service_metadata
from services.console.domain.facility import Facility
from services.console.domain.story import Told

metadata = service_metadata()

STORY = Shelf(metadata, "story", Told, id="event_id", group="key")
FACILITIES = Shelf(metadata, "facilities", Facility, id="facility_id")

Index(None, STORY.table.c.type)  # the counts read this index alone
Index(None, FACILITIES.table.c.stage, FACILITIES.table.c.facility_id)
Index(None, FACILITIES.table.c.external_ref)
