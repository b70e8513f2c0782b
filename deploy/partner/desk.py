"""A sandbox partner's machine: the standard's routes, a webhook, and the routes by which a test steers it.

Asked over the standard it answers there; a partner that answers at the bank's door does so when a webhook tells it of a
request or a claim. Either way the script's next word may spoil it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Annotated, Any

import httpx
from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, Field
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
from starlette.types import Receive, Scope, Send

from deploy.demo.misbehaviour import Misbehaviour
from deploy.partner.bank import Bank
from deploy.partner.books import Books
from deploy.partner.script import SLOW_SECONDS, Plan, Script, Word

REGISTER_SECONDS = 0.5
RECEIPT = "R-{}"
Amount = Annotated[Decimal, Field(ge=0)]


class Entry(BaseModel):
    """What the partner is willing to guarantee for one facility; zero declines."""

    facility_ref: str
    guaranteed: Amount


class CoverRequest(BaseModel):
    """A bank asks for cover."""

    reference: str
    agreement: str
    facility_ref: str
    amount: Amount
    currency: str
    business_date: str


class Claim(BaseModel):
    """A bank claims its loss."""

    reference: str
    cover_reference: str
    loss: Amount
    claimed: Amount
    currency: str
    business_date: str


class ChangeRequest(BaseModel):
    """A bank asks whether the partner stands for new terms of a covered loan; `heavier` names what needs its word."""

    reference: str
    cover_reference: str
    change: str
    heavier: list[str]
    annual_rate: str
    maturity: str
    answer_by: str
    business_date: str


class Cut(Response):
    """Headers that promise a body which never comes: the server has to drop the line."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - what the protocol asks
        """Send the promise alone."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})


class Desk:
    """Decides, and remembers. With a `bank` it registers its webhook at `hook` and is told what happened.

    A `calling` partner is asked nothing: it answers at the bank's door.
    """

    def __init__(
        self, *, bank: Bank | None = None, hook: str = "", plan: Plan | None = None, calling: bool = False
    ) -> None:
        self.calling = calling and bank is not None
        self.party = bank.access.partner_id if bank else ""
        self.books, self.script, self.bank, self.hook = Books(self.party), Script(plan or Plan()), bank, hook
        self.secret = ""
        self._cursor = ""
        self.answers: list[tuple[str, int]] = []
        """What the bank's door said to each of its own calls: the path's last word and the status."""

    def cover(self, request: CoverRequest, word: Word) -> dict[str, Any]:
        """Answer once per reference: what it was told to guarantee, else what the agreement says (no amount)."""
        if request.reference not in self.books.covers:
            willing = self.books.willing.get(request.facility_ref)
            accepted = willing != 0 and word is not Word.DENY
            guaranteed = willing if word is not Word.LIE else request.amount * 2
            answer: dict[str, Any] = {"reference": request.reference, "accepted": accepted}
            answer["guaranteed"] = f"{guaranteed or 0:.2f}" if guaranteed is not None else None
            answer["reason"] = "" if accepted else "declined_by_underwriting"
            self.books.covers[request.reference] = answer
        answer = self.books.covers[request.reference]
        if word is Word.WAVER:
            self.books.covers[request.reference] = {**answer, "accepted": False, "reason": "changed_our_mind"}
        return answer

    def quote(self, request: CoverRequest, word: Word) -> dict[str, Any]:
        """Quote what it was told to guarantee, else as the agreement says, at the agreement's rate."""
        willing = self.books.willing.get(request.facility_ref)
        offered = willing != 0 and word is not Word.DENY
        answer: dict[str, Any] = {"offered": offered, "guaranteed": None if willing is None else f"{willing:.2f}"}
        return self.books.quotes.setdefault(request.reference, {**answer, "reason": "" if offered else "no_appetite"})

    def claim(self, claim: Claim, word: Word) -> dict[str, Any]:
        """Accept a claim on a cover that was given here."""
        known = self.books.covers.get(claim.cover_reference, {}).get("accepted", False) and word is not Word.DENY
        answer = {"reference": claim.reference, "accepted": known, "reason": "" if known else "no_such_cover"}
        answer["claimed"] = str(claim.claimed)
        return self.books.claims.setdefault(claim.reference, answer)

    def change(self, change: ChangeRequest, word: Word) -> dict[str, Any]:
        """Consent once per reference to a change under a cover that was given here."""
        known = self.books.covers.get(change.cover_reference, {}).get("accepted", False)
        reason = "" if known and word is not Word.DENY else "declined_by_underwriting" if known else "no_such_cover"
        given = {"reference": change.reference, "accepted": not reason, "reason": reason}
        answer = self.books.changes.setdefault(change.reference, given)
        if word is Word.WAVER:
            self.books.changes[change.reference] = {**answer, "accepted": False, "reason": "changed_our_mind"}
        return answer

    async def spoiled(self, word: Word, answer: dict[str, Any]) -> Response | dict[str, Any]:
        """The answer as the script lets it out."""
        match word:
            case Word.SLOW:
                await asyncio.sleep(SLOW_SECONDS)
            case Word.LOSE:
                return Cut()
            case Word.GARBAGE:
                return Response("<html>we are moving</html>", media_type="text/html")
        return answer

    async def heard(self, event: dict[str, Any], *, pushed: bool) -> None:
        """An event came by webhook, or was read: answer at the bank's door what waits for us there, and note it.

        Noted last: what could not be answered is told again. Each answer has a key of its own, so once is enough.
        """
        if self.bank is not None and not self.books.knows(event):
            kind, body, path = event["type"], event["body"], f"/v1/facilities/{event['subject']}"
            if self.calling:
                await self._answer(kind, body, path)
            if kind == "claim.paid.v1" and body["cover_id"] not in self.books.own:
                await self._reimburse(body, f"{path}/claims/{body['claim_id']}/reimbursements")
        self.books.hear(event, pushed=pushed)

    async def _answer(self, kind: str, body: dict[str, Any], path: str) -> None:
        match kind:
            case "cover.requested.v1":
                await self._say(f"{path}/cover-answers", {"cover_id": body["cover_id"]}, yes="accepted")
            case "claim.filed.v1":
                await self._say(f"{path}/claims/{body['claim_id']}/decision", {}, yes="accepted")
            case "change.requested.v1":
                await self._say(f"{path}/changes/{body['change_id']}/answer", {}, yes="consented")
            case "claim.accepted.v1":
                paid = {"amount": body["amount"], "receipt": RECEIPT.format(body["claim_id"])}
                await self._say(f"{path}/claims/{body['claim_id']}/payments", paid)

    async def _reimburse(self, claim: dict[str, Any], path: str) -> None:
        """The direct payer has paid: give it our part, wherever we answer otherwise."""
        for part in claim["parts"]:
            if part["party"] == self.party:
                receipt = RECEIPT.format(f"{claim['claim_id']}-{self.party}")
                await self._say(path, {"party": self.party, "amount": part["amount"], "receipt": receipt})

    async def _say(self, path: str, body: dict[str, Any], *, yes: str = "") -> None:
        """Say something at the bank's door, spoiled by the script; what it must hear in the end it does.

        `yes` is the field of an answer that decides.
        """
        word = self.script.word()
        if yes:
            accepted = word is not Word.DENY
            body = {**body, yes: accepted, "reason": "" if accepted else "declined_by_underwriting"}
        key = f"{self.hook}{path}"
        if word is Word.SLOW:
            await asyncio.sleep(1)
        if word is Word.GARBAGE:
            await self._send(path, {"nonsense": [1]}, key=f"{key}/garbage")
        if word is Word.LIE and "amount" in body:
            doubled = {**body["amount"], "amount": str(Decimal(body["amount"]["amount"]) * 2)}
            await self._send(path, {**body, "amount": doubled}, key=f"{key}/lie")
        await self._send(path, body, key=key)
        if word is Word.LOSE:  # the answer never came: the same again, under the same key
            await self._send(path, body, key=key)
        if word is Word.TWICE:
            await self._send(path, body, key=f"{key}/twice")
        if word is Word.WAVER and yes:
            await self._send(path, {**body, yes: False, "reason": "changed_our_mind"}, key=f"{key}/waver")

    async def _send(self, path: str, body: dict[str, Any], *, key: str) -> None:
        assert self.bank is not None  # noqa: S101 - nobody speaks to a bank without one
        answer = await self.bank.post(path, body, key=key)
        if answer.is_server_error:
            answer.raise_for_status()  # the webhook was not taken, so it comes again
        self.answers.append((path.rpartition("/")[2], answer.status_code))

    async def read_events(self) -> None:
        """Read what no webhook brought."""
        more = self.bank is not None
        while more and self.bank is not None:
            page = await self.bank.events(self._cursor)
            for event in page["items"]:
                await self.heard(event, pushed=False)
            self._cursor, more = page["next"], page["more"]

    async def register(self) -> None:
        """Register the webhook as soon as the bank has admitted us."""
        assert self.bank is not None  # noqa: S101 - only a partner of a bank registers
        while not self.secret:
            with suppress(httpx.HTTPError):
                self.secret = await self.bank.register(self.hook, key=self.hook)
            if not self.secret:
                await asyncio.sleep(REGISTER_SECONDS)


