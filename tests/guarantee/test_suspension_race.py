"""No bind slips through while an agreement is being suspended; what was bound stays; arrears behind suspend, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, timedelta

from libs.events.guarantee import CoverBound, PartnerSuspended
from libs.runtime.tx import Cause, Tx
from services.guarantee.commands.agreements import suspend_agreement
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, DAY, Story, admit
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
WIDE = {**AGREED, "capacity": {"amount": "100000000.00", "currency": "CNY"}}
PATH = "/v1/agreements/reg-4321"
RIVALS = 12


async def waits_for_the_turn(bench: Bench) -> None:
    """Return once somebody waits for the lock that another holds."""
    async with bench.parts.engine.connect() as conn:
        while True:
            rows = await conn.exec_driver_sql(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            if rows.scalar_one():
                return
            await conn.rollback()
            await asyncio.sleep(0.01)


async def test_a_yes_that_meets_an_open_suspension_waits_for_it_and_does_not_bind(bench: Benches) -> None:
    story = Story()
    async with bench(service) as b:
        await admit(b, WIDE)
        await b.react(story.submitted(), story.rated(), on=DAY)
        async with b.parts.transaction() as unit:
            await suspend_agreement(Tx(unit, Cause(actor="risk"), DAY), "reg-4321", "overdue_ratio")
            yes = asyncio.create_task(b.answer("partner.cover", 200, accepted=True))
            await asyncio.wait_for(waits_for_the_turn(b), timeout=60)
            assert not yes.done()
            await unit.flush()
        await yes
        assert [body.reason for body in (await b.published())[-2:]] == ["agreement_suspended"] * 2


async def test_of_many_binds_at_once_none_comes_after_the_suspension_and_what_was_bound_stays(bench: Benches) -> None:
    asked = [Story(name=f"asked-{number}") for number in range(RIVALS)]
    fresh = [Story(name=f"fresh-{number}") for number in range(RIVALS)]
    async with bench(service) as b:
        await admit(b, WIDE)
        for story in asked:
            await b.react(story.submitted(), story.rated(), on=DAY)
        await b.answer("partner.cover", 200, accepted=True)  # one before, so that something stays
        answers = [b.answer("partner.cover", 200, accepted=True) for _ in asked[2:]]
        requests = [b.react(story.submitted(), story.rated(), on=DAY) for story in fresh]
        suspension = b.post(f"{PATH}/suspension", {"reason": "x"}, role="risk_director")
        half = RIVALS // 2
        rivals = [*answers[:half], *requests[:half], suspension, *answers[half:], *requests[half:]]
        await asyncio.gather(*rivals)
        await b.answer("partner.cover", 200, accepted=True)  # one after
        published, names = await b.published(), await b.names()
        end = next(place for place, body in enumerate(published) if isinstance(body, PartnerSuspended))
        assert {"cover.bound", "capacity.reserved"}.isdisjoint(names[end:])
        bound = sum(isinstance(body, CoverBound) for body in published)
        refused = [body.reason for body, name in zip(published, names, strict=True) if name == "cover.refused"]
        assert set(refused) == {"agreement_suspended"}
        held = (await b.get(PATH)).json()
        assert held["bound"]["amount"] == f"{bound * 80000}.00"
        open_calls = len(await b.calls())  # asked for before the suspension, by the fresh ones
        assert (bound + len(refused) + open_calls, await b.parked()) == (2 * RIVALS, [])
        assert bound >= 1


async def test_arrears_of_those_behind_the_partner_warn_throttle_suspend_and_reinstate(bench: Benches) -> None:
    story = Story()
    chain = {
        **AGREED,
        "legs": [{"party": "reguarantor", "working_days": 1, "proof": "receipt"}],
        "arrears": {"warn_at": "0.5", "suspend_at": "0.9", "throttle_to": "0.6", "reinstate_at": "0.2"},
    }
    async with bench(service) as b:
        await admit(b, chain)
        await b.tick(await story.accept_claim(b))
        await b.answer("partner.claim_payment", 200, paid=True, receipt="R-1")
        view = (await b.get(f"/v1/facilities/{story.facility_id}")).json()
        (leg,) = view["reimbursements"]
        assert (await b.get(PATH)).json()["record"]["behind"] == leg["amount"]
        await b.tick(date.fromisoformat(leg["due"]) + timedelta(days=1))
        assert (await b.names())[-3:] == ["reguarantee.overdue", "partner.warned", "partner.suspended"]
        suspended = (await b.published())[-1]
        assert (suspended.reason, suspended.agreement) == ("reimbursement_arrears", "reg-4321")
        claim = view["claims"][-1]["claim_id"]
        path = f"/v1/facilities/{story.facility_id}/claims/{claim}/reimbursements"
        for amount, receipt in (("10000.00", "Q-1"), ("11000.00", "Q-2")):
            body = {"party": "reguarantor", "amount": {"amount": amount, "currency": "CNY"}, "receipt": receipt}
            assert (await b.post(path, body, role="customer_manager")).status_code == 200
        assert leg["amount"]["amount"] == "21000.00"
        assert (await b.names())[-1] == "partner.reinstated"
        record = (await b.get(PATH)).json()["record"]
        assert (record["behind_late"]["amount"], record["warned_behind"]) == ("0.00", False)
