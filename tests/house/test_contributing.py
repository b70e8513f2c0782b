"""The worked examples of CONTRIBUTING, carried out as they stand there on a copy of the tree."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from libs.runtime import cli, policies
from tests.house.rules import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PROBE = """
from libs.events.application import LoanOverdue
from services.watchlist.main import service
assert list(service.reactions) == ["loan.overdue.v1"], service.reactions
assert "/v1/facilities/{facility_id}" in service.app.openapi()["paths"]
assert {"watched", "outbox", "inbox"} <= {table.name for table in service.metadata.sorted_tables}
"""


def section(title: str) -> str:
    """One section of the page."""
    found = re.search(rf"^## {title}.*?(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[0]


def files(text: str) -> dict[str, str]:
    """The files that a section has written, by the path in their first line."""
    blocks = [dedent(block) for block in re.findall(r"^ *```python\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)]
    return {block.splitlines()[0].removeprefix("# "): block.partition("\n")[2] for block in blocks}


def python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_new_service_starts_and_keeps_the_rules_of_imports_and_style(tmp_path: Path) -> None:
    for name in ("libs", "services", "deploy"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    written = files(section("A service"))
    assert len(written) == 6
    for path in ("services/watchlist/__init__.py", "services/watchlist/domain/__init__.py"):
        written[path] = '"""The watchlist: how often a borrower fell behind."""\n'
    for path, source in written.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(source, "utf-8")
    for arguments in (
        ("-c", PROBE),
        ("-m", "ruff", "check", "--no-cache", "services/watchlist"),
        ("-m", "ruff", "format", "--no-cache", "--check", "services/watchlist"),
        ("-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"),
    ):
        done = python(*arguments, folder=tmp_path)
        assert done.returncode == 0, (arguments, done.stdout[-3000:], done.stderr[-3000:])


def test_the_new_policy_version_is_told_apart_from_the_old_and_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = section("A policy version")
    [old] = re.findall(r"`(services/[\w/.-]+\.toml)`", text)
    [new] = re.findall(r"that is `([\w.-]+\.toml)`", text)
    commands = [line.split()[1:] for line in text.splitlines() if line.startswith(".venv/bin/silverbear ")]
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    for folder in ROOT.glob("*/*/policies"):
        shutil.copytree(folder, tmp_path / folder.relative_to(ROOT))
    before = (tmp_path / old).read_text("utf-8")
    after = re.sub(r"^(\w+_max) = 0$", r"\1 = 1", before, count=1, flags=re.MULTILINE)
    assert after != before
    (tmp_path / old).with_name(new).write_text(after, "utf-8")
    monkeypatch.setattr(policies, "ROOT", tmp_path)
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    diff, validate = commands
    assert cli.main(diff) == cli.NO
    assert capsys.readouterr().out.endswith("_max: 0 -> 1\n")
    assert cli.main(validate) == cli.DONE