def make_app(desk: Desk) -> FastAPI:
    """The partner's machine."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(desk.register()) if desk.bank is not None else None
        yield
        if task is not None:
            task.cancel()
        if desk.bank is not None:
            await desk.bank.close()

    app = FastAPI(title="Sandbox partner", lifespan=life)
    app.add_middleware(Misbehaviour)
    _standard(app, desk)
    _inquiries(app, desk)
    _steering(app, desk)

    @app.post("/hooks", status_code=204)
    async def hook(request: Request) -> Response:
        """A webhook: believed when its signature holds."""
        if not desk.secret:
            raise HTTPException(503)  # registering still: sent again
        try:
            event = Webhook(desk.secret).verify(await request.body(), dict(request.headers))
        except WebhookVerificationError as error:
            raise HTTPException(401) from error
        await desk.heard(event, pushed=True)
        return Response(status_code=204)

    return app


def _standard(app: FastAPI, desk: Desk) -> None:
    async def answered(decide: Callable[[Word], dict[str, Any]]) -> Any:
        word = desk.script.word()
        if word is Word.DOWN:
            raise HTTPException(503)
        return await desk.spoiled(word, decide(word))

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        """The machine has nothing to wait for."""
        return {"status": "ready"}

    @app.post("/covers", response_model=None)
    async def cover(request: CoverRequest) -> Any:
        """Answer a request for cover."""
        return await answered(lambda word: desk.cover(request, word))

    @app.post("/quotes", response_model=None)
    async def quote(request: CoverRequest) -> Any:
        """Answer a request for a quote."""
        return await answered(lambda word: desk.quote(request, word))

    @app.post("/changes", response_model=None)
    async def change(request: ChangeRequest) -> Any:
        """Answer whether it stands for a loan's new terms."""
        return await answered(lambda word: desk.change(request, word))

    @app.post("/claims", response_model=None)
    async def claim(request: Claim) -> Any:
        """Answer a claim."""
        return await answered(lambda word: desk.claim(request, word))


