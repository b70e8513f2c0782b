"""Packages of npm for the tests: the locked versions, installed once per clone below the git-ignored `var/`.

`python -m tests.harness.npm` renews tests/contracts/node/package-lock.json after a change of package.json.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WANTED = ROOT / "tests" / "contracts" / "node"
FILES = ("package.json", "package-lock.json", ".npmrc")
HOME = ROOT / "var" / "node"
MODULES = HOME / "node_modules"
INSTALL_SECONDS_MAX = 600
RUN_SECONDS_MAX = 120


def installed(package: str) -> Path:
    """The folder of `package` (of tests/contracts/node/package.json); skips the test where there is no node or npm."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)} (Node.js 18 or later)")
    wanted = "".join((WANTED / name).read_text("utf-8") for name in FILES)
    HOME.mkdir(parents=True, exist_ok=True)
    with HOME.with_name("node.lock").open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)  # until the file is closed; tests in another process wait here
        mark = HOME / "complete"
        if not mark.exists() or mark.read_text("utf-8") != wanted:
            mark.unlink(missing_ok=True)
            for name in FILES:
                shutil.copyfile(WANTED / name, HOME / name)
            _npm("ci", folder=HOME)
            mark.write_text(wanted, "utf-8")
    return MODULES / package


def run(script: Path, text: str, *, needs: str) -> str:
    """What a script of ours prints when `text` is its standard input; it may require the package `needs`."""
    installed(needs)
    done = subprocess.run(
        ["node", str(script)],
        input=text,
        capture_output=True,
        text=True,
        env={**os.environ, "NODE_PATH": str(MODULES)},
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def renew_lock() -> None:
    """Lock the newest versions that package.json admits, without the addresses npm would add."""
    _npm("install", "--package-lock-only", folder=WANTED)
    lock = json.loads((WANTED / "package-lock.json").read_text("utf-8"))
    for package in lock["packages"].values():
        package.pop("funding", None)
    (WANTED / "package-lock.json").write_text(json.dumps(lock, indent=2) + "\n", "utf-8")


def _npm(*words: str, folder: Path) -> None:
    done = subprocess.run(
        ["npm", *words], cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"npm {' '.join(words)} in {folder} failed:\n{done.stderr[-4000:]}")


if __name__ == "__main__":
    renew_lock()
