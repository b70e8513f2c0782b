"""Runs the migrations of guarantee in its own schema, as its own role."""

from libs.runtime.migrate import run
from services.guarantee.store import metadata

run(metadata, "guarantee")
