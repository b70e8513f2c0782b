"""Wires incentive: it lives from application's events and from time alone, and answers questions over HTTP."""

from __future__ import annotations

from libs.runtime.service import Service
from services.incentive import store
from services.incentive.api import router
from services.incentive.reactions import REACTIONS
from services.incentive.timers import TIMERS

service = Service(
    name="incentive",
    metadata=store.metadata,
    reads=("application",),
    reactions=REACTIONS,
    timers=TIMERS,
    partners={},
    routers=(router,),
)
app = service.app
