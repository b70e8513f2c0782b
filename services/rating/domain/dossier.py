"""What rating knows of one facility and what it concluded; it decides once, when every fact it needs is in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from libs.events.application import ApplicationSubmitted, Figures, InvestigationReconciled, Profile
from libs.events.rating import Check, InformationDisputed, InformationVerified, RatingAssigned, Reason
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from libs.kernel.policy import Dated
from services.rating.domain.authenticity import Evidence, InformationTerms, conclude, verify
from services.rating.domain.inputs import gather, ratios, shown
from services.rating.domain.scorecard import ScorecardTerms, rate
from services.rating.domain.size import Extent, SizeTerms, size_class
from services.rating.domain.sources import SourceRecord


class State(StrEnum):
    """Waiting for facts, or rated on information that was verified or disputed."""

    WAITING = "waiting"
    VERIFIED = "verified"
    DISPUTED = "disputed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the application said: how much, who asks, and what the borrower declared."""

    amount: Money
    profile: Profile
    declared: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """One facility's row: the facts as they came, in any order, then the conclusions with the policies they rest on.

    `sources_due` is the day a wait for sources ends, once it has begun.
    """

    facility_id: str
    state: State = State.WAITING
    request: Request | None = None
    found: Figures | None = None
    records: tuple[SourceRecord, ...] = ()
    sources_due: date | None = None
    rated_on: date | None = None
    checks: tuple[Check, ...] = ()
    size_class: str = ""
    grade: str = ""
    score: int | None = None
    pd: Decimal | None = None
    capped_by: str = ""
    reasons: tuple[Reason, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)
    ratios: dict[str, str] = field(default_factory=dict)
    information_policy: str = ""
    size_policy: str = ""
    scorecard_policy: str = ""

    def waiting_until(self, due: date) -> Dossier:
        """The dossier whose wait for sources ends on `due`."""
        return replace(self, sources_due=due)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """The rated dossier and the two facts it publishes."""

    dossier: Dossier
    information: InformationVerified | InformationDisputed
    rating: RatingAssigned


def submitted(dossier: Dossier, event: ApplicationSubmitted) -> Dossier:
    """The dossier with its application; Refused `already_submitted`. Records in another currency fall away."""
    if dossier.request is not None:
        raise Refused("already_submitted", dossier.facility_id)
    request = Request(amount=event.amount, profile=event.profile, declared=event.declared)
    kept = tuple(record for record in dossier.records if record.currency == event.amount.currency)
    return replace(dossier, request=request, records=kept)


def investigated(dossier: Dossier, event: InvestigationReconciled) -> Dossier:
    """The dossier with what the two managers found; Refused `already_reconciled`."""
    if dossier.found is not None:
        raise Refused("already_reconciled", dossier.facility_id)
    return replace(dossier, found=event.figures)


def recorded(dossier: Dossier, record: SourceRecord) -> Dossier:
    """The dossier with one record more; a newer one of the same source replaces the older.

    Refused once rated (the file stays as it was known then), for a record older than the one held, and for one in
    another currency than the application.
    """
    if dossier.state is not State.WAITING:
        raise Refused("already_rated", f"rated on {dossier.rated_on}")
    if dossier.request is not None and record.currency != dossier.request.amount.currency:
        raise Refused("currency_not_of_application", record.currency)
    held = {known.source: known for known in dossier.records}
    if record.source in held and held[record.source].as_of > record.as_of:
        raise Refused("newer_record_held", f"as of {held[record.source].as_of}")
    held[record.source] = record
    return replace(dossier, records=tuple(held[source] for source in sorted(held)))


def is_investigated(dossier: Dossier) -> bool:
    """Whether only sources can still be missing."""
    return dossier.request is not None and dossier.found is not None


def lacking(dossier: Dossier, terms: InformationTerms, on: date) -> tuple[str, ...]:
    """The required sources that are not in, or too old on `on`."""
    fresh = {record.source for record in _fresh(dossier, terms, on)}
    return tuple(source for source in terms.sources_required if source not in fresh)


def concluded(
    dossier: Dossier,
    on: date,
    information: Dated[InformationTerms],
    sizes: Dated[SizeTerms],
    scorecard: Dated[ScorecardTerms],
) -> Conclusion:
    """Verify, size and rate on what is known now; a disputed borrower is rated too, under the caps.

    Refused `facts_incomplete` without application and findings; missing sources are an answer, not an obstacle.
    """
    request, found = dossier.request, dossier.found
    if request is None or found is None:
        raise Refused("facts_incomplete", dossier.facility_id)
    evidence = Evidence(declared=request.declared, found=found, records=dossier.records, on=on)
    checks = verify(evidence, information.terms)
    size = size_class(request.profile.industry, _extent(request.profile, found), sizes.terms)
    answer = conclude(dossier.facility_id, checks, size)
    # A record too old to verify with is too old to score with.
    current = replace(evidence, records=_fresh(dossier, information.terms, on))
    inputs = gather(profile=request.profile, amount=request.amount, evidence=current, checks=checks, size_class=size)
    rating = rate(dossier.facility_id, inputs, scorecard.terms)
    rated = replace(
        dossier,
        state=State.VERIFIED if isinstance(answer, InformationVerified) else State.DISPUTED,
        sources_due=None,
        rated_on=on,
        checks=checks,
        size_class=size,
        grade=rating.grade,
        score=rating.score,
        pd=rating.pd,
        capped_by=rating.capped_by,
        reasons=rating.reasons,
        inputs=rating.inputs,
        ratios=shown(ratios(inputs, scorecard.terms.cash_stress)),
        information_policy=information.ref,
        size_policy=sizes.ref,
        scorecard_policy=scorecard.ref,
    )
    return Conclusion(dossier=rated, information=answer, rating=rating)


def _fresh(dossier: Dossier, terms: InformationTerms, on: date) -> tuple[SourceRecord, ...]:
    return tuple(record for record in dossier.records if record.is_fresh(on, terms.age_days_max))


def _extent(profile: Profile, found: Figures) -> Extent:
    return Extent(staff=profile.employees, revenue=found.annual_sales.amount, assets=found.total_assets.amount)
