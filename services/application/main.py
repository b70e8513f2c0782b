"""The application service: lending's doors wired to the runtime."""

from __future__ import annotations

from libs.runtime.calls import Outbound
from libs.runtime.service import Service
from services.application import identity, partners, store
from services.application.api import extensions, router
from services.application.commands.drawing import PAY_OUT, take_disbursement_answer
from services.application.reactions import REACTIONS
from services.application.timers import TIMERS

service = Service(
    name="application",
    metadata=store.metadata,
    reads=("rating", "collateral", "guarantee", "incentive"),
    reactions=REACTIONS,
    timers=TIMERS,
    partners={
        PAY_OUT: Outbound(
            target="core_bank", send=partners.disburse, inquire=partners.inquire, answered=take_disbursement_answer
        )
    },
    routers=(router, extensions.router, identity.router),
    needs=("keyring_path",),
)
app = service.app
