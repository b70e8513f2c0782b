"""The generated branch as `make demo` shows it: every event happens, the books agree, newcomers find their way.

What is looked at here is one running platform: the run itself, readers made anew from the topics, personal data that
must be nowhere, and people who work with what runs.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from deploy import cli
from deploy.demo import browser, drill
from deploy.demo.lives import Life
from deploy.local.stack import Stack
from libs.runtime.auth import HEAD_OFFICE
from tests.harness import console_tour, npm, walks
from tests.harness.books import amounts, check_losses, check_run
from tests.harness.leaks import leaks
from tests.harness.platform import AtWork, Rebuilt, Run
from tests.harness.private import EVERY_NAME_HOLDS, PLANTED, Searched, values_of
from tests.journeys.conftest import NEW_LOANS, SPANS, fates

NAME, ID_NUMBER, PHONE = "杭州晨禾示例五金有限公司", "339901199001011234", "19900000012"
# fmt: off
WIRE_NAMES = (
    "referral.received", "consent.granted", "application.submitted", "investigation.opened", "investigation.filed",
    "investigation.reconciled", "information.verified", "rating.assigned", "collateral.offered", "collateral.valued",
    "collateral.perfected", "cover.requested", "capacity.reserved", "cover.bound", "application.reviewed",
    "application.approved", "application.refused", "facility.granted", "contract.signed", "drawdown.requested",
    "disbursement.requested", "loan.disbursed", "cover.activated", "premium.due", "premium.paid",
    "repayment.received", "loan.overdue", "loan.reclassified", "provision.changed", "collateral.revalued",
    "shortfall.found", "claim.filed", "claim.accepted", "claim.paid", "disposal.started", "collateral.disposed",
    "recovery.received", "recovery.shared", "loan.written_off", "loan.closed", "cover.released", "result.accrued",
    "reguarantee.reimbursed", "pay.deferred", "pay.vested", "extension.approved", "loan.extended",
    "pay.clawed_back", "case.opened", "case.determined", "exemption.granted", "exemption.refused",
)
# fmt: on
NEVER_IN_THE_GENERATED_BRANCH = {
    "consent.revoked": "nobody there takes a consent back",
    "capacity.released": "its partners accept what they are asked for, and no refusal overtakes their answer",
    "cap.reached": "its agreements have no cap",
    "claim.refused": "a claim there files itself, on its day and for what the books say",
    "cover.confirmed": "its agreements are asked before approval, none is a batch",
    "disbursement_notice.issued": "its agreements know no disbursement notice",
    "cover.filed": "its agreements are asked before approval, none is a batch",
    "cover.removed": "its agreements are asked before approval, none is a batch",
    "cover.endangered": "its agreements name no duties",
    "cover.mended": "the same",
    "balance.confirmed": "accountants confirm a month, and the demo has none",
    "balance.contested": "the same",
    "partner.reinstated": "its agreements name no triggers, and nobody suspends a partner",
    "partner.suspended": "its agreements name no triggers, and nobody suspends a partner",
    "partner.warned": "its agreements name no triggers",
    "extension.refused": "its approvers agree to every extension",
    "change.requested": "only loans without cover are extended there",
    "change.consented": "the same",
    "change.refused": "the same",
    "cover.endorsed": "the same",
    "cover.expiring": "every loan there is repaid or claimed long before its guarantee period ends",
    "counter_guarantee.perfected": "its agreements ask for no counter-guarantee",
    "guarantor.signed": "its managers put no guarantor on record",
    "payout.deferred": "its agreements have no yearly payout cap",
    "premium.refunded": "its agreements refund nothing",
    "quote.declined": "every borrower there names the agreement",
    "quote.received": "every borrower there names the agreement",
    "partner.unreachable": "its partners are always there",
    "reguarantee.overdue": "those behind its guarantor pay when they are told of a claim",
    "claim.denied": "its partners accept every claim on a cover they gave",
    "claim.answered": "its partners accept every claim on a cover they gave",
    "claim.appealed": "its partners accept every claim on a cover they gave",
    "claim.interim_paid": "its agreements name no payment in advance",
    "claim.queried": "its partners accept every claim on a cover they gave",
    "deadline.missed": "its partners pay when they are asked, and its agreements name no other days",
    "loss.notified": "its agreements name no days for a notice",
    "claim.withdrawn": "a missed instalment is never made good there",
    "disbursement.failed": "its core banking pays every order",
    "disbursement.unknown": "its core banking answers every order",
    "loan.cured": "a missed instalment is never made good there",
}

IN_ORDER = ("Referral received", "Rating assigned", "Loan disbursed", "Loan written off", "Loan closed")


def test_every_life_of_the_branch_ends_and_the_journal_is_complete(chinese: Run) -> None:
    check_run(chinese)


def test_the_generated_branch_shows_every_wire_name_with_a_reader(chinese: Run) -> None:
    published = chinese.outcome.published
    assert [name for name in WIRE_NAMES if not published.get(f"{name}.v1")] == []
    read = {kind for applied in chinese.outcome.applied.values() for kind, count in applied.items() if count}
    assert [name for name in WIRE_NAMES if f"{name}.v1" not in read] == []


def test_what_the_generated_branch_never_exercises_is_known_with_its_reason(chinese: Run) -> None:
    handled = {kind for applied in chinese.outcome.applied.values() for kind in applied}
    never = {kind.rpartition(".")[0] for kind in handled if not chinese.outcome.published.get(kind)}
    assert never == set(NEVER_IN_THE_GENERATED_BRANCH)


def test_the_generated_branch_loses_what_was_lent_and_not_repaid_split_to_the_cent(chinese: Run) -> None:
    net: Counter[str] = Counter()
    gross = recovered = Decimal(0)
    for life in chinese.lives:
        story = chinese.stories[life.ref]
        lent, repaid = amounts(story, "loan.disbursed", "amount"), amounts(story, "repayment.received", "principal")
        lost = amounts(story, "loan.written_off", "gross")
        assert lent - repaid == lost, life.ref
        assert lost == (life.default.charged_off.amount if life.default and lent else 0), life.ref
        net.update(check_losses(life.ref, story, lost))
        gross, recovered = gross + lost, recovered + amounts(story, "recovery.received", "amount")
    assert sum(net.values()) + recovered == gross > 0
    assert {"bank", "anxin"} <= net.keys()


# --- made anew from the topics -----------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["incentive", "console"])
def test_a_reader_made_anew_from_the_topics_alone_knows_the_same_to_the_last_id(
    service: str, rebuilt: dict[str, Rebuilt]
) -> None:
    before, after = rebuilt[service].before, rebuilt[service].after
    assert all(before.rows[table] for table in before.rows if table != "timers")
    assert after.canonical == before.canonical
    assert after.rows == before.rows


def test_incentive_made_anew_would_publish_what_it_published_under_the_same_ids(
    chinese: Run, rebuilt: dict[str, Rebuilt]
) -> None:
    told = {
        entry.type for entry in chinese.journal if entry.type.startswith(("result.", "pay.", "case.", "exemption."))
    }
    published = sorted((e.id, e.key, e.sequence) for e in chinese.journal if e.type in told)
    assert rebuilt["incentive"].before.outbox == []
    facilities = {entry.key for entry in chinese.journal}
    assert [row for row in rebuilt["incentive"].after.outbox if row[1] in facilities] == published


# --- personal data ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ends(chinese: Run) -> dict[str, Life]:
    return fates(chinese)


def test_the_door_told_what_the_purpose_needs_and_nothing_without_consent(
    searched: Searched, ends: dict[str, Life]
) -> None:
    assert set(ends) == {"refused", "repaid", "written_off"}
    for fate, life in ends.items():
        assert tuple(searched.disclosed[life.ref].values()) == values_of(life)
        assert searched.refused[life.ref] == ("party_erased" if fate == "refused" else "purpose_not_consented")


def test_no_personal_data_is_anywhere_in_clear_but_where_it_was_planted(
    searched: Searched, ends: dict[str, Life]
) -> None:
    name, id_number, _ = values_of(next(iter(ends.values())))
    planted = [(f"{PLANTED}.as_{kind}", name) for kind in ("bytea", "jsonb", "text")]
    marks = [(place, EVERY_NAME_HOLDS) for place, _ in planted]
    assert searched.found == sorted([*planted, *marks, (f"log {PLANTED}.log", id_number)])


def test_everything_was_searched(searched: Searched) -> None:
    places = {place for place, content in searched.places if content or place.startswith("log ")}
    assert {"application.parties", "application.requests", "application.disclosures", "console.story"} <= places
    assert {"topic application", "topic clock", "log application-1.log", "log postgres.log", "report"} <= places
    assert any(place == f"log {SPANS}" and b"repayment.received" in content for place, content in searched.places)
    assert sum(place.startswith("topic ") for place in places) >= 6
    assert searched.bytes_read > 5_000_000


@pytest.mark.parametrize("value", [NAME, ID_NUMBER, PHONE])
def test_a_planted_value_is_found_in_every_dress(value: str) -> None:
    raw = value.encode()
    dressed = [
        raw,
        json.dumps({"x": value}).encode(),
        raw.hex().encode(),
        *(base64.b64encode(b"x" * shift + raw + b"yz") for shift in range(3)),
        *(base64.urlsafe_b64encode(b"\xff" * shift + raw) for shift in range(3)),
    ]
    places = [(str(number), b"before " + content + b" after") for number, content in enumerate(dressed)]
    assert leaks(places, [value]) == [(str(number), value) for number in range(len(dressed))]
    assert leaks(places, ["somebody else", value[:5] + "~" + value[6:]]) == []


# --- people at the running branch --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["walks/core-banking", "walks/partner", "walks/operator", "partners"])
def test_a_newcomers_walk_runs_as_its_page_says(name: str, at_work: AtWork, tmp_path: Path) -> None:
    page = (walks.DOCS / f"{name}.md").read_text("utf-8")
    assert walks.walk(page, tmp_path / "walk", at_work.home) == []


def test_silverbear_report_tells_of_the_running_branch(at_work: AtWork, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "--addresses", str(at_work.home / "platform.env")]) == 0
    told = capsys.readouterr().out
    assert re.search(rf"^lives +{len(at_work.run.lives) + NEW_LOANS}$", told, re.MULTILINE)
    assert re.search(r"^net loss of anxin +[\d,.]+ CNY$", told, re.MULTILINE)


@pytest.mark.skipif(not browser.CHROMIUM.exists(), reason=f"{browser.CHROMIUM} is not there (apt-get install chromium)")
def test_an_operator_finds_his_way_through_the_console_in_a_real_browser(at_work: AtWork) -> None:
    platform = at_work.platform
    url, token = platform.urls["console"][0], platform.issuer.token("ops", "operator", level=HEAD_OFFICE)
    key = accident(platform)
    with console_tour.tour(url, token, npm.installed("axe-core")) as visitor:
        visitor.look("Overview")
        assert "6 / 6" in visitor.page.locator(".tiles").inner_text()
        visitor.follow("Topics and events")
        visitor.look("Topics and events")
        assert visitor.page.get_by_role("row", name=re.compile("^application ")).first.is_visible()

        ref = next(
            ref
            for ref, story in at_work.run.stories.items()
            if len(story) == max(map(len, at_work.run.stories.values()))
        )
        titles = console_tour.read_a_story(visitor, ref)
        assert len(titles) >= len(at_work.run.stories[ref])  # one of the walks may have gone on with it since
        places = [
            titles.index(each) for each in ("Referral received", "Loan disbursed", "Loan written off", "Loan closed")
        ]
        assert places == sorted(places)

        for service in ("console", "collateral"):
            console_tour.wait_until_parked(visitor, service, key, patiently)
            assert "applied: 1" in console_tour.apply_again(visitor)
        console_tour.wait_until_parked(visitor, "guarantee", key, patiently)
        assert "discarded" in console_tour.discard(visitor, "drill: told under a number used before")
        visitor.follow("Overview")
        visitor.look("Overview")
        wrong = visitor.page.locator("main").inner_text()
        assert "events parked" not in wrong, wrong
    assert visitor.findings == []
    assert visitor.complaints == []
    assert visitor.asked == {url.removeprefix("http://")}


def accident(platform: Stack) -> str:
    """The operators' exercise on the newest loan: application tells of a repayment under a number used before."""
    urls = {name: at[0] for name, at in platform.urls.items()}
    bearer = {"authorization": f"Bearer {platform.issuer.token('bank', 'core_bank', 'operator', level=HEAD_OFFICE)}"}
    nothing, some = ({"amount": amount, "currency": "CNY"} for amount in ("0.00", "500.00"))
    with httpx.Client(trust_env=False, headers=bearer) as http:
        key: str = http.get(f"{urls['console']}/v1/facilities?stage=performing").json()["items"][-1]["facility_id"]
        loan = http.get(f"{urls['application']}/v1/facilities/{key}").json()["loan_id"]
        assert drill.main(["application", key], platform.addresses()) == 0
        answer = http.post(
            f"{urls['application']}/v1/facilities/{key}/loans/{loan}/repayments",
            json={"principal": some, "interest": nothing, "reference": "drill"},
            headers={"idempotency-key": f"drill-in-the-browser-{key}"},
        )
        assert answer.status_code == 201, answer.text
    return key


def patiently(true: Callable[[], bool]) -> None:
    """Ask again until it is true, for a minute at most."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)
