"""Runs the migrations of the clock's schema, as its own role."""

from libs.runtime.migrate import run
from libs.runtime.scheduler import metadata

run(metadata, "clock")
