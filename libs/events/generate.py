"""Writes one JSON Schema per event type beside the code, so that a change of the contract shows in review.

`python -m libs.events.generate` writes · `--check` writes nothing and fails when a file differs, is missing or astray.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import TypeAdapter

from libs.events.catalogue import kinds
from libs.events.envelope import Kind

FOLDER = Path(__file__).with_name("schemas")


def schema_of(kind: Kind) -> str:
    """The schema of the JSON that `kind` is published as; the same text whenever the class is the same."""
    schema = TypeAdapter(kind.body).json_schema(mode="serialization")
    named = {
        **schema,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"/schemas/{kind.type}.json",
        "x-topic": kind.topic,
    }
    return json.dumps(named, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def wanted() -> dict[str, str]:
    """Every file that should be there, by name."""
    return {f"{kind.type}.json": schema_of(kind) for kind in kinds()}


def differences(folder: Path = FOLDER) -> list[str]:
    """What is wrong with the files in `folder`, one line each; none when all is as it should be."""
    files = wanted()
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.is_file()}
    missing = [f"{name} is missing" for name in sorted(files.keys() - present.keys())]
    astray = [f"{name} belongs to no event" for name in sorted(present.keys() - files.keys())]
    changed = [f"{name} differs" for name in sorted(files.keys() & present.keys()) if files[name] != present[name]]
    return missing + astray + changed


def write(folder: Path = FOLDER) -> None:
    """Make `folder` hold exactly the schemas of the catalogue."""
    folder.mkdir(exist_ok=True)
    files = wanted()
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """The command line of this module; 1 when `--check` found something."""
    if arguments != ["--check"]:
        write(folder)
        return 0
    found = differences(folder)
    for line in found:
        print(f"libs/events/schemas: {line}", file=sys.stderr)  # noqa: T201 - a command's own output
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
