"""What the documents name exists: every path, every function of a file, every link, every command."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from deploy.cli import main
from tests.house.rules import FOLDERS, ROOT

DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
IMAGINED = "services/watchlist/"
"""The new service of CONTRIBUTING, which test_contributing makes from the page."""
PARTS = ("**Context.**", "**Decision.**", "**Consequences.**", "**When to revisit.**")

_PATH = re.compile(rf"(?<![\w/.-])(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]*\w/?(?::[A-Za-z_]\w*)?")
_FILE = re.compile(r"`([\w.-]+\.(?:md|toml|txt|in)|Makefile|LICENSE)`")
_LINK = re.compile(r"\]\(([^)#]+)\)")
_TARGET = re.compile(r"\bmake ((?:[A-Z]+=\S+ )*)([a-z]+)")
_CLI = re.compile(r"silverbear ((?:[a-z]+ ?)+)")
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def absent_paths(text: str) -> list[str]:
    """Paths of the project, and functions or names of its files, that are not there."""
    named = [found[0] for found in _PATH.finditer(text) if not found[0].startswith(IMAGINED)]
    return [name for name in named if not _is_there(name)]


def _is_there(named: str) -> bool:
    path, _, name = named.partition(":")
    place = ROOT / path
    if not place.exists():
        return False
    return not name or name in _names(place)


def _names(place: Path) -> set[str]:
    """The functions, methods, classes and constants of a Python file."""
    names = set()
    for node in ast.walk(ast.parse(place.read_text("utf-8"))):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


def absent_files(text: str) -> list[str]:
    """Files at the top of the project, named in code marks, that are not there; a date names any policy version."""
    known = {path.name for path in ROOT.iterdir()}
    return [name for name in _FILE.findall(text) if name not in known and not name[:4].isdigit()]


def dead_links(document: Path, text: str) -> list[str]:
    """Relative links that lead nowhere."""
    return [link for link in _LINK.findall(text) if "://" not in link and not (document.parent / link).exists()]


def absent_targets(text: str) -> list[str]:
    """Commands `make x`, in code marks, for which the Makefile has no x."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    code = " ".join(_CODE.findall(text))
    return [target for _, target in _TARGET.findall(code) if target not in targets]


def absent_commands(text: str) -> list[str]:
    """Lines `silverbear x y`, in code marks, that the command line does not know."""
    found = {" ".join(words.split()[:2]) for code in _CODE.findall(text) for words in _CLI.findall(code)}
    return sorted(words for words in found if not _is_command(words))


def _is_command(words: str) -> bool:
    try:
        main([*words.split(), "--help"])
    except SystemExit as ended:
        return ended.code == 0
    return False


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_names_exists(document: Path) -> None:
    text = document.read_text("utf-8")
    assert absent_paths(text) == []
    assert absent_files(text) == []
    assert dead_links(document, text) == []
    assert absent_targets(text) == []
    assert absent_commands(text) == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "decisions").iterdir()), ids=lambda path: path.name)
def test_a_decision_is_one_page_with_its_four_parts_in_order(page: Path) -> None:
    text = page.read_text("utf-8")
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", page.name)
    assert text.startswith(f"# {page.name[:4]} ")
    places = [text.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)
    assert len(text.splitlines()) <= 60


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(page.name[:4]) for page in (ROOT / "docs" / "decisions").iterdir())
    assert numbers == list(range(1, len(numbers) + 1))


def test_planted_names_of_nothing_are_caught() -> None:
    assert absent_paths("see libs/kernel/money.py and services/rating/cash.py.") == ["services/rating/cash.py"]
    assert absent_paths("`libs/kernel/money.py:split`, `libs/kernel/money.py:join`") == ["libs/kernel/money.py:join"]
    assert absent_files("`Makefile` and `HISTORY.md`") == ["HISTORY.md"]
    assert dead_links(ROOT / "README.md", "[a](docs/architecture.md) [b](docs/none.md)") == ["docs/none.md"]
    assert absent_targets("`make demo`, `make LIMIT=2 coffee`, and make sure") == ["coffee"]
    assert absent_commands("`silverbear policy show x/y`, `silverbear events forget`") == ["events forget"]
