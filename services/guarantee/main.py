"""The guarantee service, wired."""

from __future__ import annotations

from libs.runtime.service import Service
from services.guarantee import store
from services.guarantee.api import ROUTERS
from services.guarantee.api.drops import Drops
from services.guarantee.api.links import LINKS
from services.guarantee.commands.ledger import enter_event
from services.guarantee.deliveries import Deliverer
from services.guarantee.partners import PARTNERS
from services.guarantee.reactions import REACTIONS
from services.guarantee.timers import TIMERS

service: Service = Service(
    name="guarantee",
    metadata=store.metadata,
    reads=("application", "collateral", "rating"),
    reactions=REACTIONS,
    timers=TIMERS,
    partners=PARTNERS,
    routers=ROUTERS,
    needs=("keyring_path",),
    callers=(Deliverer, lambda parts: Drops(parts, service.app)),
    links=LINKS,
    journal=store.JOURNAL_SQL,
    booking=enter_event,
    purges=store.PURGES,
)
app = service.app
