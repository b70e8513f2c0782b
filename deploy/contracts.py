"""Writes what the platform promises to others into docs/: the events, and each service's HTTP interface.

`python -m deploy.contracts` writes · `--check` writes nothing and fails when a file differs, is missing or astray, or
when the code breaks what docs/released/ holds · `--release` adds the code's promises to docs/released/, breaking none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from deploy import compatibility
from deploy.local.stack import PARTITIONS, ROOT
from libs.events import asyncapi, generate, handbook
from libs.events import compatibility as events
from libs.runtime.service import Service
from services.application import main as application
from services.collateral import main as collateral
from services.console import main as console
from services.guarantee import main as guarantee
from services.incentive import main as incentive
from services.rating import main as rating

FOLDER = ROOT / "docs"
SERVICES: tuple[Service, ...] = tuple(
    main.service for main in (application, rating, collateral, guarantee, incentive, console)
)
RELEASED = "released"
EVERYWHERE = ("day.closed.v1",)
"""What the runtime itself applies in every service."""


def readers() -> dict[str, tuple[str, ...]]:
    """The event types each service acts on, by its name."""
    return {service.name: (*service.reactions, *EVERYWHERE) for service in SERVICES}


def wanted() -> dict[str, str]:
    """Every file that should be there, by its path in docs/."""
    read = readers()
    files = {
        "events.md": handbook.page(read, partitions=PARTITIONS),
        "asyncapi.json": _text(asyncapi.document(read, partitions=PARTITIONS)),
    }
    for service in SERVICES:
        files[f"openapi/{service.name}.json"] = _text(service.app.openapi())
    return files


def differences(folder: Path = FOLDER) -> list[str]:
    """What is wrong with the files in `folder`, one line each; none when all is as it should be."""
    files = wanted()
    astray = [path.name for path in sorted(folder.glob("openapi/*")) if f"openapi/{path.name}" not in files]
    found = [f"openapi/{name} belongs to no service" for name in astray]
    for name, text in files.items():
        path = folder / name
        if not path.exists():
            found.append(f"{name} is missing")
        elif path.read_text(encoding="utf-8") != text:
            found.append(f"{name} differs from the code")
    return found


def write(folder: Path = FOLDER) -> None:
    """Make `folder` hold exactly the documents of the code, beside those that people wrote."""
    files = wanted()
    (folder / "openapi").mkdir(parents=True, exist_ok=True)
    for path in folder.glob("openapi/*"):
        if f"openapi/{path.name}" not in files:
            path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def promises() -> dict[str, str]:
    """What a release promises, by its path in docs/released/: each event's schema and each service's interface."""
    events = {f"events/{name}": text for name, text in generate.wanted().items()}
    return events | {f"openapi/{service.name}.json": _text(service.app.openapi()) for service in SERVICES}


def broken(folder: Path = FOLDER) -> list[str]:
    """What the code breaks of what was released, one line each. No command but `--release` writes there."""
    now, found = promises(), []
    for path in sorted((folder / RELEASED).glob("*/*.json")):
        name = path.relative_to(folder / RELEASED).as_posix()
        released = json.loads(path.read_text(encoding="utf-8"))
        if name not in now:
            found.append(f"{name} is gone")
        elif name.startswith("events/"):
            found += [f"{name}: {line}" for line in events.breaks(released, json.loads(now[name]))]
        else:
            found += [f"{name}: {line}" for line in compatibility.breaks(released, json.loads(now[name]))]
    return found


def release(folder: Path = FOLDER) -> None:
    """Promise what the code does today; only where `broken` finds nothing."""
    for name, text in promises().items():
        (folder / RELEASED / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / RELEASED / name).write_text(text, encoding="utf-8")


def _text(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """The command line of this module; 1 when something released would break, or `--check` found a difference."""
    if not arguments:
        write(folder)
        return 0
    found = [f"docs/{RELEASED}/{line}: callers and readers rely on it" for line in broken(folder)]
    if arguments == ["--check"]:
        found += [f"docs/{line}: run python -m deploy.contracts" for line in differences(folder)]
    elif not found:
        release(folder)
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
