"""The doors for people (pages) and for programs (JSON): both only read, but for a redrive that a person asks for."""

from fastapi import APIRouter

from services.console.api import pages, v1

router = APIRouter()
router.include_router(v1.router)
router.include_router(pages.router)

__all__ = ["router"]
