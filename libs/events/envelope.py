"""What every event carries beside its body, and the one registry of wire names; a name and version never change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Kind:
    """One entry of the catalogue: publisher (= topic), wire name, version and the class of the body."""

    topic: str
    name: str
    version: int
    body: type

    @property
    def type(self) -> str:
        """The CloudEvents `type`: `loan.disbursed.v1`."""
        return f"{self.name}.v{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """The CloudEvents attributes and Silverbear extensions of one event, as they stand in the Kafka headers.

    `sequence` is gapless per (source, key) and starts at 1. `business_date` is the bank's open date when it happened.
    """

    id: str
    type: str
    source: str
    key: str
    sequence: int
    business_date: date
    time: str
    actor: str = ""
    org: str = ""
    policy: str = ""
    cause: str = ""
    traceparent: str = ""


CATALOGUE: dict[str, Kind] = {}
_BY_BODY: dict[type, Kind] = {}


def event(topic: str, name: str, version: int = 1) -> Callable[[type[B]], type[B]]:
    """Register a frozen dataclass as the body of `name` published on `topic`."""

    def register(body: type[B]) -> type[B]:
        kind = Kind(topic, name, version, body)
        if kind.type in CATALOGUE:
            raise ValueError(f"{kind.type} is registered twice")
        CATALOGUE[kind.type] = kind
        _BY_BODY[body] = kind
        return body

    return register


def kind_of(body: object) -> Kind:
    """The catalogue entry of a body; KeyError for a class that was never registered."""
    return _BY_BODY[body if isinstance(body, type) else type(body)]
