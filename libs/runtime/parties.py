"""The door for commands that partners of the bank may give: by scope, and only about what is their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from libs.kernel.errors import Invalid, NotAllowed, Rejection
from libs.runtime.auth import PARTNER, Caller
from libs.runtime.etags import IF_MATCH
from libs.runtime.http import IDEMPOTENCY_KEY, CommandDoor, caller_of
from libs.runtime.openapi import reads_headers

Row = TypeVar("Row")


def require_party(caller: Caller) -> None:
    """A partner's token names its party; raises NotAllowed."""
    if PARTNER in caller.roles and not caller.party:
        raise NotAllowed("party_needed", "a partner's token names its party")


class PartnerCommandDoor(CommandDoor):
    """A command of the bank's or of a partner's: every route gives `execute` its `own`, which keeps partners apart.

    For another's things it raises the same NotFound as for what is not there.
    """

    admits_parties = True

    def __init__(self, request: Request, caller: Caller) -> None:
        super().__init__(request, caller)
        require_party(caller)

    def require_reach(self, org: str) -> None:
        """The bank's callers keep to their branch; a partner's own lie in any branch."""
        if not self.caller.party:
            super().require_reach(org)

    def require_rows(self, rows: Sequence[object]) -> None:
        """A bulk request holds at most so many rows; raises Invalid."""
        most = self.parts.settings.bulk_rows_max
        if len(rows) > most:
            raise Invalid("too_many_rows", f"at most {most} rows in one request", most=most)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What became of one row of a bulk request, counted from 0: its status, and the problem's code if it failed."""

    row: int
    status: int
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkResult:
    """The result of every row, in the order of the rows; one row's fault does not fail the others."""

    done: int
    failed: int
    rows: tuple[RowResult, ...]


async def each_row(rows: Sequence[Row], act: Callable[[Row], Awaitable[object]]) -> BulkResult:
    """Do what each row asks for; `act` rejects a row before it changes anything of it."""
    results = []
    for number, row in enumerate(rows):
        try:
            await act(row)
            results.append(RowResult(row=number, status=200))
        except Rejection as error:
            results.append(RowResult(row=number, status=error.status, code=error.code, detail=error.detail))
    failed = sum(bool(result.code) for result in results)
    return BulkResult(done=len(results) - failed, failed=failed, rows=tuple(results))


@reads_headers(IDEMPOTENCY_KEY, IF_MATCH)
async def _door(request: Request) -> PartnerCommandDoor:
    return PartnerCommandDoor(request, await caller_of(request))


PartnerDoor = Annotated[PartnerCommandDoor, Depends(_door)]
