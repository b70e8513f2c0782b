"""The page about events holds every event, every field, and examples that the code itself reads back."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re

import pytest

from deploy import contracts
from deploy.local.stack import PARTITIONS
from libs.events import handbook
from libs.events.catalogue import kinds
from libs.events.envelope import Kind
from libs.events.headers import HEADERS
from libs.events.samples import sample
from libs.events.words import WORDS
from libs.runtime.tx import adapter_of

READERS = contracts.readers()
BODIES = (*(kind.body for kind in kinds()), *handbook.records())
PAGE = handbook.page(READERS, partitions=PARTITIONS)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(#([^)]+)\)")


def section(title: str) -> str:
    """What stands under one heading, down to the next heading of any depth."""
    return re.split(r"^#+ ", PAGE.partition(f"\n### {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The rows of the one table in a text, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[1:]]


def absent_anchors(page: str) -> set[str]:
    """Links inside the page that lead to no heading."""
    headings = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in _HEADING.findall(page)}
    return set(_LINK.findall(page)) - headings


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.type)
def test_an_event_is_told_with_meaning_publisher_readers_fields_and_an_example(kind: Kind) -> None:
    told = section(kind.type)
    assert inspect.cleandoc(kind.body.__doc__ or "-") in told
    (said,) = re.findall(r"^Published by (\w+), read by (.+)\.$", told, re.MULTILINE)
    assert said[0] == kind.topic
    assert said[1].split(", ") == [name for name, types in READERS.items() if kind.type in types]
    assert [row[0] for row in rows(told)] == [f"`{field.name}`" for field in dataclasses.fields(kind.body)]
    assert all(row[1] and row[3] for row in rows(told))
    (example,) = re.findall(r"```json\n(.+?)\n```", told, re.DOTALL)
    assert adapter_of(kind.body).validate_json(example) == sample(kind.body)
    assert list(json.loads(example)) == [field.name for field in dataclasses.fields(kind.body)]


@pytest.mark.parametrize("record", handbook.records(), ids=lambda record: record.__name__)
def test_a_record_inside_events_is_told_with_its_units(record: type) -> None:
    told = section(record.__name__)
    assert inspect.cleandoc(record.__doc__ or "-") in told
    assert [row[0] for row in rows(told)] == [f"`{field.name}`" for field in dataclasses.fields(record)]
    assert all(row[3] for row in rows(told))


def test_no_meaning_is_kept_for_a_field_that_is_gone() -> None:
    fields = {(body.__name__, field.name) for body in BODIES for field in dataclasses.fields(body)}
    assert set(WORDS) <= {name for _, name in fields} | {".".join(each) for each in fields}


def test_every_header_of_the_contract_is_in_the_first_table() -> None:
    (table,) = re.findall(r"## Headers\n(.+?)\n## ", PAGE, re.DOTALL)
    told = {row[0]: row for row in rows(table)}
    assert list(told) == [f"`{header.name}`" for header in HEADERS]
    assert {name for name, row in told.items() if row[1] == "always"} == {f"`{h.name}`" for h in HEADERS if h.required}


def test_units_and_what_the_docstring_says_of_a_field_stand_beside_it() -> None:
    meanings = {row[0]: row[3] for row in rows(section("loan.overdue.v1"))}
    assert meanings["`days_past_due`"] == "calendar days"
    assert "count from `since`" in meanings["`since`"]
    assert {row[0]: row[2] for row in rows(section("rating.assigned.v1"))}["`capped_by`"] == 'optional, else `""`'


def test_every_link_inside_the_page_leads_to_a_heading() -> None:
    assert absent_anchors(PAGE) == set()
    assert absent_anchors("# One\n[a](#one) [b](#two)") == {"two"}


def test_an_event_that_no_service_reads_says_so() -> None:
    assert "read by nobody inside." in handbook.page({}, partitions=1)
    assert "read by nobody inside." not in PAGE