def _inquiries(app: FastAPI, desk: Desk) -> None:
    @app.get("/covers/{reference}")
    async def show_cover(reference: str) -> dict[str, Any]:
        """The answer given to a reference; 404 when it never arrived."""
        return _known(desk.books.covers, reference)

    @app.get("/quotes/{reference}")
    async def show_quote(reference: str) -> dict[str, Any]:
        """The quote given to a reference; 404 when it never arrived."""
        return _known(desk.books.quotes, reference)

    @app.get("/changes/{reference}")
    async def show_change(reference: str) -> dict[str, Any]:
        """The answer given to a change; 404 when it never arrived."""
        return _known(desk.books.changes, reference)

    @app.get("/claims/{reference}")
    async def show_claim(reference: str) -> dict[str, Any]:
        """The answer given to a claim; 404 when it never arrived."""
        return _known(desk.books.claims, reference)

    @app.get("/claims/{reference}/payment")
    async def payment(reference: str, on: str) -> dict[str, Any]:
        """Whether an accepted claim has been paid by `on`: this partner pays on the day it is asked."""
        claim = _known(desk.books.claims, reference)
        if not claim["accepted"]:
            raise HTTPException(404)
        return {"paid": True, "receipt": RECEIPT.format(reference), "paid_on": on, "amount": claim["claimed"]}


def _steering(app: FastAPI, desk: Desk) -> None:
    @app.post("/book", status_code=204)
    async def book(entry: Entry) -> None:
        """Note what will be guaranteed."""
        desk.books.willing[entry.facility_ref] = entry.guaranteed

    @app.post("/script", status_code=204)
    async def script(plan: Plan) -> None:
        """Behave by this plan from now on."""
        desk.script.take(plan)

    @app.get("/totals")
    async def totals(read: bool = False) -> dict[str, Any]:
        """What it guaranteed, was asked to pay, and was told; with `read`, what no webhook brought is read first."""
        if read and desk.secret:
            await desk.read_events()
        return {**desk.books.totals(), "listening": bool(desk.secret), "script": desk.script.left}


def _known(answers: dict[str, dict[str, Any]], reference: str) -> dict[str, Any]:
    if reference not in answers:
        raise HTTPException(404)
    return answers[reference]


app = make_app(Desk())
"""A partner without a bank: it only answers what it is asked."""
