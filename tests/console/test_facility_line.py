"""The line of a facility: where it stands follows application alone; counts and dates follow everybody."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from libs.events import application as app
from libs.events.collateral import CollateralOffered
from libs.events.guarantee import CoverBound
from services.console.domain.facility import Facility, Stage, tell
from tests.console.samples import DAY, cny, sample, told


def line_after(*bodies: Any) -> Facility:
    line: Facility | None = None
    for sequence, body in enumerate(bodies, start=1):
        line = tell(line, told(body, sequence))
    assert line is not None
    return line


def reclassified(*, npl: bool, days_past_due: int) -> Any:
    return sample(app.LoanReclassified, npl=npl, days_past_due=days_past_due)


OVERDUE, CURED = sample(app.LoanOverdue), sample(app.LoanCured)
DISBURSED = sample(app.LoanDisbursed)
NPL = reclassified(npl=True, days_past_due=91)


@pytest.mark.parametrize(
    ("body", "stage"),
    [
        (app.ReferralReceived, Stage.REFERRED),
        (app.ApplicationSubmitted, Stage.APPLIED),
        (app.InvestigationReconciled, Stage.INVESTIGATED),
        (app.ApplicationReviewed, Stage.REVIEWED),
        (app.ApplicationRefused, Stage.REFUSED),
        (app.FacilityGranted, Stage.GRANTED),
        (app.ContractSigned, Stage.CONTRACTED),
        (app.DrawdownRequested, Stage.DRAWING),
        (app.DisbursementFailed, Stage.UNPAID),
        (app.LoanDisbursed, Stage.PERFORMING),
        (app.LoanOverdue, Stage.OVERDUE),
        (app.LoanWrittenOff, Stage.WRITTEN_OFF),
    ],
)
def test_each_milestone_sets_its_stage(body: type, stage: Stage) -> None:
    assert line_after(sample(body)).stage is stage


@pytest.mark.parametrize(
    ("bodies", "stage"),
    [
        ((DISBURSED, OVERDUE, CURED), Stage.PERFORMING),
        ((DISBURSED, OVERDUE, reclassified(npl=False, days_past_due=1)), Stage.OVERDUE),
        ((DISBURSED, OVERDUE, NPL), Stage.NON_PERFORMING),
        ((DISBURSED, OVERDUE, NPL, CURED), Stage.NON_PERFORMING),
        ((DISBURSED, OVERDUE, NPL, CURED, reclassified(npl=False, days_past_due=0)), Stage.PERFORMING),
        ((DISBURSED, OVERDUE, NPL, reclassified(npl=False, days_past_due=30)), Stage.OVERDUE),
        ((DISBURSED, sample(app.LoanClosed, outcome="repaid")), Stage.REPAID),
        ((DISBURSED, NPL, sample(app.LoanWrittenOff), sample(app.ProvisionChanged)), Stage.WRITTEN_OFF),
        ((DISBURSED, NPL, sample(app.LoanWrittenOff), sample(app.LoanClosed, outcome="written_off")), Stage.WORKED_OUT),
    ],
)
def test_a_loan_moves_between_stages_and_a_cure_alone_does_not_lift_a_bad_class(
    bodies: tuple[Any, ...], stage: Stage
) -> None:
    assert line_after(*bodies).stage is stage


def test_a_facility_of_several_loans_stands_where_its_most_serious_loan_does() -> None:
    repaid = (sample(app.LoanDisbursed, loan_id="a"), sample(app.LoanClosed, loan_id="a", outcome="repaid"))
    second = sample(app.LoanDisbursed, loan_id="b")
    assert line_after(*repaid).stage is Stage.REPAID
    line = line_after(*repaid, second, sample(app.ProvisionChanged, loan_id="a"))
    assert line.stage is Stage.PERFORMING
    assert line.loans == {"a": Stage.REPAID, "b": Stage.PERFORMING}


def test_a_late_fact_of_a_loan_never_told_of_leaves_it_unknown() -> None:
    assert line_after(sample(app.ProvisionChanged)).stage is Stage.UNKNOWN


def test_reference_branch_and_channel_come_from_the_referral_and_the_limit_from_the_grant() -> None:
    line = line_after(
        sample(app.ReferralReceived, external_ref="r-1", branch="b7", channel="guild"),
        sample(app.FacilityGranted, limit=cny("750000")),
    )
    assert (line.external_ref, line.branch, line.channel) == ("r-1", "b7", "guild")
    assert (line.limit_granted, line.currency) == (cny("750000"), "CNY")


def test_other_topics_in_any_order_give_the_same_line() -> None:
    events = [
        told(sample(app.ReferralReceived), 1, on=DAY),
        told(sample(CollateralOffered), 1, on=DAY + timedelta(days=2)),
        told(sample(CoverBound), 1, on=DAY - timedelta(days=1)),
    ]
    lines = set()
    for order in permutations(events):
        line: Facility | None = None
        for event in order:
            line = tell(line, event)
        assert line is not None
        lines.add((line.stage, line.events, line.first_on, line.last_on))
    assert lines == {(Stage.REFERRED, 3, DAY - timedelta(days=1), DAY + timedelta(days=2))}
