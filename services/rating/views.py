"""What a reader sees of a dossier: the facts' state, the checks and the rating with everything it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from libs.events.rating import Check, Reason
from libs.kernel.errors import NotFound
from libs.runtime.tx import Tx
from services.rating.domain.dossier import Dossier
from services.rating.store import DOSSIERS


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSeen:
    """A source that is in, and from when."""

    source: str
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class InformationSeen:
    """Whether the information is true: `verified` or `disputed`, every check, under which policies."""

    result: str
    checks: tuple[Check, ...]
    size_class: str
    policy: str
    size_policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingSeen:
    """How good the borrower is: the grade, what capped it, why, and from which inputs."""

    grade: str
    score: int
    pd: Decimal
    capped_by: str
    reasons: tuple[Reason, ...]
    inputs: dict[str, str]
    ratios: dict[str, str]
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilitySeen:
    """One facility as rating knows it; `information` and `rating` are null until it is rated."""

    facility_id: str
    state: str
    submitted: bool
    investigated: bool
    sources: tuple[RecordSeen, ...]
    sources_due: date | None
    rated_on: date | None
    information: InformationSeen | None
    rating: RatingSeen | None


async def facility(tx: Tx, facility_id: str) -> FacilitySeen:
    """The dossier of one facility; raises NotFound."""
    dossier = await tx.find(DOSSIERS, facility_id)
    if dossier is None:
        raise NotFound("facility_not_found", f"rating knows no facility {facility_id}")
    return FacilitySeen(
        facility_id=facility_id,
        state=dossier.state,
        submitted=dossier.request is not None,
        investigated=dossier.found is not None,
        sources=tuple(RecordSeen(source=record.source, as_of=record.as_of) for record in dossier.records),
        sources_due=dossier.sources_due,
        rated_on=dossier.rated_on,
        information=_information(dossier),
        rating=_rating(dossier),
    )


def _information(dossier: Dossier) -> InformationSeen | None:
    if dossier.rated_on is None:
        return None
    return InformationSeen(
        result=dossier.state,
        checks=dossier.checks,
        size_class=dossier.size_class,
        policy=dossier.information_policy,
        size_policy=dossier.size_policy,
    )


def _rating(dossier: Dossier) -> RatingSeen | None:
    if dossier.score is None or dossier.pd is None:
        return None
    return RatingSeen(
        grade=dossier.grade,
        score=dossier.score,
        pd=dossier.pd,
        capped_by=dossier.capped_by,
        reasons=dossier.reasons,
        inputs=dossier.inputs,
        ratios=dossier.ratios,
        policy=dossier.scorecard_policy,
    )
