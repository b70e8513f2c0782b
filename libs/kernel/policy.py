"""Dated policy: every number a rule uses comes from one version that was in force on the day, with its source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dated(Generic[T]):
    """The terms of one policy version and the reference (`rating/scorecard@2025-07-01`) every decision stores."""

    ref: str
    terms: T


@dataclass(frozen=True, slots=True)
class Version:
    """One policy file: complete, in force from `effective` until the next version of the same name."""

    name: str
    effective: date
    reason: str
    approved_by: str
    level: str
    source: str
    terms: dict[str, object]

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.effective.isoformat()}"


def in_force(versions: tuple[Version, ...], on: date) -> Version | None:
    """The latest version effective on or before `on` (inclusive), or None before the first one."""
    past = [version for version in versions if version.effective <= on]
    return max(past, key=lambda version: version.effective, default=None)
