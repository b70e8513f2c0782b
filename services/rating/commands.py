"""What changes a dossier: a fact comes in, or the wait for sources ends; whichever completes it rates the borrower."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from libs.events.application import ApplicationSubmitted, InvestigationReconciled
from libs.kernel.errors import Invalid
from libs.runtime.tx import Tx
from services.rating.domain.authenticity import InformationTerms
from services.rating.domain.dossier import (
    Dossier,
    State,
    concluded,
    investigated,
    is_investigated,
    lacking,
    recorded,
    submitted,
)
from services.rating.domain.scorecard import ScorecardTerms
from services.rating.domain.size import SizeTerms
from services.rating.domain.sources import SourceRecord
from services.rating.store import DOSSIERS

SOURCES_DUE = "sources.due"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReceipt:
    """The answer to a data provider: what was taken, where the dossier stands, which required sources it lacks."""

    facility_id: str
    source: str
    as_of: date
    state: str
    lacking: tuple[str, ...]


async def take_application(tx: Tx, event: ApplicationSubmitted) -> None:
    """Keep what the application said; Refused when it was submitted before."""
    _advance(tx, submitted(await _dossier(tx, event.facility_id), event))


async def take_findings(tx: Tx, event: InvestigationReconciled) -> None:
    """Keep what the investigation found; Refused when it was reconciled before."""
    _advance(tx, investigated(await _dossier(tx, event.facility_id), event))


async def receive_source(tx: Tx, facility_id: str, record: SourceRecord) -> SourceReceipt:
    """Keep one record of hard data, even before the application is known here; Invalid when dated after today."""
    if record.as_of > tx.date:
        raise Invalid("as_of_in_future", f"{record.as_of} is after {tx.date}")
    dossier = _advance(tx, recorded(await _dossier(tx, facility_id), record))
    return SourceReceipt(
        facility_id=facility_id,
        source=record.source,
        as_of=record.as_of,
        state=dossier.state,
        lacking=lacking(dossier, _information(tx), tx.date),
    )


async def close_sources(tx: Tx, facility_id: str) -> None:
    """The wait is over: conclude with what is here; what is missing disputes the information."""
    dossier = await tx.get(DOSSIERS, facility_id)
    if dossier.state is State.WAITING:
        _conclude(tx, dossier)


async def _dossier(tx: Tx, facility_id: str) -> Dossier:
    return await tx.find(DOSSIERS, facility_id) or Dossier(facility_id=facility_id)


def _information(tx: Tx) -> InformationTerms:
    return tx.policy(InformationTerms, "rating/information").terms


def _advance(tx: Tx, dossier: Dossier) -> Dossier:
    """Conclude when nothing is lacking, begin the wait when only sources are, else just keep the facts."""
    if is_investigated(dossier):
        terms = _information(tx)
        if not lacking(dossier, terms, tx.date):
            return _conclude(tx, dossier)
        if dossier.sources_due is None:
            due = tx.date + timedelta(days=terms.sources_due_days)
            dossier = dossier.waiting_until(due)
            tx.timer(SOURCES_DUE, ref=dossier.facility_id, key=dossier.facility_id, due=due)
    tx.put(DOSSIERS, dossier)
    return dossier


def _conclude(tx: Tx, dossier: Dossier) -> Dossier:
    information = tx.policy(InformationTerms, "rating/information")
    sizes = tx.policy(SizeTerms, "rating/size")
    scorecard = tx.policy(ScorecardTerms, "rating/scorecard")
    conclusion = concluded(dossier, tx.date, information, sizes, scorecard)
    if dossier.sources_due is not None:
        tx.cancel_timer(SOURCES_DUE, ref=dossier.facility_id)
    tx.put(DOSSIERS, conclusion.dossier)
    tx.publish(conclusion.information, policy=information.ref)
    tx.publish(conclusion.rating, policy=scorecard.ref)
    return conclusion.dossier
