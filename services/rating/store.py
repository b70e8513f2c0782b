"""The tables of rating: one dossier per facility beside the framework's own."""

from __future__ import annotations

from libs.runtime.shelf import Shelf
from libs.runtime.tables import service_metadata
from services.rating.domain.dossier import Dossier

metadata = service_metadata()
DOSSIERS = Shelf(metadata, "dossiers", Dossier, id="facility_id")
