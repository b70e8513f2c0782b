"""The doors for people (pages) and for programs (JSON): both only read, but for a redrive that a person asks for."""

from services.console.api import pages, v1

ROUTERS = (v1.router, pages.router)
