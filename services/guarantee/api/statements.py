"""The door for a partner's month: statement, lines, and the partner's own lists held against them."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from libs.kernel.errors import Invalid, NotFound
from libs.runtime import auth
from libs.runtime.http import Day, RequestDoor
from libs.runtime.openapi import by_scope
from libs.runtime.paging import PAGE_ROWS, Cursor, Limit, Page, after, page
from libs.runtime.parties import PartnerDoor
from libs.runtime.reading import PartnerReadDoor
from libs.runtime.tx import Tx
from services.guarantee.api import scopes
from services.guarantee.api.bodies import CODE, Amount, InPath
from services.guarantee.commands import lists
from services.guarantee.domain.bordereau import Line, Statement, lines_csv, rows_of, statement_csv
from services.guarantee.domain.listed import About, Difference, PartnerList, list_name
from services.guarantee.domain.sharing import BANK
from services.guarantee.views import statements as views

router = APIRouter(prefix="/v1/partners/{partner_id}")
Month = Annotated[str, Path(pattern=r"^(19|20|21)\d\d-(0[1-9]|1[0-2])$", examples=["2025-09"])]
Party = Annotated[str, Query(pattern=CODE)]
CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
CSV_TYPE = "text/csv"
ERRORS_TOLD = 20


class ListRowIn(BaseModel):
    """One row of a partner's list; `state` is `removed` for what it no longer covers."""

    model_config = ConfigDict(extra="forbid")

    kind: Annotated[str, Field(pattern=r"^[a-z]{1,20}\.[a-z_]{1,20}$")]
    reference: Annotated[str, Field(pattern=CODE)]
    party: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")] = ""
    amount: Amount
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    day: Day
    state: Annotated[str, Field(pattern=r"^(removed)?$")] = ""


ROWS = TypeAdapter(list[ListRowIn])
LIST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "array", "items": ListRowIn.model_json_schema()}},
            CSV_TYPE: {"schema": {"type": "string"}, "example": lines_csv([])},
        },
    }
}


@router.get("/statements/{month}", response_model=Statement, openapi_extra=by_scope(scopes.STATEMENTS_READ))
async def show_statement(partner_id: InPath, month: Month, door: PartnerReadDoor) -> Response:
    """The monthly bordereau, agreement by agreement; the head office's, and the partner's own.

    Premiums that went back (退保) are `premium.refunded`, claims put off by the year's cap `payout.deferred`.
    """
    check_own(door, partner_id)
    return await door.query(lambda tx: views.statement(tx, partner_id, month))


@router.get(
    "/statements/{month}/csv", responses=CSV, response_class=Response, openapi_extra=by_scope(scopes.STATEMENTS_READ)
)
async def write_statement(partner_id: InPath, month: Month, door: PartnerReadDoor) -> Response:
    """The same figures as CSV."""
    check_own(door, partner_id)
    return _csv(statement_csv(await door.see(lambda tx: views.statement(tx, partner_id, month))))


@router.get("/statements/{month}/lines", response_model=Page[Line], openapi_extra=by_scope(scopes.STATEMENTS_READ))
async def list_lines(
    partner_id: InPath, month: Month, door: PartnerReadDoor, cursor: Cursor = "", limit: Limit = PAGE_ROWS
) -> Response:
    """The lines behind the figures."""
    check_own(door, partner_id)
    place = after(cursor)

    async def read(tx: Tx) -> Page[Line]:
        return page(await views.lines(tx, partner_id, month, place, limit + 1), limit, lambda row: row.place)

    return await door.query(read)


@router.get(
    "/statements/{month}/lines/csv",
    responses=CSV,
    response_class=Response,
    openapi_extra=by_scope(scopes.STATEMENTS_READ),
)
async def write_lines(partner_id: InPath, month: Month, door: PartnerReadDoor) -> Response:
    """All lines as CSV, in the form in which a list is handed in."""
    check_own(door, partner_id)
    return _csv(await asyncio.to_thread(lines_csv, await door.see(lambda tx: views.lines(tx, partner_id, month))))


@router.post(
    "/lists/{about}/{month}", response_model=PartnerList, openapi_extra={**LIST_BODY, **by_scope(scopes.REPORTS_WRITE)}
)
async def take_list(
    partner_id: InPath, about: About, month: Month, request: Request, door: PartnerDoor, party: Party = ""
) -> Response:
    """Take in a partner's own list (or that of a `party` behind it) and hold it against ours (customer_manager).

    Scope reports.write. JSON or CSV, by the content type. It takes the place of the party's earlier list of that month.
    """
    check_own(door, partner_id, "customer_manager", scope=scopes.REPORTS_WRITE)
    body = await request.body()
    rows = await asyncio.to_thread(_rows, body, request.headers.get("content-type", ""))
    return await door.execute(
        lambda tx: lists.take_list(tx, partner_id, about, month, party=party or partner_id, rows=rows), keys=[]
    )


@router.get(
    "/lists/{about}/{month}", response_model=tuple[PartnerList, ...], openapi_extra=by_scope(scopes.STATEMENTS_READ)
)
async def show_lists(partner_id: InPath, about: About, month: Month, door: PartnerReadDoor) -> Response:
    """The lists handed in for a month, and how far they agree."""
    check_own(door, partner_id)
    return await door.query(lambda tx: views.lists(tx, partner_id, about, month))


@router.get(
    "/lists/{about}/{month}/differences",
    response_model=Page[Difference],
    openapi_extra=by_scope(scopes.STATEMENTS_READ),
)
async def list_differences(
    partner_id: InPath,
    about: About,
    month: Month,
    door: PartnerReadDoor,
    *,
    party: Party = "",
    against: Party = BANK,
    cursor: Cursor = "",
    limit: Limit = PAGE_ROWS,
) -> Response:
    """Where the list of a party (the partner itself unless named) differs from that of `against`, line by line."""
    check_own(door, partner_id)
    place, list_id = after(cursor), list_name(partner_id, about, month, party or partner_id)

    async def read(tx: Tx) -> Page[Difference]:
        return page(await views.differences(tx, list_id, against, place, limit + 1), limit, lambda row: row.place)

    return await door.query(read)


def check_own(door: RequestDoor, partner_id: str, *roles: str, scope: str = scopes.STATEMENTS_READ) -> None:
    """The head office's by role, or the partner's own by scope; another's looks as if it were not there."""
    door.require(*(roles or auth.BANK), scope=scope)
    if not door.caller.party:
        door.require_head_office()
    elif door.caller.party != partner_id:
        raise NotFound("not_found", f"no Partner {partner_id}")


def _csv(text: str) -> Response:
    return Response(text, media_type=CSV_TYPE)


def _rows(body: bytes, content_type: str) -> list[lists.ListedRow]:
    """The rows of a body, raising Invalid or RequestValidationError for what is no list."""
    try:
        if content_type.partition(";")[0].strip().lower() == CSV_TYPE:
            rows = ROWS.validate_python(list(rows_of(body.decode())))
        else:
            rows = ROWS.validate_json(body)
    except UnicodeDecodeError as error:
        raise Invalid("list_unreadable", "a list is UTF-8 text") from error
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)[:ERRORS_TOLD]) from error
    return [lists.ListedRow(**vars(row)) for row in rows]
