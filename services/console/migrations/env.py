"""Runs the migrations of console in its own schema, as its own role."""

from libs.runtime.migrate import run
from services.console.store import metadata

run(metadata, "console")
