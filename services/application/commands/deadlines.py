"""Begins and ends the waits of lending: each is one timer that is there as long as the wait, and not a day longer."""

from __future__ import annotations

from datetime import timedelta

from libs.runtime.tx import Tx
from services.application.domain.deadlines import DeadlineTerms

DECISION = "application.decide_by"
CONDITIONS = "drawdown.ready_by"
ANSWER = "disbursement.answer_by"


def wait_for_decision(tx: Tx, facility_id: str) -> None:
    """From submission until somebody approves or refuses."""
    _wait(tx, DECISION, facility_id, facility_id, _terms(tx).decision_days)


def wait_for_conditions(tx: Tx, facility_id: str, loan_id: str) -> None:
    """From the request to draw until core banking can be told to pay."""
    _wait(tx, CONDITIONS, loan_id, facility_id, _terms(tx).drawdown_days)


def wait_for_answer(tx: Tx, facility_id: str, loan_id: str) -> None:
    """From the order to pay until core banking says what became of it."""
    _wait(tx, ANSWER, loan_id, facility_id, _terms(tx).disbursement_days)


def wait_ended(tx: Tx, kind: str, ref: str) -> None:
    """What was waited for is here: the day it was due needs no look."""
    tx.cancel_timer(kind, ref=ref)


def _terms(tx: Tx) -> DeadlineTerms:
    return tx.policy(DeadlineTerms, "application/deadlines").terms


def _wait(tx: Tx, kind: str, ref: str, facility_id: str, days: int) -> None:
    tx.timer(kind, ref=ref, key=facility_id, due=tx.date + timedelta(days=days))
