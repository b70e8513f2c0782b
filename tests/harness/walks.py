"""Runs a page of docs as a newcomer would: its `bash` blocks in one shell, each compared with what it shows.

A block marked `text` right after a `bash` block is what that one prints; `…` in it stands for any text, a line of `…`
alone for any lines. A block marked `sh` is not run: it starts the platform, which runs already.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SECONDS_MAX = 300
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One thing to type, and what it prints then (None: the page does not say)."""

    typed: str
    printed: str | None


def blocks(page: str) -> list[Block]:
    """What a page has typed, in order."""
    return [Block(typed, printed) for kind, typed, printed in _read(page) if kind == "bash"]


def _read(page: str) -> list[tuple[str, str, str | None]]:
    return [(found[1], found[2], found[3]) for found in _BLOCK.finditer(page)]


def prints(shown: str, told: str) -> bool:
    """Whether `told` is what a page shows."""
    lines = [r"(?:.*\n)*?" if line == "…\n" else f"{_any(line)}" for line in shown.splitlines(keepends=True)]
    return re.fullmatch("".join(lines), told) is not None


def _any(line: str) -> str:
    return ".*?".join(map(re.escape, line.split("…")))


def walk(page: str, folder: Path, home: Path) -> list[str]:
    """Type the whole page in `folder`, where `var` is the platform's home; what went otherwise than the page says."""
    folder.mkdir(parents=True)
    (folder / "var").symlink_to(home)
    (folder / ".venv").symlink_to(sys.prefix)
    steps = blocks(page)
    mark = "--- end of block"
    script = "set -euo pipefail\n" + "".join(f"{step.typed}\necho '{mark}'\n" for step in steps)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    told = run.stdout.split(f"{mark}\n")
    wrong = [f"exit code {run.returncode}: {run.stderr[-2000:]}"] if run.returncode else []
    for step, got in zip(steps, told, strict=False):
        if step.printed is not None and not prints(step.printed, got):
            wrong.append(f"{step.typed}\nprinted:\n{got}\nnot:\n{step.printed}")
    return wrong
