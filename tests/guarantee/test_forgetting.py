"""What partners were told is kept for its days and no longer, and nobody is asked for whom there is nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from libs.runtime.janitor import Janitor
from services.guarantee import deliveries
from services.guarantee.deliveries import Deliverer
from services.guarantee.main import service
from tests.guarantee.stories import AGREED, DAY, admit
from tests.guarantee.test_webhooks import (
    HIS_OWN,
    HOOKS,
    ONE,
    Receiver,
    all_through,
    ask,
    delivering,
    heard,
    register,
    run,
)
from tests.harness.bench import Bench

Benches = Callable[..., Bench]


async def test_what_partners_were_told_is_forgotten_in_the_end_and_a_cursor_from_before_is_told_so(
    bench: Benches,
) -> None:
    receiver = Receiver()
    async with bench(service, partner_events_days_kept=400, deliveries_days_kept=90) as b:
        await admit(b, AGREED)
        await ONE.bind(b)
        await b.react(ONE.disbursed(), on=DAY)
        reader = b.bearer("system", "partner", party=HIS_OWN, scope="events.read")

        async def read(query: str) -> httpx.Response:
            return await b.http.get(f"/v1/partner-events?{query}", headers=reader)

        first = (await read("limit=1")).json()
        count = len((await read("")).json()["items"])
        assert count > 3
        await run(b, "UPDATE partner_events SET told_at = now() - interval '401 days' WHERE number <= 3")
        await register(b)
        async with delivering(b, receiver):
            await ask(
                b,
                f"{HOOKS}/{(await b.get(HOOKS)).json()[0]['endpoint_id']}/replays",
                {"since": "2020-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z"},
            )
            await heard(receiver, count)
            await all_through(b)
        assert await Janitor(b.parts).sweep() == 0, "each was shown in a delivery just now"
        await run(b, "UPDATE deliveries SET created = now() - interval '91 days' WHERE number <> 3")
        assert await Janitor(b.parts).sweep() == count - 1 + 2
        assert [item["number"] for item in (await read("limit=1")).json()["items"]] == [3]
        gone = await read(f"cursor={first['next']}")
        assert (gone.status_code, gone.json()["code"], gone.json()["first"]) == (409, "events_forgotten", 3)
        await run(b, "DELETE FROM deliveries")
        assert await Janitor(b.parts).sweep() == 1
        assert [item["number"] for item in (await read("")).json()["items"]] == list(range(4, count + 1))


async def test_nothing_is_asked_of_the_database_at_an_event_while_no_partner_has_an_endpoint(
    bench: Benches, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    kept = deliveries.borrowed

    def counted(engine: Any) -> Any:
        asked.append(engine)
        return kept(engine)

    monkeypatch.setattr(deliveries, "borrowed", counted)
    monkeypatch.setattr(deliveries, "POLL_SECONDS", 3_600.0)
    async with bench(service) as b:
        await admit(b, AGREED)
        worker = Deliverer(b.parts, httpx.MockTransport(Receiver().handle))
        for _ in range(20):
            assert await worker._claim(1) == []
        assert len(asked) == 1
        await register(b)
        await ONE.bind(b)
        worker._look_at = 0.0  # a second has passed
        assert len(await worker._claim(1)) == 1
