"""Capacity is never over its limit at any instant, whoever asks at the same time and in whatever order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from libs.events.guarantee import CoverRefused
from libs.runtime.tx import Cause, Tx
from services.guarantee.domain.capacity import Bound, Holding, Line, PoolKind
from services.guarantee.main import service
from services.guarantee.store import reserve, take_turn
from tests.guarantee.stories import AGREED, DAY, MATURITY, Story, admit, capacity, cny
from tests.harness.bench import Bench

LAST_UNIT = {**AGREED, "capacity": {"amount": "80000.00", "currency": "CNY"}}


async def pools(bench: Bench) -> dict[str, tuple[str, str, str]]:
    """(reserved, bound, active) of every pool."""
    async with bench.parts.engine.connect() as conn:
        rows = await conn.exec_driver_sql("SELECT pool, reserved, bound, active FROM pools")
        return {pool: tuple(str(amount) for amount in amounts) for pool, *amounts in rows}  # type: ignore[misc]  # three


async def over_limit(bench: Bench, until: asyncio.Event) -> int:
    """Sample the pools until told to stop; how often one held more than its size. Fails if it never looked."""
    looked = broken = 0
    async with bench.parts.engine.connect() as conn:
        while not until.is_set() or not looked:
            rows = await conn.exec_driver_sql("SELECT count(*) FILTER (WHERE reserved + outside > size) FROM pools")
            broken += rows.scalar_one()
            looked += 1
            await conn.rollback()
            await asyncio.sleep(0)
    return broken


async def test_of_a_hundred_at_once_exactly_one_gets_the_last_unit(bench: Callable[..., Bench]) -> None:
    stories = [Story(name=f"rival-{number}") for number in range(100)]
    async with bench(service) as b:
        await admit(b, LAST_UNIT)
        done = asyncio.Event()
        watch = asyncio.create_task(over_limit(b, done))
        await asyncio.gather(*(b.react(story.submitted(), story.rated(), on=DAY) for story in stories))
        done.set()
        assert await watch == 0
        names = await b.names()
        assert (names.count("capacity.reserved"), names.count("cover.refused")) == (1, 99)
        assert len(await b.calls()) == 1
        assert (await capacity(b), await b.parked()) == (("80000.00", "0.00"), [])


async def test_the_sampling_reader_sees_a_pool_that_holds_too_much(bench: Callable[..., Bench]) -> None:
    async with bench(service) as b:
        async with b.parts.engine.begin() as conn:
            await conn.exec_driver_sql("INSERT INTO pools (pool, kind, size, reserved) VALUES ('x', 'year', 1, 2)")
        done = asyncio.Event()
        done.set()
        assert await over_limit(b, done) == 1


async def test_batches_that_take_agreements_in_opposite_order_do_not_deadlock(bench: Callable[..., Bench]) -> None:
    codes = ("left", "right")
    async with bench(service) as b:
        await admit(b)
        both_began = asyncio.Barrier(2)

        async def take(*order: str) -> None:
            async with b.parts.transaction() as unit:
                tx = Tx(unit, Cause(actor="test"), DAY)
                await both_began.wait()
                for code in order:
                    await take_turn(tx)
                    line = Line(pool=f"agreement/{code}", kind=PoolKind.AGREEMENT)
                    bound = Bound(line=line, size=cny("2"), outside=cny("0"))
                    held = Holding(held=cny("1"), bound=cny("0"), active=cny("0"), used=cny("0"))
                    assert await reserve(tx, [bound], held) == ""
                    await asyncio.sleep(0.05)

        await asyncio.wait_for(asyncio.gather(take(*codes), take(*reversed(codes))), timeout=30)
        assert await pools(b) == {f"agreement/{code}": ("2.00", "0.00", "0.00") for code in codes}


async def test_what_one_gives_back_the_next_can_take(bench: Callable[..., Bench]) -> None:
    first, second, third = (Story(name=name) for name in ("first", "second", "third"))
    async with bench(service) as b:
        await admit(b, LAST_UNIT)
        await first.bind(b)
        await b.react(second.submitted(), second.rated(), on=DAY)
        assert (await b.names())[-1] == "cover.refused"
        await b.react(first.refused(), on=DAY)
        await b.react(third.submitted(), third.rated(), on=DAY)
        assert (await b.names())[-2:] == ["cover.requested", "capacity.reserved"]


async def test_a_hold_nobody_answers_expires_and_returns(bench: Callable[..., Bench]) -> None:
    story = Story()
    async with bench(service) as b:
        await admit(b, {**LAST_UNIT, "binding": {"hold_days": 5}})
        await b.react(story.submitted(), story.rated(), on=DAY)
        await b.tick(DAY + timedelta(days=4))
        assert await capacity(b) == ("80000.00", "0.00")
        await b.tick(DAY + timedelta(days=5))
        assert (await b.names())[-2:] == ["cover.refused", "capacity.released"]
        assert (await b.published())[-2].reason == "hold_expired"
        assert await capacity(b) == ("0.00", "0.00")
        await b.answer("partner.cover", 200, accepted=False, reason="too late")
        assert (await capacity(b), await b.parked()) == (("0.00", "0.00"), [])


async def test_an_answer_in_time_stops_the_hold_from_expiring(bench: Callable[..., Bench]) -> None:
    async with bench(service) as b:
        await admit(b, {**LAST_UNIT, "binding": {"hold_days": 5}})
        await Story().bind(b)
        await b.tick(DAY + timedelta(days=6))
        assert (await b.names())[-1] == "cover.bound"


async def test_a_cover_runs_through_all_its_pools(
    bench: Callable[..., Bench],
) -> None:
    story = Story()
    async with bench(service) as b:
        await admit(b, {**AGREED, "adopting": "adopted_only", "limits": {"year_max": "90000.00"}})
        adoption = {"branch": "b1", "capacity": {"amount": "500000", "currency": "CNY"}, "grades": ["A"]}
        answer = await b.post("/v1/agreements/reg-4321/adoptions", adoption, role="admin")
        assert answer.status_code == 200, answer.text
        names = {
            "agreement/reg-4321",
            "year/reg-4321/2025",
            "obligor/city-guarantee/b1/CNY",
            "leverage/city-guarantee/CNY",
            "branch/reg-4321/b1",
        }
        await b.react(story.submitted(), story.rated(), on=DAY)
        assert await pools(b) == dict.fromkeys(names, ("80000.00", "0.00", "0.00"))
        await b.answer("partner.cover", 200, accepted=True)
        assert await pools(b) == dict.fromkeys(names, ("80000.00", "80000.00", "0.00"))
        await b.react(story.disbursed("90000"), on=DAY)
        assert await pools(b) == dict.fromkeys(names, ("72000.00", "72000.00", "72000.00"))
        await b.react(story.repaid("45000", "45000"), on=DAY)
        used = {"year/reg-4321/2025": ("72000.00", "72000.00", "72000.00")}
        assert await pools(b) == {**dict.fromkeys(names, ("36000.00", "36000.00", "36000.00")), **used}
        await b.react(story.repaid("45000", "0"), story.closed("repaid"), on=DAY)
        assert await pools(b) == {**dict.fromkeys(names, ("0.00", "0.00", "0.00")), **used}

        later = Story(name="later", amount="30000")
        await b.react(later.submitted(), later.rated(), on=DAY)
        assert (await b.published())[-1].reason == "year_limit_reached"
        await b.open(MATURITY)  # in the next year there is room again
        next_year = Story(name="next year", amount="30000")
        await b.react(next_year.submitted(), next_year.rated(), on=MATURITY)
        assert (await b.names())[-1] == "capacity.reserved"


async def test_what_a_partner_reports_of_itself_and_of_an_obligor_bounds_what_is_bound(
    bench: Callable[..., Bench],
) -> None:
    async def ask(name: str, b: Bench, on: date = DAY) -> str:
        story = Story(name=name)
        await b.react(story.submitted(), story.rated(), on=on)
        last = (await b.published())[-1]
        return last.reason if isinstance(last, CoverRefused) else ""

    async def report(b: Bench, what: str, **figures: Any) -> int:
        money = {key: {"amount": value, "currency": "CNY"} for key, value in figures.items() if key in MONEY}
        body = {"as_of": "2025-08-31", **figures, **money}
        answer = await b.post(f"/v1/partners/city-guarantee/{what}", body, role="admin")
        return answer.status_code

    async with bench(service) as b:
        company = {**AGREED, "partner_id": "city-guarantee"}
        await admit(b, company, partner_kind="guarantee-company")
        assert await ask("free", b) == ""
        assert await report(b, "standing", net_assets="2000000", outside="19900000") == 200
        assert await ask("geared", b) == "leverage_limit_reached"
        assert await report(b, "standing", net_assets="2000000", outside="0") == 200
        assert await report(b, "exposures", obligor="b1", outside="40000.01", related_group="family") == 200
        assert await ask("too much for one", b) == "obligor_limit_reached"
        assert await report(b, "exposures", obligor="b1", outside="40000.00", related_group="family") == 200
        assert await ask("just right", b) == ""
        assert await report(b, "standing", as_of="2025-08-30", net_assets="1", outside="0") == 409
        assert await report(b, "standing", as_of="2025-09-02", net_assets="1", outside="0") == 422
        assert await ask("old figures", b, DAY + timedelta(days=120)) == "partner_figures_too_old"


MONEY = ("net_assets", "outside")


async def test_nothing_is_bound_during_a_suspension_not_even_what_was_being_asked(bench: Callable[..., Bench]) -> None:
    before, during, after = (Story(name=name) for name in ("before", "during", "after"))
    path = "/v1/agreements/reg-4321"
    async with bench(service) as b:
        await admit(b, AGREED)
        await before.bind(b)
        await b.react(during.submitted(), during.rated(), on=DAY)
        assert (await b.post(f"{path}/reinstatement", {"reason": "x"}, role="risk_director")).status_code == 409
        answer = await b.post(f"{path}/suspension", {"reason": "overdue_ratio"}, role="risk_director")
        assert (answer.status_code, (await b.names())[-1]) == (200, "partner.suspended")
        assert (await b.post(f"{path}/suspension", {"reason": "x"}, role="risk_director")).status_code == 409
        assert (await b.get(path)).json()["suspended_since"] == DAY.isoformat()
        await b.answer("partner.cover", 200, accepted=True)
        assert [body.reason for body in (await b.published())[-2:]] == ["agreement_suspended"] * 2
        await b.react(after.submitted(), after.rated(), on=DAY)
        assert (await b.published())[-1].reason == "agreement_suspended"
        await b.react(before.disbursed(), on=DAY)  # what was bound before stays
        assert "cover.activated" in await b.names()
        assert (await b.post(f"{path}/reinstatement", {"reason": "cured"}, role="risk_director")).status_code == 200
        again = Story(name="again")
        await b.react(again.submitted(), again.rated(), on=DAY)
        assert (await b.names())[-2:] == ["cover.requested", "capacity.reserved"]
