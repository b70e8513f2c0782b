"""A shelf is one table of frozen dataclasses: the class is the schema, rows load by facility and save set-based."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import cached_property
from types import UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Boolean, Column, Date, MetaData, Numeric, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from libs.kernel.money import Money

T = TypeVar("T")
_PLAIN: dict[type, Any] = {
    str: Text,
    int: BigInteger,
    bool: Boolean,
    date: Date,
    Decimal: Numeric,
    Money: Numeric(20, 2),
}


class Shelf(Generic[T]):
    """The table `name` of rows of `row`, found by its `id` field or, many at once, by its `group` field.

    Fields of str, int, bool, date, Decimal, Money and text enums become columns of their own (a Money column needs a
    `currency` field beside it); anything else is stored as JSON and validated on the way out.
    """

    def __init__(self, metadata: MetaData, name: str, row: type[T], *, id: str, group: str = "facility_id") -> None:  # noqa: A002 - the field's own word
        self.name, self.row, self.id, self.group = name, row, id, group
        fields = dataclasses.fields(row)  # type: ignore[arg-type]  # T is always a dataclass
        hints = get_type_hints(row)
        self.columns = {field.name: _Column(field.name, hints[field.name]) for field in fields}
        if id not in self.columns or group not in self.columns:
            raise TypeError(f"{row.__name__} needs the fields {id} and {group}")
        if any(column.type is Money for column in self.columns.values()) and "currency" not in self.columns:
            raise TypeError(f"{row.__name__} holds money and needs a `currency` field")
        self.table = Table(
            name,
            metadata,
            *(
                Column(c.name, c.sql, primary_key=c.name == id, nullable=c.optional, index=c.name == group != id)
                for c in self.columns.values()
            ),
        )

    def id_of(self, row: T) -> str:
        return str(getattr(row, self.id))

    def group_of(self, row: T) -> str:
        return str(getattr(row, self.group))

    @cached_property
    def select_sql(self) -> str:
        """Rows whose group is in $1."""
        return f"SELECT {self._names} FROM {self.name} WHERE {self.group} = ANY($1::text[]) ORDER BY {self.id}"  # noqa: S608 - names are ours

    @cached_property
    def find_sql(self) -> str:
        """Rows whose id is in $1."""
        return f"SELECT {self._names} FROM {self.name} WHERE {self.id} = ANY($1::text[])"  # noqa: S608 - names are ours

    @cached_property
    def save_sql(self) -> str:
        """Insert or overwrite the rows of the JSON array $1."""
        rest = ", ".join(f'"{name}" = excluded."{name}"' for name in self.columns if name != self.id)
        return (
            f"INSERT INTO {self.name} ({self._names}) SELECT {self._names}"  # noqa: S608 - names are ours
            f" FROM jsonb_populate_recordset(NULL::{self.name}, $1::jsonb) ON CONFLICT ({self.id}) DO UPDATE SET {rest}"
        )

    @cached_property
    def _names(self) -> str:
        return ", ".join(f'"{name}"' for name in self.columns)

    def load(self, record: Mapping[str, Any]) -> T:
        """One database record as a row of this shelf."""
        return self.row(**{name: column.load(record[name], record) for name, column in self.columns.items()})

    def dump(self, rows: Iterable[T]) -> str:
        """Rows as the JSON array that `save_sql` takes."""
        return json.dumps([{n: c.dump(getattr(row, n)) for n, c in self.columns.items()} for row in rows])


class _Column:
    """One field of a row: its SQL type and the way in and out."""

    def __init__(self, name: str, hint: Any) -> None:
        self.name = name
        self.optional = False
        if get_origin(hint) in (Union, UnionType) and type(None) in get_args(hint):
            self.optional = True
            (hint,) = (arg for arg in get_args(hint) if arg is not type(None))
        self.type = hint
        self.enum = isinstance(hint, type) and issubclass(hint, Enum)
        self.sql: Any = Text if self.enum else _PLAIN.get(hint, JSONB)
        self.adapter: TypeAdapter[Any] | None = TypeAdapter(hint) if self.sql is JSONB else None

    @cached_property
    def load(self) -> Callable[[Any, Mapping[str, Any]], Any]:
        kind, adapter = self.type, self.adapter
        if kind is Money:
            return lambda value, record: None if value is None else Money(value, record["currency"])
        if self.enum:
            return lambda value, _record: None if value is None else kind(value)
        if adapter is not None:
            return lambda value, _record: None if value is None else adapter.validate_json(value)
        return lambda value, _record: value

    @cached_property
    def dump(self) -> Callable[[Any], Any]:
        kind, adapter = self.type, self.adapter
        if kind is Money:
            return lambda value: None if value is None else str(value.amount)
        if kind is Decimal:
            return lambda value: None if value is None else str(value)
        if kind is date:
            return lambda value: None if value is None else value.isoformat()
        if adapter is not None:
            return lambda value: None if value is None else adapter.dump_python(value, mode="json")
        return lambda value: value
