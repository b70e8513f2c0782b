"""Runs the migrations of incentive in its own schema, as its own role."""

from libs.runtime.migrate import run
from services.incentive.store import metadata

run(metadata, "incentive")
