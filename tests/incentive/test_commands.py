"""A loan's life at incentive on a real database: events and time go in; pay, cases and a balanced ledger come out."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from libs.events.incentive import (
    CaseDetermined,
    CaseOpened,
    ExemptionGranted,
    ExemptionRefused,
    PayClawedBack,
    PayDeferred,
    PayVested,
    ResultAccrued,
)
from libs.kernel.money import total
from libs.kernel.policy import Version
from libs.runtime.policies import read_versions
from services.incentive.main import service
from tests.harness.bench import Bench
from tests.incentive.stories import DISBURSED_ON, RUNS, disbursed, inspected, money, reclassified

BAD_ON = date(2026, 12, 1)
DETERMINED_ON = BAD_ON + timedelta(days=60)
Make = Callable[..., Bench]


async def of(b: Bench, kind: type) -> list[Any]:
    return [body for body in await b.published() if isinstance(body, kind)]


async def ledger(b: Bench) -> dict[str, str]:
    """Account → balance; the sums must be zero."""
    answer = (await b.get("/v1/ledger", role="auditor")).json()
    assert all(row["amount"] == "0.00" for row in answer["sums"])
    return {row["account"]: row["balance"]["amount"] for row in answer["balances"]}


async def policies(b: Bench) -> dict[str, str]:
    """Event type → the policy it rests on."""
    async with b.parts.engine.connect() as conn:
        rows = await conn.exec_driver_sql("SELECT headers->>'ce_type', headers->>'ce_policy' FROM outbox")
        return {kind.removesuffix(".v1"): policy for kind, policy in rows}


async def start(b: Bench, *events: Any) -> None:
    await b.open(DISBURSED_ON)
    await b.react(disbursed(), *events, on=DISBURSED_ON)


async def test_a_disbursed_loan_earns_pay_and_defers_forty_percent_of_it(bench: Make):
    async with bench(service) as b:
        await start(b)
        (accrued,), (deferred,) = await of(b, ResultAccrued), await of(b, PayDeferred)
        assert accrued.total == money("1500.00")
        assert [(part.staff, part.role, part.amount) for part in accrued.parts] == [
            ("s-lead", "lead", money("1050.00")),
            ("s-assist", "assistant", money("450.00")),
        ]
        assert (deferred.paid_now, deferred.deferred) == (money("900.00"), money("600.00"))
        assert [(row.number, row.vests_on, row.amount) for row in deferred.tranches] == [
            (number, run, money("200.00")) for number, run in enumerate(RUNS, start=1)
        ]
        assert await ledger(b) == {"pay_expense": "1500.00", "paid": "-900.00", "deferred": "-600.00"}
        assert await policies(b) == {
            "result.accrued": "incentive/pay@2025-07-01",
            "pay.deferred": "incentive/deferral@2025-07-01",
        }


async def test_what_time_brings_about_still_names_the_organisation_it_is_for(bench: Make):
    async with bench(service) as b:
        await start(b)
        await b.tick(RUNS[0])
        async with b.parts.engine.connect() as conn:
            rows = await conn.exec_driver_sql(
                "SELECT headers->>'ce_actor', headers->>'ce_org' FROM outbox"
                " WHERE headers->>'ce_type' = 'pay.vested.v1'"
            )
            assert [tuple(row) for row in rows] == [("incentive:timer", "b1")]


async def test_each_instalment_vests_at_its_own_run_and_once(bench: Make):
    async with bench(service) as b:
        await start(b)
        await b.tick(RUNS[0] - timedelta(days=1))
        assert await of(b, PayVested) == []
        for run in RUNS:
            await b.tick(run)
            await b.tick(run + timedelta(days=1))
        vested = await of(b, PayVested)
        assert [row.number for row in vested] == [1, 2, 3]
        assert total((row.total for row in vested), "CNY") == money("600.00")
        assert await ledger(b) == {"pay_expense": "1500.00", "paid": "-1500.00", "deferred": "0.00"}
        assert (await b.dump())["timers"] == []


async def test_a_run_that_is_late_vests_everything_due_by_then(bench: Make):
    async with bench(service) as b:
        await start(b)
        await b.tick(RUNS[1] + timedelta(days=3))
        assert [row.number for row in await of(b, PayVested)] == [1, 2]


async def test_a_loan_that_turns_bad_opens_one_case_under_the_rules_of_its_own_day(bench: Make):
    async with bench(service) as b:
        await start(b)
        await b.open(BAD_ON)
        await b.react(reclassified(), reclassified(after="doubtful"), on=BAD_ON)
        (opened,) = await of(b, CaseOpened)
        assert opened.staff == ("s-lead", "s-assist", "s-review", "s-approve")
        assert opened.yardstick == "incentive/exemption@2024-08-02"
        assert opened.due == date(2027, 12, 1)
        assert (await policies(b))["case.opened"] == "incentive/case@2024-08-02"


async def test_special_mention_opens_no_case(bench: Make):
    async with bench(service) as b:
        await start(b, reclassified(after="special_mention", npl=False))
        assert await b.names() == ["result.accrued", "pay.deferred"]


async def test_without_evidence_of_breach_everybody_is_exempt_and_keeps_their_pay(bench: Make):
    async with bench(service) as b:
        await start(b, inspected(), inspected("falsified_file", evidence=""))
        await b.open(BAD_ON)
        await b.react(reclassified(), on=BAD_ON)
        await b.tick(DETERMINED_ON - timedelta(days=1))
        assert await of(b, CaseDetermined) == []
        await b.tick(DETERMINED_ON)
        (determined,), (granted,) = await of(b, CaseDetermined), await of(b, ExemptionGranted)
        assert determined.results == granted.results
        assert [(row.staff, row.role, row.result, row.grounds) for row in granted.results] == [
            (staff, role, "exempt_full", ("no_evidence_of_breach",))
            for staff, role in (
                ("s-lead", "lead"),
                ("s-assist", "assistant"),
                ("s-review", "reviewer"),
                ("s-approve", "approver"),
            )
        ]
        assert not await of(b, ExemptionRefused) + await of(b, PayClawedBack)
        await b.tick(RUNS[0])
        assert [row.number for row in await of(b, PayVested)] == [1]


async def test_a_falsified_file_costs_its_author_everything_and_the_others_nothing(bench: Make):
    async with bench(service) as b:
        await start(b, inspected("falsified_file"))
        await b.open(BAD_ON)
        await b.react(reclassified(), on=BAD_ON)
        await b.tick(DETERMINED_ON)
        (refused,), (granted,) = await of(b, ExemptionRefused), await of(b, ExemptionGranted)
        assert [(row.staff, row.result, row.grounds, row.evidence) for row in refused.results] == [
            ("s-lead", "not_exempt", ("falsified_file",), ("photo-17",))
        ]
        assert [row.role for row in granted.results] == ["assistant", "reviewer", "approver"]
        (back,) = await of(b, PayClawedBack)
        assert (back.stopped, back.reclaimed) == (money("420.00"), money("630.00"))
        assert [(part.staff, part.amount) for part in back.parts] == [("s-lead", money("1050.00"))]
        found = await policies(b)
        assert found["case.determined"] == found["exemption.refused"] == "incentive/exemption@2024-08-02"
        assert found["pay.clawed_back"] == "incentive/clawback@2025-07-01"
        for run in RUNS:
            await b.tick(run)
        vested = await of(b, PayVested)
        assert [(part.staff, part.amount) for row in vested for part in row.parts] == [("s-assist", money("60.00"))] * 3
        assert await ledger(b) == {
            "pay_expense": "1500.00",
            "paid": "-1080.00",
            "deferred": "0.00",
            "to_reclaim": "630.00",
            "clawed_back": "-1050.00",
        }


async def test_a_loan_is_judged_by_the_rules_of_its_own_day_and_never_by_later_ones(
    bench: Make, monkeypatch: pytest.MonkeyPatch
):
    later = date(2026, 1, 1)

    def with_a_later_version(name: str) -> tuple[Version, ...]:
        known = read_versions(name)
        harder = {
            "incentive/exemption": {"red_lines": ["inspection_late"], "reductions": []},
            "incentive/clawback": {"reduced": {"stop": 1, "reclaim": 1}},
        }
        if name not in harder:
            return known
        return (*known, replace(known[-1], effective=later, terms={**known[-1].terms, **harder[name]}))

    monkeypatch.setattr("libs.runtime.policies.read_versions", with_a_later_version)
    async with bench(service) as b:
        await start(b, inspected("inspection_late"))
        await b.open(later)
        await b.react(disbursed("f-2"), inspected("inspection_late", facility="f-2"), on=later)
        await b.open(BAD_ON)
        await b.react(reclassified(), reclassified("f-2"), on=BAD_ON)
        await b.tick(DETERMINED_ON)
        yardsticks = {case.facility_id: case.yardstick for case in await of(b, CaseOpened)}
        assert yardsticks == {"f-1": "incentive/exemption@2024-08-02", "f-2": "incentive/exemption@2026-01-01"}
        leads = {case.facility_id: case.results[0].result for case in await of(b, CaseDetermined)}
        assert leads == {"f-1": "reduced", "f-2": "not_exempt"}
        taken = {back.facility_id: (back.stopped, back.reclaimed) for back in await of(b, PayClawedBack)}
        assert taken["f-1"] == (money("210.00"), money("0.00"))


async def test_slight_negligence_stops_half_of_what_waits(bench: Make):
    async with bench(service) as b:
        await start(b, inspected("inspection_late", staff="s-assist", evidence="log-3"))
        await b.open(BAD_ON)
        await b.react(reclassified(), on=BAD_ON)
        await b.tick(DETERMINED_ON)
        (granted,), (back,) = await of(b, ExemptionGranted), await of(b, PayClawedBack)
        assert [(row.role, row.result) for row in granted.results if row.result != "exempt_full"] == [
            ("assistant", "reduced")
        ]
        assert (back.stopped, back.reclaimed) == (money("90.00"), money("0.00"))
        assert await of(b, ExemptionRefused) == []


async def test_when_everybody_paid_crossed_a_red_line_no_pay_run_is_left(bench: Make):
    async with bench(service) as b:
        await start(b, inspected("collusion"), inspected("collusion", staff="s-assist"))
        await b.open(BAD_ON)
        await b.react(reclassified(), on=BAD_ON)
        await b.tick(DETERMINED_ON)
        assert (await b.dump())["timers"] == []
        assert await ledger(b) == {
            "pay_expense": "1500.00",
            "paid": "-900.00",
            "deferred": "0.00",
            "to_reclaim": "900.00",
            "clawed_back": "-1500.00",
        }


@pytest.mark.parametrize(("finding", "vested"), [("", ["200.00"]), ("falsified_file", ["60.00"])])
async def test_pay_is_held_while_a_case_is_open_and_released_to_the_exempt(
    bench: Make, finding: str, vested: list[str]
):
    bad_on = RUNS[0] - timedelta(days=10)
    async with bench(service) as b:
        await start(b, inspected(finding))
        await b.open(bad_on)
        await b.react(reclassified(), on=bad_on)
        await b.tick(RUNS[0])
        assert await of(b, PayVested) == []
        held = (await b.get("/v1/facilities/f-1", role="auditor")).json()["loans"][0]["instalments"]
        assert [row["status"] for row in held] == ["held", "deferred", "deferred"]
        await b.tick(bad_on + timedelta(days=60))
        assert [str(row.total.amount) for row in await of(b, PayVested)] == vested
        await ledger(b)


async def test_a_finding_of_the_day_of_determination_changes_nothing_whenever_it_comes(bench: Make):
    dumps = []
    for early in (True, False):
        async with bench(service) as b:
            await start(b)
            await b.open(BAD_ON)
            await b.react(reclassified(), on=BAD_ON)
            if early:
                await b.react(inspected("collusion"), on=DETERMINED_ON)
            await b.tick(DETERMINED_ON)
            if not early:
                await b.react(inspected("collusion"), on=DETERMINED_ON)
            assert await of(b, ExemptionRefused) == []
            dumps.append(await b.dump())
    assert dumps[0] == dumps[1]


async def test_a_case_opened_on_the_run_day_leaves_the_same_state_whichever_comes_first(bench: Make):
    dumps = []
    for early in (True, False):
        async with bench(service) as b:
            await start(b, inspected("falsified_file"))
            await b.tick(RUNS[0] - timedelta(days=1))
            if early:
                await b.react(reclassified(), on=RUNS[0])
            await b.tick(RUNS[0])
            if not early:
                await b.react(reclassified(), on=RUNS[0])
            assert [row.number for row in await of(b, PayVested)] == [1]
            await b.tick(RUNS[0] + timedelta(days=60))
            (back,) = await of(b, PayClawedBack)
            assert (back.stopped, back.reclaimed) == (money("280.00"), money("770.00"))
            dumps.append(await b.dump())
    assert dumps[0] == dumps[1]


async def test_an_event_about_a_loan_nobody_disbursed_parks(bench: Make):
    async with bench(service) as b:
        await b.open(BAD_ON)
        await b.react(reclassified(), on=BAD_ON)
        (reason,) = await b.parked()
        assert reason.startswith("loan_unknown")


async def test_a_grade_the_pay_policy_does_not_price_parks_and_pays_nobody(bench: Make):
    async with bench(service) as b:
        await b.open(DISBURSED_ON)
        await b.react(disbursed(grade="ZZ"), on=DISBURSED_ON)
        (reason,) = await b.parked()
        assert reason.startswith("grade_without_price")
        assert await b.published() == []
        assert await ledger(b) == {}


async def test_a_second_disbursement_of_the_same_loan_parks_and_pays_nobody_twice(bench: Make):
    async with bench(service) as b:
        await start(b, disbursed())
        (reason,) = await b.parked()
        assert reason.startswith("pay_already_accrued")
        assert (await ledger(b))["pay_expense"] == "1500.00"


async def test_the_us_replay_determines_twenty_days_after_the_loan_turns_bad_in_dollars(bench: Make):
    on = date(1994, 5, 2)
    async with bench(service, profile="us-sba") as b:
        await b.open(on)
        await b.react(disbursed(currency="USD", grade="C"), on=on)
        (accrued,) = await of(b, ResultAccrued)
        assert accrued.total == money("400.00", "USD")
        bad_on = on + timedelta(days=120)
        await b.open(bad_on)
        await b.react(reclassified(), on=bad_on)
        await b.tick(bad_on + timedelta(days=20))
        (opened,) = await of(b, CaseOpened)
        assert opened.yardstick == "incentive/exemption-us-sba@1970-01-01"
        assert len(await of(b, CaseDetermined)) == 1


async def test_a_hundred_loans_of_random_fate_in_one_batch_keep_the_ledger_at_zero(bench: Make):
    chance = random.Random(7)
    facilities = [f"f-{number:03}" for number in range(100)]
    amounts = {facility: f"{chance.randint(1, 10**9) / 100:.2f}" for facility in facilities}
    async with bench(service) as b:
        await b.open(DISBURSED_ON)
        await b.react(
            *(disbursed(f, amount=amounts[f], grade=chance.choice("ABC")) for f in facilities), on=DISBURSED_ON
        )
        codes = ("", "falsified_file", "inspection_late", "in_order")
        bad = [facility for facility in facilities if chance.random() < 0.5]
        await b.react(
            *(inspected(chance.choice(codes), facility=f, staff=chance.choice(["s-lead", "s-assist"])) for f in bad),
            on=DISBURSED_ON,
        )
        bad_on = RUNS[0] - timedelta(days=30)
        await b.open(bad_on)
        await b.react(*(reclassified(facility) for facility in bad), on=bad_on)
        for day in (RUNS[0], bad_on + timedelta(days=60), *RUNS[1:]):
            await b.tick(day)
            await ledger(b)
        assert await b.parked() == []
        assert len(await of(b, CaseDetermined)) == len(bad)
        assert (await ledger(b))["deferred"] == "0.00"
        assert (await b.dump())["timers"] == []
