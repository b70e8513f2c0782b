"""The rules about the code itself, each a pure function of one file: it returns what is wrong, one line each.

A rule knows by the path which files it is about, so it can be shown a planted violation that is in no real file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
CODE = ("libs", "services", "deploy")
FOLDERS = (*CODE, "tests", "docs", "profiles", ".ci")
FORBIDDEN_NAMES = frozenset(
    f"{name}.py" for name in ("helpers", "helper", "utils", "util", "common", "misc", "base", "manager", "managers")
)
CLOCKS = frozenset({"now", "today", "utcnow"})
CHANCE = frozenset({"random", "secrets"})
TRANSACTIONS = frozenset({"commit", "begin", "begin_nested"})
SENDS = frozenset({"send", "send_and_wait", "send_batch"})
LOCAL_HOSTS = ("127.0.0.1", "localhost")
NAMESPACES = ("maven.apache.org", "www.w3.org", "www.apache.org", "json-schema.org")  # names, not places to fetch from

Rule = Callable[[PurePosixPath, str], list[str]]


@cache
def files() -> tuple[tuple[PurePosixPath, str], ...]:
    """Every text file of the project by its path in it, without caches, data and the virtual environment."""
    return tuple(_read())


def _read() -> Iterator[tuple[PurePosixPath, str]]:
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    found += [path for path in ROOT.iterdir() if path.name != ".git"]
    for path in sorted(found):
        if path.is_file() and "__pycache__" not in path.parts:
            try:
                yield PurePosixPath(path.relative_to(ROOT)), path.read_text("utf-8")
            except UnicodeDecodeError:
                continue


@cache
def _tree(source: str) -> ast.Module:
    return ast.parse(source)


@cache
def _nodes(source: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(_tree(source)))


def _is_code(path: PurePosixPath) -> bool:
    return path.suffix == ".py" and path.parts[0] in CODE


def _is_generated(path: PurePosixPath) -> bool:
    """Migrations are written by alembic, one long function each."""
    return path.parts[-2:-1] == ("versions",)


def _is_pure(path: PurePosixPath) -> bool:
    """Where rules and the contract live: domain, kernel, events."""
    return path.suffix == ".py" and (
        path.parts[:2] in (("libs", "kernel"), ("libs", "events"))
        or (path.parts[0] == "services" and "domain" in (path.stem, *path.parts[2:]))
    )


def _attribute_calls(source: str, names: frozenset[str]) -> Iterator[tuple[int, str]]:
    for node in _nodes(source):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
            yield node.lineno, ast.unparse(node.func)


def _imports(source: str) -> Iterator[tuple[int, str]]:
    """Each imported name with its line, dotted: `from a import b` gives `a.b`."""
    for node in _nodes(source):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


def module_says_what_it_is_for(path: PurePosixPath, source: str) -> list[str]:
    if not _is_code(path) or ast.get_docstring(_tree(source)):
        return []
    return [f"{path}: a module opens with one sentence: what it is for and the invariant it keeps"]


def file_is_short(path: PurePosixPath, source: str) -> list[str]:
    lines = len(source.splitlines())
    if path.suffix != ".py" or _is_generated(path) or lines <= FILE_LINES_MAX:
        return []
    return [f"{path}: {lines} lines, more than {FILE_LINES_MAX}: make it a package divided by the business"]


def function_is_short(path: PurePosixPath, source: str) -> list[str]:
    if path.suffix != ".py" or _is_generated(path):
        return []
    return [
        f"{path}:{node.lineno}: {node.name} is longer than {FUNCTION_LINES_MAX} lines"
        for node in _nodes(source)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]


def money_is_never_float(path: PurePosixPath, source: str) -> list[str]:
    if not _is_pure(path):
        return []
    return [
        f"{path}:{node.lineno}: float in {path.parts[-2]}: Decimal only"
        for node in _nodes(source)
        if (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.Constant) and isinstance(node.value, float))
    ]


def time_is_an_argument(path: PurePosixPath, source: str) -> list[str]:
    if not _is_pure(path):
        return []
    return [f"{path}:{line}: {call}(): time is an argument" for line, call in _attribute_calls(source, CLOCKS)]


def nothing_is_left_to_chance(path: PurePosixPath, source: str) -> list[str]:
    if not _is_pure(path):
        return []
    named = [
        (node.lineno, ast.unparse(node))
        for node in _nodes(source)
        if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).endswith(("uuid1", "uuid4"))
    ]
    drawn = [(line, name) for line, name in _imports(source) if name.split(".")[0] in CHANCE]
    return [f"{path}:{line}: {name}: ids and chance come from outside" for line, name in (*named, *drawn)]


def only_runtime_commits(path: PurePosixPath, source: str) -> list[str]:
    if not _is_code(path) or path.parts[:2] == ("libs", "runtime"):
        return []
    calls = _attribute_calls(source, TRANSACTIONS)
    return [f"{path}:{line}: {call}(): transactions begin and end in libs/runtime" for line, call in calls]


def only_the_relay_sends(path: PurePosixPath, source: str) -> list[str]:
    if not _is_code(path) or path == PurePosixPath("libs/runtime/sender.py"):
        return []
    found = [(line, name) for line, name in _imports(source) if "Producer" in name]
    if path != PurePosixPath("libs/runtime/calls.py"):  # what it sends is HTTP, to a partner
        found += _attribute_calls(source, SENDS)
    return [f"{path}:{line}: {name}: events leave through the outbox only" for line, name in found]


def file_name_says_something(path: PurePosixPath, _: str) -> list[str]:
    if path.name not in FORBIDDEN_NAMES:
        return []
    return [f"{path}: name the file after what it does for the business"]


def libs_know_no_service(path: PurePosixPath, source: str) -> list[str]:
    if path.suffix != ".py" or path.parts[0] != "libs":
        return []
    found = [(line, name) for line, name in _imports(source) if name.split(".")[0] == "services"]
    return [f"{path}:{line}: imports {name}" for line, name in found]


def the_auditor_stands_apart(path: PurePosixPath, source: str) -> list[str]:
    """It judges the code by databases and topics alone, so it shares nothing with the code."""
    if path.parent != PurePosixPath("tests/chaos") or not path.name.startswith("auditor"):
        return []
    found = [(line, name) for line, name in _imports(source) if name.split(".")[0] in (*CODE, "tests")]
    return [f"{path}:{line}: imports {name}" for line, name in found if not name.startswith("tests.chaos.auditor")]


_ADDRESS = re.compile(r"https?://([\w.-]*[\w-])")
_INDEX = re.compile(r"(?<!no-emit-)(?:index-url|find-links|trusted-host)\b")
_MACHINE = re.compile(r"(?<![\w.}/])/(?:work|home|root|Users|mnt)/\w|[A-Z]:\\Users|\.\./shared")
_LATER = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")


def names_no_registry(path: PurePosixPath, source: str) -> list[str]:
    """No package index and no address but this machine's own: a clone fetches from wherever its user is set up to."""
    found = [f"{path}: {match[0]}" for match in _INDEX.finditer(source)]
    for match in _ADDRESS.finditer(source):
        host = match[1]
        if host not in (*LOCAL_HOSTS, *NAMESPACES) and "." in host:
            found.append(f"{path}: {match[0]}: no address of another machine")
    return found


def names_no_place_of_one_machine(path: PurePosixPath, source: str) -> list[str]:
    return [f"{path}: {match[0]}…: a path of one machine" for match in _MACHINE.finditer(source)]


def puts_nothing_off(path: PurePosixPath, source: str) -> list[str]:
    return [f"{path}: {match[0]}: do it now or decide not to" for match in _LATER.finditer(source)]


RULES: tuple[Rule, ...] = (
    module_says_what_it_is_for,
    file_is_short,
    function_is_short,
    money_is_never_float,
    time_is_an_argument,
    nothing_is_left_to_chance,
    only_runtime_commits,
    only_the_relay_sends,
    file_name_says_something,
    libs_know_no_service,
    the_auditor_stands_apart,
    names_no_registry,
    names_no_place_of_one_machine,
    puts_nothing_off,
)
SPEAKS_OF_THEM = PurePosixPath("tests/house")
"""These files quote what they forbid."""
