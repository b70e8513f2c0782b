"""Sandbox partners: whatever they do, nothing is bound or paid twice, and in the end they know what happened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local import partner, token_door
from deploy.local.token_door import PARTNER_SCOPES, add_client
from deploy.partner.bank import Access, Bank
from deploy.partner.desk import Desk, make_app
from deploy.partner.script import Plan, Script, Word
from services.guarantee.deliveries import Deliverer
from services.guarantee.main import service
from services.guarantee.partners.standard import StandardPort
from tests.guarantee.stories import AGREED, CLAIM_DAY, DAY, DUE, Story, admit
from tests.harness.bench import Bench
from tests.harness.live import until
from tests.harness.whole import Switchboard

Benches = Callable[..., Bench]
CALLING = {**AGREED, "contact": "partner_calls"}
OWN, BEHIND = "city-guarantee", "reguarantor"
CHAIN = {**AGREED, "legs": [{"party": BEHIND, "working_days": 30, "proof": "payment certificate"}]}
TOKENS = "http://tokens/token"


@dataclass(slots=True)
class Sandbox:
    """A bank with one calling partner, both in this process, joined by nothing but HTTP."""

    b: Bench
    desk: Desk

    async def cover(self, story: Story, state: str) -> str:
        """Wait until the facility's cover stands there; its reason."""

        async def there() -> bool:
            view = (await self.b.get(f"/v1/facilities/{story.facility_id}")).json()
            return bool(view["cover"]["state"] == state)

        await until(there, f"the cover of {story.name} is {state}")
        view = (await self.b.get(f"/v1/facilities/{story.facility_id}")).json()
        return str(view["cover"]["reason"])

    async def heard(self, count: int) -> None:
        """Wait until the partner was told so many events."""

        async def came() -> bool:
            return len(self.desk.books.events) >= count

        await until(came, f"{count} events")


@asynccontextmanager
async def sandbox(
    b: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch, party: str = OWN, agreed: Mapping[str, Any] = CALLING
) -> AsyncIterator[Sandbox]:
    monkeypatch.setenv("ISSUER_FOLDER", str(folder))
    access = Access(
        partner_id=party,
        guarantee_url="http://guarantee",
        token_url=TOKENS,
        client_id="system",
        client_secret=add_client(folder, "system", party),
    )
    bank = Bank(access, Switchboard({"guarantee": service.app, "tokens": token_door.app}))
    desk = Desk(bank=bank, hook="https://sandbox/hooks", calling=party == OWN)
    registering = asyncio.create_task(desk.register())
    await asyncio.sleep(0.05)  # it asks before it is admitted, and goes on asking
    await admit(b, dict(agreed))
    if party != OWN:
        admitted = {"partner_id": party, "name": party, "kind": "re-guarantor"}
        assert (await b.post("/v1/partners", admitted, role="admin")).status_code == 201
    await registering
    worker = Deliverer(b.parts, Switchboard({"sandbox": make_app(desk)}))
    delivering = asyncio.create_task(worker.run())
    yield Sandbox(b, desk)
    worker.close()
    await delivering
    await bank.close()


