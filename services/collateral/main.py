"""Wires collateral: it reads application, is asked over HTTP, and wakes by business date."""

from libs.runtime.service import Service
from services.collateral import store
from services.collateral.api import router
from services.collateral.reactions import REACTIONS
from services.collateral.timers import TIMERS

service = Service(
    name="collateral",
    metadata=store.metadata,
    reads=("application",),
    reactions=REACTIONS,
    timers=TIMERS,
    partners={},
    routers=(router,),
)
app = service.app
