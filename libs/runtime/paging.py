"""Lists a page at a time: a cursor names the last row seen, so rows that come between neither repeat nor hide one."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Query

from libs.kernel.errors import Invalid

T = TypeVar("T")
PAGE_ROWS = 50
PAGE_ROWS_MAX = 200

Cursor = Annotated[
    str, Query(max_length=400, description="`next` of the page before; empty for the first. Opaque: do not build one.")
]
Limit = Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX, description="How many rows a page has at most.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Rows in the order of their names, and the cursor of the next page; empty at the end."""

    items: tuple[T, ...]
    next: str


def page(rows: Sequence[T], limit: int, name: Callable[[T], str]) -> Page[T]:
    """The first `limit` of the rows found, of which one more was asked for to see whether there is a next page."""
    items = tuple(rows[:limit])
    return Page(items=items, next=cursor_of(name(items[-1])) if len(rows) > limit else "")


def after(cursor: str) -> str:
    """The name of the last row that the caller has seen; raises Invalid for what no page gave out."""
    try:
        return base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error) as error:
        raise Invalid("cursor_invalid", "this is no cursor of a page before") from error


def cursor_of(name: str) -> str:
    """The cursor that stands behind the row of this name."""
    return base64.urlsafe_b64encode(name.encode()).decode()
