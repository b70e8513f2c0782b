"""The door for people and systems: one command, one transaction, one answer that a repeat of the request gets again."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import asyncpg  # type: ignore[import-untyped]  # ships no types
from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from libs.kernel.errors import Invalid, NotAllowed, Refused, Rejection
from libs.kernel.money import Money
from libs.runtime import answers
from libs.runtime.auth import ACTING_FOR, Caller, Unauthenticated
from libs.runtime.certificates import thumbprint_of
from libs.runtime.etags import IF_MATCH, check_match
from libs.runtime.ids import uuid7
from libs.runtime.keyring import Keyring
from libs.runtime.openapi import header, reads_headers
from libs.runtime.problems import MEDIA_TYPE, problem, problem_body
from libs.runtime.rates import TooMany
from libs.runtime.telemetry import standing_at
from libs.runtime.tx import Cause, Tx, Unit
from libs.runtime.wiring import Parts

KEY_CHARACTERS_MAX = 255
ORDER_SECONDS_MAX = 60
"""For an order whose transactions are its own, while its idempotency key stays claimed."""
EVENTS_HEADER = "silverbear-events"
Command = Callable[[Tx], Awaitable[Any]]
_Found = tuple[str, int, int, str]
"""A key as a command found it: its last sequence, its version, and whose it is."""
# A day as a caller writes it: far enough from the ends of the calendar that every rule can count days from it.
Day = Annotated[date, Field(ge=date(1900, 1, 1), le=date(2199, 12, 31))]


class MoneyIn(BaseModel):
    """An amount as a caller writes it: a decimal string or number with at most two decimals, and a currency."""

    model_config = ConfigDict(extra="forbid")

    amount: Annotated[Decimal, Field(ge=0, lt=Decimal("1e12"), decimal_places=2, allow_inf_nan=False)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]

    def money(self) -> Money:
        """The amount as the domain knows it."""
        return Money(self.amount, self.currency)


class OutOfReach(NotAllowed):
    """What the request names belongs to a branch that is not the caller's business."""


@dataclass(frozen=True, slots=True)
class _Locked:
    """What a command locks, whose it is from then on, whether it needs no `If-Match`, and what sees to who may ask."""

    keys: Sequence[str]
    owner: str
    blindly: bool
    own: Command | None = None


class RequestDoor:
    """One request at the door of a service; without more, it is shut to whom a `party` claim binds to one partner."""

    admits_parties = False

    def __init__(self, request: Request, caller: Caller) -> None:
        self.request, self.caller = request, caller
        self.parts: Parts = request.app.state.parts
        if caller.party and not self.admits_parties:
            raise NotAllowed("party_not_admitted", "this door is not for partners")

    def require(self, *roles: str, scope: str = "") -> None:
        """Let only callers with one of these roles pass, and partners by `scope`; raises NotAllowed."""
        if self.caller.party:
            if not scope or scope not in self.caller.scopes:
                raise NotAllowed("scope_needed", f"a partner's token needs the scope {scope}")
        elif not self.caller.roles & set(roles):
            raise NotAllowed("role_needed", f"needs one of: {', '.join(sorted(roles))}")

    def require_partner(self, scope: str) -> None:
        """Let only partners pass, by `scope`; raises NotAllowed."""
        if not self.caller.party:
            raise NotAllowed("party_needed", "this door is for partners alone")
        self.require(scope=scope)

    @property
    def keyring(self) -> Keyring:
        """The master keys of a service that keeps personal data."""
        if self.parts.keyring is None:
            raise RuntimeError(f"{self.parts.name} has no keyring: it names keyring_path in what it needs")
        return self.parts.keyring

    def require_head_office(self) -> None:
        """Let only those pass who act for the whole bank; raises NotAllowed."""
        if not self.caller.everywhere:
            raise NotAllowed("head_office_needed", "this is about every branch")

    def require_reach(self, org: str) -> None:
        """Let only those pass whose business the organisation unit `org` is; raises OutOfReach."""
        if not self.caller.reaches(org):
            raise OutOfReach("other_branch", "this belongs to another branch")

    def _cause(self, keys: Sequence[str] = ()) -> Cause:
        traceparent = standing_at(keys, self.request.path_params)
        return Cause(actor=self.caller.subject, org=self.caller.org, traceparent=traceparent)


