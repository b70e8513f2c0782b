"""Agreements come in versions that both sides sign; branches adopt them within limits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from services.guarantee.main import service
from tests.guarantee.stories import AGREED, DAY, Story, admit, agree, capacity
from tests.harness.bench import Bench

Benches = Callable[..., Bench]
ONE = Story()


async def test_a_version_is_signed_by_both_sides_under_the_same_terms(bench: Benches) -> None:
    path = "/v1/agreements/reg-4321/signatures"
    async with bench(service) as b:
        await admit(b)
        drafted = (await b.post("/v1/agreements", AGREED, role="admin", actor="drafter")).json()
        body = {"effective": AGREED["effective"], "digest": drafted["digest"]}
        await b.react(ONE.submitted(), ONE.rated(), on=DAY)
        assert (await b.published())[-1].reason == "agreement_not_in_force"  # nobody has signed

        async def sign(party: str, actor: str = "", **change: str) -> tuple[int, str]:
            answer = await b.post(path, {**body, "party": party, **change}, role="admin", actor=actor)
            return answer.status_code, answer.json().get("code", "")

        assert await sign("bank", "drafter") == (403, "maker_is_checker")
        assert await sign("another") == (403, "not_a_party")
        assert await sign("city-guarantee", digest="0" * 64) == (409, "other_terms_signed")
        assert (await sign("city-guarantee"))[0] == 200
        assert await sign("city-guarantee") == (409, "already_signed")
        assert (await sign("bank"))[0] == 200
        again = Story(name="again")
        await b.react(again.submitted(), again.rated(), on=DAY)
        assert (await b.names())[-1] == "capacity.reserved"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"effective": "2025-06-30"}, "version_not_latest"),
        ({"effective": "2026-01-01", "partner_id": "other"}, "version_of_another"),
    ],
)
async def test_a_version_follows_those_before_it(bench: Benches, change: dict[str, str], code: str) -> None:
    async with bench(service) as b:
        await admit(b, AGREED)
        assert (
            await b.post("/v1/partners", {"partner_id": "other", "name": "O", "kind": "x"}, role="admin")
        ).is_success
        answer = await b.post("/v1/agreements", {**AGREED, **change}, role="admin")
        assert (answer.status_code, answer.json()["code"]) == (409, code)
        await agree(b, {**AGREED, "effective": "2026-01-01"})
        assert (await b.get("/v1/agreements/reg-4321")).json()["versions"] == [
            "reg-4321@2025-07-01",
            "reg-4321@2026-01-01",
        ]


async def test_a_branch_may_only_narrow_what_it_adopts(bench: Benches) -> None:
    path = "/v1/agreements/reg-4321/adoptions"
    wide = {"branch": "b1", "capacity": {"amount": "1000000.01", "currency": "CNY"}, "grades": ["A"]}
    async with bench(service) as b:
        await admit(b, AGREED)
        for change in ({}, {"capacity": {"amount": "1", "currency": "CNY"}, "grades": ["A", "C"]}):
            answer = await b.post(path, {**wide, **change}, role="admin")
            assert (answer.status_code, answer.json()["code"]) == (422, "adoption_too_wide")
        assert (await b.post("/v1/agreements/none/adoptions", wide, role="admin")).status_code == 404


async def test_a_new_version_counts_from_its_day_once_both_have_signed_and_old_covers_keep_theirs(
    bench: Callable[..., Bench],
) -> None:
    old, new = Story(name="old"), Story(name="new")
    later = {**AGREED, "effective": "2025-09-02", "claim_wait_days": 30}
    async with bench(service) as b:
        await admit(b, AGREED)
        await old.bind(b)
        await agree(b, later)
        assert (await b.get("/v1/agreements/reg-4321")).json()["agreement"]["ref"] == "reg-4321@2025-07-01"
        await b.react(new.submitted(), new.rated(), on=DAY + timedelta(days=1))
        await b.answer("partner.cover", 200, accepted=True)
        terms = [(await b.get(f"/v1/facilities/{story.facility_id}")).json()["cover"]["terms"] for story in (old, new)]
        assert terms == ["reg-4321@2025-07-01", "reg-4321@2025-09-02"]
        assert (await b.published())[-1].terms == "reg-4321@2025-09-02"
        assert await capacity(b) == ("160000.00", "160000.00")  # one capacity for all versions
