"""The dossier keeps facts in any order, decides once, and the end is the same whichever way the facts came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import permutations
from typing import Any

import pytest

from libs.events.rating import InformationDisputed, InformationVerified
from libs.kernel.errors import Refused
from services.rating.domain.dossier import (
    Conclusion,
    Dossier,
    State,
    concluded,
    investigated,
    is_investigated,
    lacking,
    recorded,
    submitted,
)
from tests.rating.facts import (
    DAY,
    FACILITY,
    INFORMATION,
    SCORECARD,
    SIZES,
    application,
    bank,
    cny,
    figures,
    findings,
    tax,
)

EMPTY = Dossier(facility_id=FACILITY)
STEPS: tuple[Callable[[Dossier], Dossier], ...] = (
    partial(submitted, event=application()),
    partial(investigated, event=findings()),
    partial(recorded, record=tax()),
    partial(recorded, record=bank()),
)


def filled(*steps: Callable[[Dossier], Dossier]) -> Dossier:
    dossier = EMPTY
    for step in steps or STEPS:
        dossier = step(dossier)
    return dossier


def finish(dossier: Dossier, **days: Any) -> Conclusion:
    return concluded(dossier, DAY + timedelta(**days), INFORMATION, SIZES, SCORECARD)


def test_the_order_of_the_facts_does_not_matter() -> None:
    assert {repr(filled(*order)) for order in permutations(STEPS)} == {repr(filled())}


def test_a_complete_sound_dossier_is_verified_sized_and_rated() -> None:
    done = finish(filled())
    assert isinstance(done.information, InformationVerified)
    assert (done.rating.grade, done.information.size_class) == ("AAA", "small")
    rated = done.dossier
    assert (rated.state, rated.rated_on, rated.grade, rated.score) == (State.VERIFIED, DAY, "AAA", 100)
    assert (rated.information_policy, rated.size_policy, rated.scorecard_policy) == (
        INFORMATION.ref,
        SIZES.ref,
        SCORECARD.ref,
    )
    assert rated.ratios["leverage"] == "0.400000"


def test_a_disputed_borrower_is_rated_too_under_the_cap() -> None:
    done = finish(
        filled(*STEPS[:1], partial(investigated, event=findings(figures(annual_sales=9_000_000))), *STEPS[2:])
    )
    assert isinstance(done.information, InformationDisputed)
    assert (done.dossier.state, done.rating.grade, done.rating.capped_by) == (
        State.DISPUTED,
        "B",
        "information_disputed",
    )


def test_missing_sources_dispute_the_information_and_leave_the_worst_grade() -> None:
    done = finish(filled(*STEPS[:2]))
    assert isinstance(done.information, InformationDisputed)
    assert (done.rating.grade, done.rating.capped_by) == ("C", "information_missing")


def test_a_stale_record_neither_completes_the_set_nor_scores() -> None:
    dossier = filled(*STEPS[:3], partial(recorded, record=bank(as_of=DAY - timedelta(days=91))))
    assert lacking(dossier, INFORMATION.terms, DAY) == ("bank_flow",)
    done = finish(dossier)
    assert "monthly_bank_inflow" not in done.rating.inputs
    assert {check.result for check in done.information.checks if check.source == "bank_flow"} == {"stale"}


@pytest.mark.parametrize(
    ("steps", "missing"), [(STEPS, ()), (STEPS[:3], ("bank_flow",)), (STEPS[:2], ("tax", "bank_flow"))]
)
def test_the_required_sources_that_are_not_in_are_named(
    steps: tuple[Callable[[Dossier], Dossier], ...], missing: tuple[str, ...]
) -> None:
    assert lacking(filled(*steps), INFORMATION.terms, DAY) == missing


def test_only_application_and_findings_together_make_a_dossier_ready_for_its_sources() -> None:
    assert not is_investigated(filled(STEPS[0], STEPS[2]))
    assert not is_investigated(filled(STEPS[1]))
    assert is_investigated(filled(*STEPS[:2]))


@pytest.mark.parametrize("steps", [STEPS[:1], STEPS[1:2], STEPS[2:]])
def test_nothing_is_concluded_without_application_and_findings(steps: Any) -> None:
    with pytest.raises(Refused, match="facts_incomplete"):
        finish(filled(*steps))


def test_a_newer_record_replaces_and_an_older_one_is_refused() -> None:
    newer = tax(as_of=DAY + timedelta(days=1), monthly_tax_sales=cny(900_000))
    dossier = recorded(filled(), newer)
    assert dossier.records == (bank(), newer)
    with pytest.raises(Refused, match="newer_record_held"):
        recorded(dossier, tax())
    assert recorded(dossier, replace(newer, figures=tax().figures)).records[1].figures == tax().figures


def test_a_rated_dossier_takes_no_further_record() -> None:
    with pytest.raises(Refused, match="already_rated"):
        recorded(finish(filled()).dossier, tax())


def test_the_same_fact_of_application_cannot_come_twice() -> None:
    with pytest.raises(Refused, match="already_submitted"):
        submitted(filled(), application())
    with pytest.raises(Refused, match="already_reconciled"):
        investigated(filled(), findings())


def test_a_record_in_another_currency_is_refused_after_the_application_and_falls_away_before_it() -> None:
    foreign = tax(monthly_tax_sales=replace(cny(1), currency="USD"))
    with pytest.raises(Refused, match="currency_not_of_application"):
        recorded(submitted(EMPTY, application()), foreign)
    assert submitted(recorded(EMPTY, foreign), application()).records == ()
