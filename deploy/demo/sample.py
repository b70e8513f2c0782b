"""Draws a stratified sample by outcome and approval year: the same seed picks the same loans in any row order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from deploy.demo.sba import Record, Rejected
from libs.kernel.errors import Invalid

Stratum = tuple[str, int]  # (outcome, approval year)
Key = TypeVar("Key", str, Stratum)


@dataclass(frozen=True, slots=True)
class Sample:
    """The chosen records in approval order, and what the whole file held: accepted rows and rejections by code."""

    records: tuple[Record, ...]
    accepted: int
    rejected: Mapping[str, int]


def stratum(record: Record) -> Stratum:
    return record.outcome, record.approved_on.year


def stratified(rows: Iterable[Record | Rejected], limit: int, seed: int) -> Sample:
    """At most `limit` records, each stratum by its share of the file; reads `rows` to the end, once.

    Raises Invalid for a limit below 1.
    """
    if limit < 1:
        raise Invalid("limit_not_positive", str(limit))
    strata: dict[Stratum, list[Record]] = defaultdict(list)
    rejected: Counter[str] = Counter()
    for row in rows:
        if isinstance(row, Rejected):
            rejected[row.code] += 1
        else:
            strata[stratum(row)].append(row)
    chosen = []
    for key, places in quotas({key: len(records) for key, records in strata.items()}, limit).items():
        candidates = sorted(strata[key], key=lambda record: record.ref)
        chosen += Random(f"{seed}:{key[0]}:{key[1]}").sample(candidates, places)
    chosen.sort(key=lambda record: (record.approved_on, record.ref))
    return Sample(tuple(chosen), sum(map(len, strata.values())), dict(sorted(rejected.items())))


def quotas(sizes: Mapping[Stratum, int], limit: int) -> dict[Stratum, int]:
    """`limit` places by size: the outcomes share them first, then the years inside each outcome.

    One step over all strata would favour the outcome whose years happen to have the larger remainders.
    """
    outcomes: Counter[str] = Counter()
    for (outcome, _), size in sizes.items():
        outcomes[outcome] += size
    places: dict[Stratum, int] = {}
    for outcome, share in largest_remainder(outcomes, limit).items():
        places |= largest_remainder({key: size for key, size in sizes.items() if key[0] == outcome}, share)
    return places


def largest_remainder(sizes: Mapping[Key, int], limit: int) -> dict[Key, int]:
    """`limit` places in proportion to `sizes`; ties go to the earlier key; never more than a size."""
    whole = sum(sizes.values())
    if whole <= limit:
        return dict(sizes)
    keys = sorted(sizes)
    places = {key: limit * sizes[key] // whole for key in keys}
    by_remainder = sorted(keys, key=lambda key: -(limit * sizes[key] % whole))  # stable: ties stay in key order
    for key in by_remainder[: limit - sum(places.values())]:
        places[key] += 1
    return places
