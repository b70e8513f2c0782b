"""The story of a facility as a reader gets it: in order, each event with its title and sentence in both languages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from libs.kernel.errors import NotFound
from services.console.domain.facility import Facility
from services.console.domain.story import Told, in_order
from services.console.domain.words import Lang, Words
from services.console.views.lexicon import LEXICON


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSeen:
    """One event of the story: where it stands, who did it under which policy, its texts and its body."""

    event_id: str
    business_date: date
    topic: str
    sequence: int
    type: str
    title: Words
    text: Words
    actor: str
    org: str
    policy: str
    cause: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorySeen:
    """A facility's line and everything that was told about it, in order."""

    facility: Facility
    events: tuple[EventSeen, ...]


def story(facility_id: str, line: Facility | None, told: Iterable[Told]) -> StorySeen:
    """The whole story; raises NotFound for a facility nobody spoke of."""
    if line is None:
        raise NotFound("not_found", f"nothing was told about {facility_id}")
    return StorySeen(facility=line, events=tuple(_seen(event) for event in in_order(told)))


def _seen(event: Told) -> EventSeen:
    return EventSeen(
        event_id=event.event_id,
        business_date=event.business_date,
        topic=event.topic,
        sequence=event.sequence,
        type=event.type,
        title=Words(*(LEXICON.title(event.name, lang) for lang in Lang)),
        text=Words(*(LEXICON.sentence(event.name, event.body, lang) for lang in Lang)),
        actor=event.actor,
        org=event.org,
        policy=event.policy,
        cause=event.cause,
        body=event.body,
    )
