"""A loan is extended before it is due, by two people, within bounds, and under cover with the guarantor's consent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.events.application_upkeep import ExtensionApproved, ExtensionRefused, LoanExtended
from libs.events.guarantee_upkeep import ChangeRefused, CoverEndorsed
from libs.kernel.calendar import add_months
from libs.kernel.errors import Refused
from services.application.domain.classification import RiskClass
from services.application.domain.extension import (
    Extension,
    ExtensionState,
    ExtensionTerms,
    check_extendable,
    latest_maturity,
)
from services.application.domain.loan import Instalment, Loan, disbursed, requested_loan
from services.application.main import service
from tests.application.story import DUES, TODAY, Story, cny
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
DUE = DUES[-1]
LATER = date(2026, 9, 1)
TERMS = ExtensionTerms(
    short_months=12,
    short_share=Decimal(1),
    medium_months=60,
    medium_share=Decimal("0.5"),
    long_months_max=36,
    consent_days=30,
)


def loan(months: int = 6) -> Loan:
    due = add_months(TODAY, months)
    return disbursed(requested_loan("f", "l", cny(100), (Instalment(due=due, principal=cny(100)),)), TODAY)


# --- the rule -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("months", "last"),
    [
        (6, add_months(TODAY, 6) + (add_months(TODAY, 6) - TODAY)),
        (12, add_months(TODAY, 12) + (add_months(TODAY, 12) - TODAY)),
        (13, add_months(TODAY, 13) + timedelta(days=(add_months(TODAY, 13) - TODAY).days // 2)),
        (60, add_months(TODAY, 60) + timedelta(days=(add_months(TODAY, 60) - TODAY).days // 2)),
        (61, add_months(TODAY, 61 + 36)),
    ],
)
def test_how_far_extensions_reach_depends_on_the_first_term(months: int, last: date) -> None:
    assert latest_maturity(loan(months), (), TERMS) == last


def test_the_bound_counts_from_the_maturity_that_was_first_agreed() -> None:
    first = add_months(TODAY, 6)
    before = Extension(
        extension_id="e",
        facility_id="f",
        loan_id="l",
        state=ExtensionState.EFFECTIVE,
        maturity_before=first,
        maturity=first + timedelta(days=90),
        document="d",
        asked_by="li",
        asked_on=TODAY,
    )
    extended = replace(loan(), schedule=(Instalment(due=before.maturity, principal=cny(100)),))
    assert latest_maturity(extended, (before,), TERMS) == first + (first - TODAY)


@pytest.mark.parametrize(
    ("change", "on", "code"),
    [
        ({"overdue_since": TODAY}, TODAY, "loan_in_arrears"),
        ({"risk_class": RiskClass.SUBSTANDARD}, TODAY, "loan_in_arrears"),
        ({}, add_months(TODAY, 6), "maturity_reached"),
        ({}, add_months(TODAY, 6) - timedelta(days=1), ""),
    ],
)
def test_what_is_due_or_in_trouble_is_not_extended(change: dict[str, Any], on: date, code: str) -> None:
    told = ""
    try:
        check_extendable(replace(loan(), **change), on)
    except Refused as refusal:
        told = refusal.code
    assert told == code


# --- on a real database -------------------------------------------------------------------------------------------


async def asked(story: Story, maturity: date = LATER, actor: str = "li") -> dict[str, Any]:
    """What the door says to a request for an extension."""
    body = {"maturity": maturity.isoformat(), "document": "ZQ-1"}
    path = f"loans/{story.loan_id}/extensions"
    found: dict[str, Any] = (await story.post(path, body, role="customer_manager", actor=actor)).json()
    return found


async def decided(story: Story, extension: dict[str, Any], actor: str = "qian", **body: str) -> dict[str, Any]:
    path = f"loans/{story.loan_id}/extensions/{extension['extension_id']}/decision"
    said = {"decision": "approve", **body}
    found: dict[str, Any] = (await story.post(path, said, role="approver", actor=actor)).json()
    return found


def endorsed(story: Story, extension: dict[str, Any]) -> CoverEndorsed:
    return CoverEndorsed(
        facility_id=story.facility_id,
        cover_id="cover",
        loan_id=story.loan_id,
        change_id=extension["extension_id"],
        annual_rate=Decimal("0.08"),
        maturity=LATER,
    )


async def test_under_cover_the_maturity_moves_when_the_guarantor_consents_and_not_before(bench: Benches) -> None:
    async with bench(service) as b:
        story = Story(b)
        await story.disbursed()
        extension = await asked(story)
        assert extension["state"] == "asked"
        assert (await asked(story))["code"] == "extension_waits"
        assert (await decided(story, extension))["state"] == "approved"
        assert (await decided(story, extension))["code"] == "extension_decided"
        (approved,) = [body for body in await b.published() if isinstance(body, ExtensionApproved)]
        assert (approved.maturity, approved.approver, approved.document) == (LATER, "qian", "ZQ-1")
        assert (await story.loan())["maturity"] == DUE.isoformat()
        consent = endorsed(story, extension)
        await b.react(replace(consent, change_id="another"), replace(consent, maturity=DUE), on=TODAY)
        assert (await story.loan())["maturity"] == DUE.isoformat()
        await b.react(consent, consent, on=TODAY)
        (extended,) = [body for body in await b.published() if isinstance(body, LoanExtended)]
        assert (extended.maturity_before, extended.maturity, extended.outstanding) == (DUE, LATER, cny(1_000_000))
        view = await story.loan()
        assert [row["due"] for row in view["schedule"]] == [DUES[0].isoformat(), LATER.isoformat()]
        assert [each["state"] for each in view["extensions"]] == ["effective"]
        await story.repay("400000", "r-1")
        await b.tick(DUE + timedelta(days=1))
        assert "loan.overdue" not in await b.names(), "it is due on the new day"
        await b.tick(LATER + timedelta(days=1))
        assert (await b.names())[-3] == "loan.overdue"


async def test_without_cover_it_takes_effect_at_once(bench: Benches) -> None:
    async with bench(service) as b:
        story = Story(b)
        await story.investigated(agreement="")
        await b.react(story.verified(), story.rated(), story.valued(), on=TODAY)
        await story.done("review", {"opinion": "sound"}, role="reviewer", actor="sun")
        bare = {"decision": "approve", "reasons": ["known_for_long"]}
        await story.done("decision", bare, role="approver", actor="qian")
        await story.done("contract", {"contract_no": "HT-1"}, role="customer_manager", actor="li")
        await b.react(story.perfected(), on=TODAY)
        await story.draw()
        await b.answer("core_bank.disburse", 200, paid=True)
        assert (await decided(story, await asked(story)))["state"] == "effective"
        assert (await b.names())[-2:] == ["extension.approved", "loan.extended"]


async def test_a_loan_that_came_into_arrears_meanwhile_is_not_extended(bench: Benches) -> None:
    async with bench(service) as b:
        story = Story(b)
        await story.disbursed()
        await b.open(DUES[0] - timedelta(days=5))
        extension = await asked(story)
        await decided(story, extension)
        missed = DUES[0] + timedelta(days=1)
        await b.tick(missed)
        assert (await story.loan())["overdue_since"] == DUES[0].isoformat()
        await b.react(endorsed(story, extension), on=missed)
        refused = (await b.published())[-1]
        assert isinstance(refused, ExtensionRefused)
        assert (refused.reason, (await story.loan())["maturity"]) == ("loan_in_arrears", DUE.isoformat())
        assert (await asked(story))["code"] == "loan_in_arrears"


@pytest.mark.parametrize("who", ["approver", "guarantor", "nobody"])
async def test_a_no_from_any_side_leaves_the_loan_due_when_it_was(bench: Benches, who: str) -> None:
    async with bench(service) as b:
        story = Story(b)
        await story.disbursed()
        extension = await asked(story)
        if who == "approver":
            assert (await decided(story, extension, decision="refuse"))["code"] == "reason_required"
            await decided(story, extension, decision="refuse", reason="cash_flow")
        else:
            await decided(story, extension)
        if who == "guarantor":
            words = {"cover_id": "cover", "loan_id": story.loan_id, "change_id": extension["extension_id"]}
            no = ChangeRefused(
                facility_id=story.facility_id, change="extended", heavier=("maturity",), reason="no_appetite", **words
            )
            await b.react(no, on=TODAY)
        if who == "nobody":
            await b.tick(TODAY + timedelta(days=30))
        (refused,) = [body for body in await b.published() if isinstance(body, ExtensionRefused)]
        assert (refused.decided_by, refused.reason) == {
            "approver": ("qian", "cash_flow"),
            "guarantor": ("guarantor", "no_appetite"),
            "nobody": ("system:deadline", "no_consent_in_time"),
        }[who]
        await b.react(endorsed(story, extension), on=TODAY)
        assert (await story.loan())["maturity"] == DUE.isoformat(), "a consent that comes later changes nothing"
        assert (await asked(story))["state"] == "asked", "another may be asked for"


async def test_two_people_with_authority_are_needed_and_a_bound_holds(bench: Benches) -> None:
    async with bench(service) as b:
        story = Story(b)
        await story.disbursed()
        assert (await asked(story, DUE))["code"] == "maturity_not_later"
        assert (await asked(story, DUE + (DUE - TODAY) + timedelta(days=1)))["code"] == "extension_too_long"
        assert (await asked(story, actor="qian"))["code"] == "role_not_held"
        extension = await asked(story, DUE + (DUE - TODAY))
        await story.register(
            {"staff_id": "li", "branch": "b1", "role": "approver", "level": "branch", "trained_until": "2029-12-31"}
        )
        assert (await decided(story, extension, actor="li"))["code"] == "maker_is_checker"
        assert (await decided(story, {"extension_id": "none"}))["code"] == "not_found"
