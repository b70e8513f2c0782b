"""docs/limits.md is the whole list of limits: each with the value and the range that the code really has."""

from __future__ import annotations

import ast
import operator
import re
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

from libs.runtime.settings import Settings
from tests.house.rules import ROOT, files

PAGE = ROOT / "docs" / "limits.md"
LIMIT = re.compile(r"_(MAX|MIN|SECONDS|MS|AT_ONCE|ROWS|CONNECTIONS)$")
# Of the command line, of what is told to a caller, and of dates: nothing is bounded by them.
NO_LIMITS = {"libs/runtime/cli.py:ANSWER_SECONDS_MAX", "libs/runtime/problems.py:RETRY_AFTER_SECONDS"}
OPERATORS = {ast.Sub: operator.sub, ast.Pow: operator.pow, ast.Mult: operator.mul}
_ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| [^|]+ \|[^|]*\| ?([^|]*)\|$", re.MULTILINE)


def value_of(node: ast.expr) -> Decimal | None:
    """The number that an expression writes, or None when it writes something else."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return Decimal(str(number))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            one, two = value_of(left), value_of(right)
            return None if one is None or two is None else Decimal(OPERATORS[type(op)](int(one), int(two)))
        case ast.Call(func=ast.Name(id="Decimal"), args=[ast.Constant(value=text)]):
            return Decimal(str(text))
    return None


def constants(path: str, source: str) -> dict[str, Decimal]:
    """The limits among a module's constants."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, value_of(node.value)
            if value is not None and LIMIT.search(name):
                found[f"{path}:{name}"] = value
    return found


def is_about(path: PurePosixPath) -> bool:
    """The runtime, and the doors and views of the services; what a policy bounds is dated and stands there."""
    door = path.parts[0] == "services" and {"api", "api.py", "identity.py", "views", "views.py"} & set(path.parts[2:3])
    return path.suffix == ".py" and (path.is_relative_to("libs/runtime") or bool(door))


def real() -> dict[str, tuple[Decimal | None, str]]:
    """Every limit of the code: its value, and the range that a setting may be set to."""
    found: dict[str, tuple[Decimal | None, str]] = {}
    for path, source in files():
        if is_about(path):
            found.update({name: (value, "") for name, value in constants(str(path), source).items()})
    for name, field in Settings.model_fields.items():
        if field.metadata and isinstance(field.default, int | float | None):
            bounds = {
                kind: getattr(mark, kind)
                for mark in field.metadata
                for kind in ("ge", "gt", "le")
                if hasattr(mark, kind)
            }
            if bounds:
                found[name.upper()] = (None if field.default is None else Decimal(str(field.default)), told(bounds))
    return {name: limit for name, limit in found.items() if name not in NO_LIMITS}


def told(bounds: dict[str, Any]) -> str:
    """A range as the page writes it."""
    low = f"{bounds['ge']:,}" if "ge" in bounds else f"above {bounds['gt']:,}"
    return f"{low} to {bounds['le']:,}" if "le" in bounds else f"from {low}"


def written(text: str) -> list[tuple[str, tuple[Decimal | None, str]]]:
    """The rows of the page."""
    rows = _ROW.findall(text)
    return [
        (name, (None if value.strip() == "–" else Decimal(value.replace(",", "")), spread.strip()))
        for name, value, spread in rows
    ]


def test_every_limit_stands_on_the_page_with_its_value_and_no_row_is_stale() -> None:
    rows = written(PAGE.read_text("utf-8"))
    assert len(rows) == len(dict(rows))
    assert dict(rows) == real()


def test_a_planted_limit_is_found_and_a_changed_value_is_seen() -> None:
    source = "ROWS_MAX = 2**3 - 1\nPATIENCE_SECONDS = 1.5\nNAME_MAX = 'x'\nTOP_MAX = Decimal('1e3')\nWORDS = 7\n"
    found = constants("libs/runtime/x.py", source)
    assert {name.partition(":")[2]: value for name, value in found.items()} == {
        "ROWS_MAX": 7,
        "PATIENCE_SECONDS": Decimal("1.5"),
        "TOP_MAX": 1000,
    }
    page = "| `LANES` | 2 | workers | wait | 1 to 12 |\n| `a.py:B_MAX` | 1,000 | rows | more | |\n"
    assert written(page) == [("LANES", (Decimal(2), "1 to 12")), ("a.py:B_MAX", (Decimal(1000), ""))]
    assert is_about(PurePosixPath("services/console/api/pages.py"))
    assert not is_about(PurePosixPath("services/rating/domain/size.py"))
