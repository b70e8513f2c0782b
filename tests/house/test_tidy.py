"""The tree keeps every rule, and every rule is shown a violation that it catches and a neighbour that it lets pass."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from tests.house import rules
from tests.house.rules import RULES, SPEAKS_OF_THEM, Rule, files

DOMAIN, COMMANDS = "services/rating/domain/planted.py", "services/rating/commands.py"
LONG = "def f() -> None:\n" + "    print()\n" * rules.FUNCTION_LINES_MAX

PLANTED: list[tuple[Rule, str, str]] = [
    (rules.module_says_what_it_is_for, DOMAIN, "x = 1\n"),
    (rules.module_says_what_it_is_for, "deploy/local/planted.py", "# a comment is no docstring\n"),
    (rules.file_is_short, "tests/planted.py", "x = 1\n" * (rules.FILE_LINES_MAX + 1)),
    (rules.function_is_short, "libs/runtime/planted.py", LONG),
    (
        rules.function_is_short,
        "libs/runtime/planted.py",
        "class A:\n" + "".join(f"  {row}\n" for row in LONG.splitlines()),
    ),
    (rules.money_is_never_float, DOMAIN, "def f(rate: float) -> None: ...\n"),
    (rules.money_is_never_float, "libs/kernel/planted.py", "x = float('1')\n"),
    (rules.money_is_never_float, "libs/events/planted.py", "x = 0.5\n"),
    (rules.time_is_an_argument, DOMAIN, "x = datetime.now(UTC)\n"),
    (rules.time_is_an_argument, "services/rating/domain.py", "x = date.today()\n"),
    (rules.nothing_is_left_to_chance, DOMAIN, "x = uuid.uuid4()\n"),
    (rules.nothing_is_left_to_chance, "libs/kernel/planted.py", "from uuid import uuid4\nx = uuid4()\n"),
    (rules.nothing_is_left_to_chance, "libs/events/planted.py", "from random import choice\n"),
    (rules.nothing_is_left_to_chance, DOMAIN, "def f():\n    import secrets\n"),
    (rules.only_runtime_commits, COMMANDS, "async def f(conn):\n    await conn.commit()\n"),
    (rules.only_runtime_commits, "deploy/demo/planted.py", "async def f():\n    async with engine.begin(): ...\n"),
    (rules.only_the_relay_sends, COMMANDS, "async def f(p):\n    await p.send('t', b'')\n"),
    (rules.only_the_relay_sends, "libs/runtime/calls.py", "from aiokafka import AIOKafkaProducer\n"),
    (rules.only_the_relay_sends, "libs/runtime/tx.py", "async def f(p):\n    await p.send_and_wait('t', b'')\n"),
    (rules.file_name_says_something, "services/rating/utils.py", ""),
    (rules.file_name_says_something, "tests/rating/helpers.py", ""),
    (rules.libs_know_no_service, "libs/runtime/planted.py", "def f():\n    from services.rating import store\n"),
    (rules.the_auditor_stands_apart, "tests/chaos/auditor_planted.py", "from libs.runtime.dump import UUID\n"),
    (rules.the_auditor_stands_apart, "tests/chaos/auditor.py", "def f():\n    from services.rating import store\n"),
    (rules.the_auditor_stands_apart, "tests/chaos/auditor.py", "from tests.chaos.plants import PLANTS\n"),
    (rules.names_no_registry, "requirements.txt", "--extra-index-url somewhere\n"),
    (rules.names_no_registry, "deploy/local/pom.xml", "<url>https://repo.example.com/maven2</url>\n"),
    (rules.names_no_place_of_one_machine, "docs/a.md", "see /home/anna/notes\n"),
    (rules.names_no_place_of_one_machine, "tests/a.py", "DATA = '../shared/data'\n"),
    (rules.puts_nothing_off, "services/rating/api.py", "# TODO later\n"),
    (rules.puts_nothing_off, "docs/a.md", "FIXME: explain\n"),
]

LET_PASS: list[tuple[Rule, str, str]] = [
    (rules.module_says_what_it_is_for, "tests/planted.py", "x = 1\n"),
    (rules.file_is_short, "tests/planted.py", "x = 1\n" * rules.FILE_LINES_MAX),
    (rules.function_is_short, "libs/runtime/planted.py", LONG.replace("    print()\n", "", 1)),
    (rules.function_is_short, "services/rating/migrations/versions/0001.py", LONG),
    (rules.money_is_never_float, "libs/runtime/planted.py", "seconds = 0.5\n"),
    (rules.money_is_never_float, DOMAIN, "x = 'float'\n"),
    (rules.time_is_an_argument, "libs/runtime/planted.py", "x = datetime.now(UTC)\n"),
    (rules.nothing_is_left_to_chance, "deploy/demo/planted.py", "from random import Random\n"),
    (rules.only_runtime_commits, "libs/runtime/planted.py", "async def f():\n    async with engine.begin(): ...\n"),
    (rules.only_the_relay_sends, "libs/runtime/sender.py", "async def f(p):\n    await p.send('t', b'')\n"),
    (rules.the_auditor_stands_apart, "tests/chaos/auditor.py", "from tests.chaos.auditor_dump import canonical\n"),
    (rules.the_auditor_stands_apart, "tests/chaos/watch.py", "from libs.runtime import migrate\n"),
    (rules.names_no_registry, "tests/a.py", "A = 'http://127.0.0.1:1'; B = 'http://service'\n"),
    (rules.names_no_registry, "Makefile", "PIN := uv pip compile --no-emit-index-url\n"),
    (rules.names_no_place_of_one_machine, "tests/a.py", "http.get(f'{url}/work/x'); path = 'services/home/x'\n"),
    (rules.puts_nothing_off, "services/rating/api.py", "todo = 1\n"),
]


def _id(case: object) -> str:
    return getattr(case, "__name__", "")


@pytest.mark.parametrize("rule", RULES, ids=_id)
def test_the_tree_keeps(rule: Rule) -> None:
    broken = [
        line for path, source in files() if not path.is_relative_to(SPEAKS_OF_THEM) for line in rule(path, source)
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(("rule", "path", "source"), PLANTED, ids=_id)
def test_a_planted_violation_is_caught_by(rule: Rule, path: str, source: str) -> None:
    assert rule(PurePosixPath(path), source)


@pytest.mark.parametrize(("rule", "path", "source"), LET_PASS, ids=_id)
def test_what_is_allowed_is_let_pass_by(rule: Rule, path: str, source: str) -> None:
    assert rule(PurePosixPath(path), source) == []


def test_every_rule_is_shown_a_violation() -> None:
    assert {rule for rule, _, _ in PLANTED} == set(RULES)


def test_the_rules_see_the_whole_project() -> None:
    seen = {path for path, _ in files()}
    for path in (
        "libs/kernel/money.py",
        "services/rating/main.py",
        "deploy/local/pom.xml",
        "Makefile",
        "pyproject.toml",
    ):
        assert PurePosixPath(path) in seen
    assert not any(path.parts[0] in {".venv", "var", ".git"} for path in seen)
