"""Guarantee's door for people and systems: bodies are checked here, decided in the commands."""

from fastapi import APIRouter

from services.guarantee.api import (
    agreements,
    changes,
    connections,
    facilities,
    packs,
    partners,
    portfolio,
    undertakings,
    webhooks,
)

router = APIRouter()
router.include_router(agreements.router)
router.include_router(facilities.router)
router.include_router(partners.router)
router.include_router(undertakings.router)
router.include_router(changes.router)
router.include_router(packs.router)
router.include_router(portfolio.router)
router.include_router(webhooks.router)
router.include_router(connections.router)