async def test_whatever_a_partner_does_its_covers_bind_once_and_it_knows_them(
    bench: Benches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {
        Word.GOOD: [200],
        Word.TWICE: [200, 409],
        Word.LOSE: [200, 200],
        Word.WAVER: [200, 409],
        Word.GARBAGE: [422, 200],
        Word.DENY: [200],
    }
    async with bench(service) as b, sandbox(b, tmp_path, monkeypatch) as s:
        for word, statuses in said.items():
            story = Story(name=word.value, amount="1000")
            s.desk.script.take(Plan(next=(word,)))
            s.desk.answers.clear()
            await b.react(story.submitted(), story.rated(), on=DAY)
            reason = await s.cover(story, "refused" if word is Word.DENY else "bound")
            assert reason == ("declined_by_underwriting" if word is Word.DENY else "")
            await s.heard(3 * (list(said).index(word) + 1) + (word is Word.DENY))
            assert [status for _, status in s.desk.answers] == statuses, word
        assert s.desk.books.counts()["cover.bound"] == len(said) - 1
        assert (s.desk.books.missing, s.desk.books.unordered) == ([], 0)


async def test_a_partner_that_lies_about_what_it_paid_pays_what_it_owes(
    bench: Benches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story()
    async with bench(service) as b, sandbox(b, tmp_path, monkeypatch) as s:
        await b.react(story.submitted(), story.rated(), on=DAY)
        await s.cover(story, "bound")
        await b.react(story.disbursed(), on=DAY)
        await b.open(date(2025, 12, 21))
        await b.react(story.overdue("70000"), on=date.fromordinal(DUE.toordinal() + 1))
        s.desk.script.take(Plan(next=(Word.GOOD, Word.LIE)))
        await b.tick(CLAIM_DAY)

        async def paid() -> bool:
            return "claim.paid" in await b.names() and "claim.paid" in s.desk.books.counts()

        await until(paid, "the claim is paid and the partner told so")
        assert s.desk.answers[-2:] == [("payments", 409), ("payments", 200)]
        assert (await b.names()).count("claim.paid") == 1
        assert s.desk.books.totals()["paid"] == "56000.00"


async def test_a_calling_sandbox_answers_a_change_at_the_banks_door(
    bench: Benches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story()
    async with bench(service) as b, sandbox(b, tmp_path, monkeypatch) as s:
        await b.react(story.submitted(), story.rated(), on=DAY)
        await s.cover(story, "bound")
        await b.react(story.disbursed(), on=DAY)
        for number, (word, outcome) in enumerate(
            ((Word.WAVER, "consented"), (Word.DENY, "refused"), (Word.GARBAGE, "consented"))
        ):
            s.desk.script.take(Plan(next=(word,)))
            body = {"kind": "extended", "annual_rate": "0.045", "maturity": f"2027-0{number + 1}-01", "document": "E"}
            path = f"/v1/facilities/{story.facility_id}/loans/{story.loan_id}/changes"
            before = s.desk.books.counts().get(f"change.{outcome}", 0)
            assert (await b.post(path, body, role="customer_manager")).status_code == 201

            async def answered(outcome: str = outcome, before: int = before) -> bool:
                return s.desk.books.counts().get(f"change.{outcome}", 0) > before

            await until(answered, f"the change is {outcome}, and the partner knows")
        assert [status for what, status in s.desk.answers if what == "answer"] == [200, 409, 200, 422, 200]


async def test_a_partner_reads_by_cursor_what_no_webhook_brought(
    bench: Benches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(service) as b, sandbox(b, tmp_path, monkeypatch) as s:
        endpoint = (await b.get("/v1/partners/city-guarantee/webhooks")).json()[0]["endpoint_id"]
        path = f"/v1/partners/city-guarantee/webhooks/{endpoint}/disabling"
        assert (await b.post(path, {}, role="admin")).status_code == 200
        await b.react(Story().submitted(), Story().rated(), on=DAY)
        await s.desk.read_events()
        assert (s.desk.books.pushed, len(s.desk.books.events)) == (0, 2)
        await s.cover(Story(), "bound")
        await s.desk.read_events()
        assert s.desk.books.counts()["cover.bound"] == 1


async def test_who_stands_behind_the_payer_is_told_of_its_part_alone_and_reimburses_it(
    bench: Benches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story()
    async with bench(service) as b, sandbox(b, tmp_path, monkeypatch, BEHIND, CHAIN) as s:
        s.desk.script.take(Plan(next=(Word.LIE,)))
        pay_by = await story.accept_claim(b)
        await b.tick(pay_by)
        await b.answer("partner.claim_payment", 200, paid=True, receipt="R-1")
        await s.heard(2)
        assert s.desk.books.counts() == {"claim.paid": 1, "reguarantee.reimbursed": 1}
        assert s.desk.answers == [("reimbursements", 409), ("reimbursements", 200)]  # twice its part is more than owed
        assert (await b.names()).count("reguarantee.reimbursed") == 1
        totals = s.desk.books.totals()
        assert (totals["paid"], totals["reimbursed"]) == ("0.00", "21000.00")
        assert (await b.get(f"/v1/facilities/{story.facility_id}")).json()["reimbursements"][0]["paid"]["amount"] == (
            "21000.00"
        )
        await b.react(story.recovered("10000.00"), on=pay_by)
        await s.heard(3)
        assert s.desk.books.counts()["recovery.shared"] == 1
        # It reports for itself alone, and only where it owes.
        claim = (await b.get(f"/v1/facilities/{story.facility_id}")).json()["claims"][0]["claim_id"]
        path = f"/v1/facilities/{story.facility_id}/claims/{claim}/reimbursements"
        amount = {"amount": "1.00", "currency": "CNY"}
        assert s.desk.bank is not None
        for party, at in (("government", path), (BEHIND, path.replace(claim, "no-claim"))):
            answer = await s.desk.bank.post(at, {"party": party, "amount": amount, "receipt": "R-9"})
            assert (answer.status_code, answer.json()["code"]) == (404, "no_cover")


async def test_a_called_sandbox_answers_changes_as_its_script_says() -> None:
    desk, port = Desk(), StandardPort()
    desk.books.covers["cover"] = {"accepted": True}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=make_app(desk)), base_url="http://sandbox") as http:

        async def asked(word: Word, cover: str = "cover") -> tuple[bool, bool | None]:
            """What it says to a change, and to the inquiry after it."""
            desk.script.take(Plan(next=(word,)))
            body = {
                "reference": word.value + cover,
                "cover_reference": cover,
                "change": "extended",
                "heavier": ["rate"],
            }
            body |= {"annual_rate": "0.05", "maturity": "2026-09-01", "answer_by": "2025-09-16"}
            request = {"body": {**body, "business_date": "2025-09-01"}}
            said = await port.send_change(http, body["reference"], request)
            again = await port.inquire_change(http, body["reference"], request)
            return said.body.get("accepted", False), again.body["accepted"] if again else None

        assert await asked(Word.GOOD) == (True, True)
        assert await asked(Word.GOOD, "not-ours") == (False, False)
        assert await asked(Word.DENY) == (False, False)
        assert await asked(Word.WAVER) == (True, False)
        assert await asked(Word.DOWN) == (False, None)  # it never arrived
        with pytest.raises(httpx.DecodingError):
            await asked(Word.GARBAGE)


async def test_what_is_not_signed_by_the_bank_is_not_believed() -> None:
    desk = Desk()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=make_app(desk)), base_url="http://sandbox") as http:
        assert (await http.post("/hooks", json={})).status_code == 503  # it has no secret yet
        desk.secret = "whsec_" + "A" * 44
        headers = {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
        assert (await http.post("/hooks", json={"number": 1}, headers=headers)).status_code == 401
        assert desk.books.events == {}


async def test_a_token_is_given_for_the_secret_and_for_the_clients_scopes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISSUER_FOLDER", str(tmp_path))
    secret = add_client(tmp_path, "system", "huiding", "events.read covers.read")
    grant = {"grant_type": "client_credentials"}
    transport = httpx.ASGITransport(app=token_door.app)
    async with httpx.AsyncClient(transport=transport) as http:
        good = await http.post(TOKENS, data=grant, auth=("system", secret))
        assert (good.status_code, good.json()["scope"]) == (200, "events.read covers.read")
        in_the_form = {**grant, "client_id": "system", "client_secret": secret, "scope": "events.read"}
        assert (await http.post(TOKENS, data=in_the_form)).json()["scope"] == "events.read"
        for form, auth, status, error in (
            (grant, ("system", "guess"), 401, "invalid_client"),
            (grant, ("nobody", secret), 401, "invalid_client"),
            ({**grant, "scope": "claims.pay"}, ("system", secret), 400, "invalid_scope"),
            ({"grant_type": "password"}, ("system", secret), 400, "unsupported_grant_type"),
        ):
            answer = await http.post(TOKENS, data=form, auth=auth)
            assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert (await http.post(TOKENS, data=grant, headers={"authorization": "Basic !"})).status_code == 401
    assert secret not in (tmp_path / "clients.json").read_text()
    assert len(PARTNER_SCOPES.split()) == 10


def test_the_same_plan_gives_the_same_words_and_an_unreadable_one_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(next=(Word.DOWN,), shares={Word.LOSE: 0.3, Word.DENY: 0.2}, seed=7)
    one, two = ([script.word() for _ in range(50)] for script in (Script(plan), Script(plan)))
    assert one == two
    assert (one[0], set(one[1:])) == (Word.DOWN, {Word.LOSE, Word.DENY, Word.GOOD})
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"next": ["sulk"]}))
    assert partner.main(["--kind", "fund", "--script", str(file)]) == 2
    assert "sulk" in capsys.readouterr().err
