"""Every import contract can fail: a copy of the tree with one planted import is rejected, and names the contract."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.rules import CODE, ROOT

SERVICES_APART = "services never import one another"
LIBS_BELOW = "libs never import services"
DEPLOY_ABOVE = "services and libs never import how they are deployed"
SERVICE_LAYERS = "one direction inside a service"
LIBS_LAYERS = "one direction inside libs"
PLAIN = "domain, events and kernel are plain Python"

PLANTED = [
    (SERVICES_APART, "services/rating/commands.py", "from services.incentive.domain import pay"),
    (SERVICES_APART, "services/console/reactions.py", "def f():\n    from services.rating import store"),
    (LIBS_BELOW, "libs/runtime/tx.py", "from services.rating import store"),
    (DEPLOY_ABOVE, "libs/runtime/migrate.py", "from deploy.local import postgres"),
    (SERVICE_LAYERS, "services/rating/commands.py", "from services.rating import api"),
    (SERVICE_LAYERS, "services/collateral/reactions.py", "from services.collateral import timers"),
    (SERVICE_LAYERS, "services/rating/domain/size.py", "from services.rating import store"),
    (SERVICE_LAYERS, "services/rating/helpers.py", "X = 1"),
    (LIBS_LAYERS, "libs/events/rating.py", "from libs.runtime import tx"),
    (PLAIN, "services/rating/domain/size.py", "def f():\n    import pydantic"),
    (PLAIN, "services/guarantee/domain/claim.py", "from libs.runtime.tx import Tx"),
    (PLAIN, "libs/kernel/money.py", "import random"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of everything the import rules look at."""
    folder = tmp_path_factory.mktemp("tree")
    for name in CODE:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run the linter in `tree`; with `-c` the current folder comes first, before the installed project."""
    code = "import sys; from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], cwd=tree, capture_output=True, text=True, check=False, timeout=60
    )


def contracts() -> list[str]:
    """The contracts' names in pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]


def test_the_clean_tree_passes(tree: Path) -> None:
    result = lint(tree)
    assert result.returncode == 0, result.stdout
    assert all(f"{name} KEPT" in result.stdout for name in contracts())


@pytest.mark.parametrize(("contract", "path", "line"), PLANTED)
def test_a_planted_import_is_rejected(tree: Path, contract: str, path: str, line: str) -> None:
    place = tree / path
    before = place.read_text("utf-8") if place.exists() else None
    place.write_text(f"{before or ''}\n{line}\n", "utf-8")
    try:
        result = lint(tree)
    finally:
        if before is None:
            place.unlink()
        else:
            place.write_text(before, "utf-8")
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{contract} BROKEN" in result.stdout


def test_every_contract_is_shown_a_violation() -> None:
    assert {contract for contract, _, _ in PLANTED} == set(contracts())
