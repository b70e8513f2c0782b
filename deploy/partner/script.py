"""What a sandbox partner does instead of what it should: word by word from a script, else by seeded chance."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

SLOW_SECONDS = 6.0
"""Longer than the platform waits for one step of a call."""


class Word(StrEnum):
    """One thing to do: `good` is what it should."""

    GOOD = "good"
    SLOW = "slow"
    DOWN = "down"
    DENY = "deny"
    TWICE = "twice"
    LOSE = "lose"
    WAVER = "waver"
    GARBAGE = "garbage"
    LIE = "lie"


class Plan(BaseModel):
    """What to do next, in this order; when that is used up, each word as often as its share of 1 says."""

    model_config = ConfigDict(extra="forbid")

    next: Annotated[tuple[Word, ...], Field(max_length=10_000)] = ()
    shares: Annotated[dict[Word, Annotated[float, Field(ge=0, le=1)]], Field(max_length=len(Word))] = {}
    seed: int = 1


class Script:
    """The plan under way; the same plan gives the same words."""

    def __init__(self, plan: Plan) -> None:
        self.take(plan)

    def take(self, plan: Plan) -> None:
        """Begin another plan."""
        self._next, self._shares = deque(plan.next), dict(plan.shares)
        self._chance = random.Random(plan.seed)

    def word(self) -> Word:
        """What to do now."""
        if self._next:
            return self._next.popleft()
        return _drawn(self._shares, self._chance) if self._shares else Word.GOOD

    @property
    def left(self) -> Sequence[Word]:
        """What was not yet come to."""
        return tuple(self._next)


def _drawn(shares: Mapping[Word, float], chance: random.Random) -> Word:
    at = chance.random()
    for word, share in shares.items():
        at -= share
        if at < 0:
            return word
    return Word.GOOD
