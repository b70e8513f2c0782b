"""A stand-in follows its script and is honest without one; how often it was asked to pay is on its books."""

from __future__ import annotations

import httpx
import pytest

from deploy.demo import core_bank, misbehaviour

ORDER = {"reference": "r1", "facility_ref": "f1", "amount": "5.00", "currency": "CNY", "business_date": "2026-01-05"}


async def test_the_words_of_a_script_are_for_the_next_orders_and_the_books_tell_what_was_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(misbehaviour, "LATE_SECONDS", 0.0)
    core_bank._paid.clear()
    core_bank._orders.clear()
    transport = httpx.ASGITransport(core_bank.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bank") as http:

        async def order(reference: str) -> httpx.Response:
            return await http.post("/disbursements", json={**ORDER, "reference": reference})

        assert (await http.post("/misbehaviour", json={"script": ["shout"]})).status_code == 422
        await http.post("/misbehaviour", json={"script": ["fail", "late"]})
        assert (await order("r1")).status_code == 500
        assert (await http.get("/orders")).json() == []
        assert (await http.get("/misbehaviour")).json() == {"script": ["late"]}
        assert (await order("r1")).json()["status"] == "paid"
        assert (await order("r1")).json()["status"] == "paid"
        (book,) = (await http.get("/orders")).json()
        assert (book["reference"], book["facility_ref"], book["times"]) == ("r1", "f1", 2)
        await http.post("/misbehaviour", json={"script": ["lose"]})
        with pytest.raises(AssertionError):  # the transport expects a whole answer; a server drops the line
            await order("r2")
        assert (await http.get("/disbursements/r2")).json()["status"] == "paid"
