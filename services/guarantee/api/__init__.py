"""Guarantee's door for people and systems: bodies are checked here, decided in the commands."""

from services.guarantee.api import (
    agreements,
    changes,
    connections,
    defence,
    facilities,
    packs,
    partners,
    portfolio,
    recovery,
    runway,
    statements,
    undertakings,
    webhooks,
)

ROUTERS = (
    agreements.router,
    facilities.router,
    partners.router,
    undertakings.router,
    changes.router,
    packs.router,
    portfolio.router,
    statements.router,
    recovery.router,
    defence.router,
    runway.router,
    webhooks.router,
    connections.router,
)
