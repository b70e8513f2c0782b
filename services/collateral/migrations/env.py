"""Runs the migrations of collateral in its own schema, as its own role."""

from libs.runtime.migrate import run
from services.collateral.store import metadata

run(metadata, "collateral")
