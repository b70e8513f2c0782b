"""The whole catalogue in one import: every publisher's module is loaded, so every wire name is known."""

from __future__ import annotations

from libs.events import (
    application,
    application_upkeep,
    clock,
    collateral,
    guarantee,
    guarantee_losses,
    guarantee_upkeep,
    incentive,
    rating,
)
from libs.events.envelope import CATALOGUE, Kind

TOPICS = ("application", "rating", "collateral", "guarantee", "incentive", "clock")
MODULES = (
    application,
    application_upkeep,
    rating,
    collateral,
    guarantee,
    guarantee_losses,
    guarantee_upkeep,
    incentive,
    clock,
)


def kinds() -> tuple[Kind, ...]:
    """Every event type, by topic and in the order of its module."""
    return tuple(sorted(CATALOGUE.values(), key=lambda kind: TOPICS.index(kind.topic)))
