"""What each pool of capacity has to count: the auditor's own reckoning from the covers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

CENT = Decimal("0.01")


def held_in_pools(covers: Iterable[Mapping[str, Any]]) -> dict[str, list[Decimal]]:
    """What covers hold of each pool: reserved, bound, active."""
    held: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for cover in covers:
        lines = json.loads(cover["lines"]) if isinstance(cover["lines"], str) else cover["lines"]
        for line in lines:
            counts = _in_pool(cover, line)
            held[line["pool"]] = [before + now for before, now in zip(held[line["pool"]], counts, strict=True)]
    return held


def _in_pool(cover: Mapping[str, Any], line: Mapping[str, Any]) -> list[Decimal]:
    """What a cover counts in one of its pools: reserved, bound, active."""
    held, active, used = (Decimal(cover[name]) for name in ("held", "active", "used"))
    bound = held if cover["state"] in ("bound", "active") else Decimal(0)
    if line["kind"] == "year":  # what was drawn stays new business when it is repaid
        return [held - active + used, bound - active + used, used]
    light, most = line.get("light"), line.get("light_max")
    counts = []
    for amount in (held, bound, active):
        is_light = light is not None and most is not None and amount <= Decimal(most["amount"])
        counts.append((amount * Decimal(light)).quantize(CENT, ROUND_HALF_UP) if is_light else amount)
    return counts
