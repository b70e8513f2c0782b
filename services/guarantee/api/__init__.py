"""Guarantee's door for people and systems: bodies are checked here, decided in the commands."""

from fastapi import APIRouter

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

router = APIRouter()
router.include_router(agreements.router)
router.include_router(facilities.router)
router.include_router(partners.router)
router.include_router(undertakings.router)
router.include_router(changes.router)
router.include_router(packs.router)
router.include_router(portfolio.router)
router.include_router(statements.router)
router.include_router(recovery.router)
router.include_router(defence.router)
router.include_router(runway.router)
router.include_router(webhooks.router)
router.include_router(connections.router)
