"""Reads the dated policy files (TOML) of a profile; a missing or early policy is an error, never a default."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from libs.kernel.calendar import Calendar
from libs.kernel.errors import Refused
from libs.kernel.policy import Dated, Version, in_force

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


def read_version(path: Path, name: str) -> Version:
    """One policy file: `reason`, `approved_by`, `level`, `source` and a `[terms]` table; its name is its date."""
    content = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    return Version(
        name=name,
        effective=date.fromisoformat(path.stem),
        reason=content["reason"],
        approved_by=content["approved_by"],
        level=content["level"],
        source=content["source"],
        terms=content["terms"],
    )


def read_versions(name: str) -> tuple[Version, ...]:
    """Every version of `service/policy`, oldest first."""
    service, policy = name.split("/")
    folder = ROOT / "services" / service / "policies" / policy
    return tuple(read_version(path, name) for path in sorted(folder.glob("*.toml")))


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of policies with its currency and calendar: `cn-branch` or `us-sba`."""

    name: str
    currency: str
    calendar: Calendar
    policies: dict[str, str]


def read_profile(name: str) -> Profile:
    """The profile file `profiles/<name>.toml`; every policy it uses is named there."""
    content = tomllib.loads((ROOT / "profiles" / f"{name}.toml").read_text(encoding="utf-8"))
    days = content["calendar"]
    calendar = Calendar(
        name=days["name"],
        first=days["first"],
        last=days["last"],
        holidays=frozenset(days.get("holidays", ())),
        makeup_days=frozenset(days.get("makeup_days", ())),
    )
    return Profile(name, content["currency"], calendar, content["policies"])


class PolicyBook:
    """The policies of one profile, typed and cached: `get(Scorecard, "rating/scorecard", on)`."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._versions: dict[str, tuple[Version, ...]] = {}
        self._typed: dict[tuple[str, type], Dated[Any]] = {}

    def get(self, terms: type[T], name: str, on: date) -> Dated[T]:
        """The version in force on `on`; Refused `no_policy_in_force` before the first one."""
        actual = self.profile.policies[name]
        if actual not in self._versions:
            self._versions[actual] = read_versions(actual)
        version = in_force(self._versions[actual], on)
        if version is None:
            raise Refused("no_policy_in_force", f"{actual} has no version in force on {on}")
        cached = self._typed.get((version.ref, terms))
        if cached is None:
            cached = Dated(version.ref, TypeAdapter(terms).validate_python(version.terms))
            self._typed[version.ref, terms] = cached
        return cached
