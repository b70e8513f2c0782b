"""Runs the migrations of application in its own schema, as its own role."""

from libs.runtime.migrate import run
from services.application.store import metadata

run(metadata, "application")
