"""Wires rating: it reads application and is asked over HTTP."""

from libs.runtime.service import Service
from services.rating import store
from services.rating.api import router
from services.rating.reactions import REACTIONS
from services.rating.timers import TIMERS

service = Service(
    name="rating",
    metadata=store.metadata,
    reads=("application",),
    reactions=REACTIONS,
    timers=TIMERS,
    partners={},
    routers=(router,),
)
app = service.app