class CommandDoor(RequestDoor):
    """A request that may change something."""

    def __init__(self, request: Request, caller: Caller) -> None:
        super().__init__(request, caller)
        self._born: set[str] = set()

    def new_id(self) -> str:
        """A new identifier (UUIDv7); as a key it needs no lock, because nobody else knows it before the commit."""
        id_ = uuid7()
        self._born.add(id_)
        return id_

    async def once(self, command: Command, *, keys: Sequence[str], status: int = 200) -> Response:
        """Run a command whose answer may be kept nowhere: nothing of it is stored, and a repeat is judged anew.

        What the command writes is committed before the answer is sent. A Rejection that it *returns* is answered like
        one that it raises, but what it wrote about it stays. The idempotency key only tells one request from another.
        """
        if unfit := self._unfit_key():
            return unfit
        fingerprint = await self._fingerprint()
        async with self.parts.command() as unit:
            if not await self._keep(unit, fingerprint) and await self._stored(unit, fingerprint) is None:
                return _reused()
            await unit.lock(keys)
            for key in filter(unit.owner_of, keys):
                self.require_reach(unit.owner_of(key))
            opened = await unit.sql("SELECT open FROM clock WHERE id = 1")
            if not opened:
                raise _not_open()
            result = await command(Tx(unit, self._cause(keys), opened[0]["open"]))
            await unit.flush()
        if isinstance(result, Rejection):
            raise result
        return Response(to_json(result), status_code=status, headers={**_JSON, "cache-control": "no-store"})

    async def execute(
        self, command: Command, *, keys: Sequence[str], owner: str = "", status: int = 200, own: Command | None = None
    ) -> Response:
        """Run a command: claim the idempotency key, act, store the answer, commit, respond.

        A repeat of the same request gets the first answer with `Idempotency-Replayed: true`; the same key with
        another request is a 422; a concurrent repeat waits for the first. A rejection is stored like any answer, but
        for those of the caller: whose token does not reach a key is judged anew each time. `If-Match` is about the
        first of `keys`. `owner` is the organisation unit that the keys belong to from now on. `own` raises for what the
        caller may not see, before anything is told of it.
        """
        return await self._execute(command, _Locked(keys, owner, blindly=True, own=own), status)

    async def overwrite(self, command: Command, *, keys: Sequence[str], owner: str = "", status: int = 200) -> Response:
        """Like execute, for a command that replaces what is there: then `If-Match` has to say what was seen."""
        return await self._execute(command, _Locked(keys, owner, blindly=False), status)

    async def order(self, act: Callable[[], Awaitable[Any]]) -> Response:
        """Have done what commits by itself, in as many transactions as it takes; its answer is kept like a command's.

        The key stays claimed meanwhile, so a twin waits. Who is cut off between the act and its answer acts again with
        the same key: only for what does no harm when it is done twice.
        """
        if unfit := self._unfit_key():
            return unfit
        fingerprint = await self._fingerprint()
        try:
            async with self.parts.transaction() as unit:
                await unit.sql(f"SET LOCAL idle_in_transaction_session_timeout = '{ORDER_SECONDS_MAX}s'")
                if not await self._keep(unit, fingerprint):
                    return await self._replay(unit, fingerprint)
                body = to_json(await act()).decode()
                await unit.sql(answers.SETTLE, *self._mine, 200, json.dumps(_JSON), body)
        except Rejection as error:
            return await self._rejected(error, fingerprint)
        return Response(body, headers=_JSON)

    async def _execute(self, command: Command, locks: _Locked, status: int) -> Response:
        if unfit := self._unfit_key():
            return unfit
        if locks.owner:
            self.require_reach(locks.owner)
        fingerprint = await self._fingerprint()
        try:
            return await self._first(command, locks, status, fingerprint)
        except OutOfReach:
            raise
        except Rejection as error:
            return await self._rejected(error, fingerprint)

    @property
    def _mine(self) -> tuple[str, str]:
        """The caller and the idempotency key: what an answer is stored under."""
        return self.caller.name, self.request.headers.get("idempotency-key", "")

    def _unfit_key(self) -> Response | None:
        _, key = self._mine
        if 1 <= len(key) <= KEY_CHARACTERS_MAX and key.isprintable():
            return None
        return problem(
            400, "idempotency_key_invalid", f"send an Idempotency-Key of 1 to {KEY_CHARACTERS_MAX} characters"
        )

    async def _first(self, command: Command, locks: _Locked, status: int, fingerprint: str) -> Response:
        """Act as the first that sends this request; who turns out to be its twin at the very end has changed nothing.

        Before, it waited for the first: at a key's row, or where its own answer was to be stored.
        """
        if not self.parts.journal:  # with one, every event takes a lock in the end
            watched = await self.parts.attempt(
                "command_locks", lambda unit: self._act(unit, command, locks, status, fingerprint, lock=False)
            )
            if watched is not None:
                return watched
        try:
            async with self.parts.command() as unit:
                return await self._act(unit, command, locks, status, fingerprint)
        except asyncpg.UniqueViolationError:
            async with self.parts.transaction() as unit:
                if await unit.sql(answers.FIND, *self._mine):
                    return await self._replay(unit, fingerprint)
            raise

    async def _act(
        self, unit: Unit, command: Command, locks: _Locked, status: int, fingerprint: str, *, lock: bool = True
    ) -> Response:
        mine, keys, looks = self._mine, list(locks.keys), self.parts.room.unknown
        asked = (*mine, sorted(set(keys) - self._born), looks)
        (state,) = await (unit.sql(answers.ENTER, *asked, locks.owner) if lock else unit.sql(answers.LOOK, *asked))
        held: list[_Found] = [(key, seq, version, org) for key, seq, version, org in json.loads(state["keys"] or "[]")]
        for _, _, _, org in held:
            if org:
                self.require_reach(org)
        if state["known"]:
            return await self._replay(unit, fingerprint)
        if state["open"] is None:
            raise _not_open()
        if looks and await self._is_full(unit, state["waiting"]):
            return problem(503, "outbox_full", "events cannot be published just now", headers={"Retry-After": "5"})
        if locks.own is not None:
            await locks.own(Tx(unit, self._cause(), state["open"]))
        before = {key: version for key, _, version, _ in held}.get(next(iter(keys), ""), 0)
        check_match(self.request.headers.get("if-match"), before, state["open"], blindly=locks.blindly)
        await self._take(unit, held, locks.owner, lock=lock)
        unit.bear(self._born.intersection(keys), locks.owner)
        result = await command(Tx(unit, self._cause(keys), state["open"]))
        body = to_json(result).decode()
        told = unit.told()
        headers = {**_JSON, **({EVENTS_HEADER: ", ".join(told)} if told else {})}
        store, day = (answers.STORE, ()) if lock else (answers.STORE_WITHIN, (state["open"],))
        await unit.flush((store,), (*mine, fingerprint, str(status), json.dumps(headers), body, *day))
        self.parts.room.taken(len(told))
        return Response(body, status_code=status, headers=headers)

    async def _take(self, unit: Unit, found: Sequence[_Found], owner: str, *, lock: bool) -> None:
        """Note the keys as they were found, locked or to be watched; from now on they are `owner`'s if there is one."""
        keys = [(key, seq, version, owner or org) for key, seq, version, org in found]
        if not lock:
            unit.watch(keys, holds=False)
            return
        if keys != found:
            await unit.sql("UPDATE stream SET org = $2 WHERE key = ANY($1)", [key for key, *_ in keys], owner)
        unit.locked((key, seq, org) for key, seq, _, org in keys)

    async def _is_full(self, unit: Unit, waiting: int) -> bool:
        """Whether the outbox takes no more. One parked row that stays behind spreads the ids: then rows are counted."""
        rows_max = self.parts.settings.outbox_rows_max
        if waiting >= rows_max and await unit.sql("SELECT 1 FROM outbox OFFSET $1 LIMIT 1", rows_max - 1):
            return True
        self.parts.room.seen(rows_max - waiting)
        return False

    async def _rejected(self, error: Rejection, fingerprint: str) -> Response:
        """Store the rejection as the answer of this key, unless a twin was quicker."""
        body = problem_body(error.status, error.code, error.detail, **error.facts)
        headers = {"content-type": MEDIA_TYPE}
        async with self.parts.transaction() as unit:
            if not await self._keep(unit, fingerprint, error.status, json.dumps(headers), body):
                return await self._replay(unit, fingerprint)
        return Response(body, status_code=error.status, headers=headers)

    async def _keep(self, unit: Unit, fingerprint: str, status: int = 0, headers: str = "{}", body: str = "") -> bool:
        """Store an answer under the idempotency key; false, after waiting for a twin's, when there is one."""
        return bool(await unit.sql(answers.KEEP, *self._mine, fingerprint, status, headers, body))

    async def _replay(self, unit: Unit, fingerprint: str) -> Response:
        stored = await self._stored(unit, fingerprint)
        if stored is None:
            return _reused()
        headers = {**json.loads(stored["headers"]), "idempotency-replayed": "true"}
        return Response(stored["body"], status_code=stored["status"], headers=headers)

    async def _stored(self, unit: Unit, fingerprint: str) -> dict[str, Any] | None:
        """What is stored under the key for this very request; None when the key was used with another."""
        rows = await unit.sql(answers.FIND, *self._mine)
        same = rows[0]["fingerprint"] in (fingerprint, await self._fingerprint(rows[0]["fingerprint"]))
        return rows[0] if same else None

    async def _fingerprint(self, like: str = "") -> str:
        """What tells two requests apart, nothing that tells what they say; `like` an earlier one, under its key.

        The body of a service with a keyring may hold an identity number: the last unknown digits of one are quickly
        tried against a plain hash, so there it takes a key that is not in the database.
        """
        scope = self.request.scope  # the query as it came: its bytes need not be text
        content = f"{self.request.method} {scope['path']}?".encode() + scope["query_string"] + b"\n"
        content += self.request.headers.get("if-match", "").encode() + b"\n"
        content += await self._storable_body()
        if self.parts.keyring is not None:
            return self.parts.keyring.digest(content, like)
        return hashlib.sha256(content).hexdigest()

    async def _storable_body(self) -> bytes:
        body = await self.request.body()
        if b"\\ud" in body.lower() and not _is_text(body):
            raise Invalid("unstorable_text", "text may not hold half of a surrogate pair")
        return body


IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    "Needed: without it the answer is 400 `idempotency_key_invalid`. Chosen by the caller, who puts no personal data"
    " into it: a repeat of the same request gets the first answer again, the same key with another is a 422"
    " `idempotency_key_reused`.",
    required=True,
    minLength=1,
    maxLength=KEY_CHARACTERS_MAX,
)


async def caller_of(request: Request) -> Caller:
    """Who sends the request; raises Unauthenticated, and TooMany for a partner that asks too often."""
    parts: Parts = request.app.state.parts
    if isinstance(inside := request.scope.get(ACTING_FOR), Caller):
        return inside
    caller: Caller = await request.app.state.tokens.caller(request.headers.get("authorization", ""))
    header = parts.settings.client_certificate_header
    if caller.certificate and caller.certificate != thumbprint_of(request.headers.getlist(header) if header else ()):
        raise Unauthenticated
    if caller.party:
        admitted, request.state.rate = parts.rates.count(caller.name, parts.settings.partner_requests_minute_max)
        if not admitted:
            raise TooMany("rate_exceeded", "too many requests in this minute")
    return caller


@reads_headers(IDEMPOTENCY_KEY, IF_MATCH)  # `execute` judges them: a bad one is a problem of its own
async def _door(request: Request) -> CommandDoor:
    return CommandDoor(request, await caller_of(request))


Door = Annotated[CommandDoor, Depends(_door)]

_JSON = {"content-type": "application/json"}


def _reused() -> Response:
    return problem(422, "idempotency_key_reused", "this key was used with another request")


def _not_open() -> Refused:
    return Refused("day_not_open", "no business day has been opened yet")


def _is_text(body: bytes) -> bool:
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except json.JSONDecodeError:
        return True  # then no command reads it
    except UnicodeEncodeError:
        return False
    return True
