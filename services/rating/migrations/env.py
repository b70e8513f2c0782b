"""Runs the migrations of rating in its own schema, as its own role."""

from libs.runtime.migrate import run
from services.rating.store import metadata

run(metadata, "rating")
