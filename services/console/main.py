"""The console's wiring."""

from __future__ import annotations

from libs.runtime.service import Service
from services.console import store
from services.console.api import ROUTERS
from services.console.reactions import REACTIONS, READS

service = Service(
    name="console",
    metadata=store.metadata,
    reads=READS,
    reactions=REACTIONS,
    timers={},
    partners={},
    routers=ROUTERS,
)
app = service.app
