"""Writes one JSON Schema per event type beside the code, so that a change of the contract shows in review.

`python -m libs.events.generate` writes, unless a published type would break: that change needs a version beside it.
`--check` writes nothing and fails when a file differs, is missing or astray.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from libs.events.catalogue import kinds
from libs.events.compatibility import breaks
from libs.events.envelope import Kind
from libs.events.samples import sample

FOLDER = Path(__file__).with_name("schemas")
REFUSAL = (
    "Nothing was written. A published version never changes but by an optional field: keep its class as it was and"
    ' add the next version beside it, @event("noun.participle", version=2).'
)


def schema_of(kind: Kind) -> str:
    """The schema of the JSON that `kind` is published as; the same text whenever the class is the same."""
    return json.dumps(schema_object(kind), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def schema_object(kind: Kind) -> dict[str, Any]:
    """The same schema as an object."""
    return {
        **TypeAdapter(kind.body).json_schema(mode="serialization"),
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"/schemas/{kind.type}.json",
        "x-topic": kind.topic,
    }


def example_of(kind: Kind) -> dict[str, Any]:
    """An example of the JSON that `kind` is published as."""
    example: dict[str, Any] = TypeAdapter(kind.body).dump_python(sample(kind.body), mode="json")
    return example


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


def broken(folder: Path = FOLDER) -> list[str]:
    """What writing would break for those who read the types already in `folder`, one line each."""
    code = {f"{kind.type}.json": schema_object(kind) for kind in kinds()}
    found: list[str] = []
    for path in sorted(folder.glob("*.json")):
        promised = json.loads(path.read_text(encoding="utf-8"))
        lines = breaks(promised, code.get(path.name))
        found += [f"{path.stem}: {line}" for line in lines]
    return found


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
    """The command line of this module; 1 when `--check` found something, or writing would break a published type."""
    checking = arguments == ["--check"]
    found = differences(folder) if checking else broken(folder)
    for line in found:
        print(f"libs/events/schemas: {line}", file=sys.stderr)  # noqa: T201 - a command's own output
    if found and not checking:
        print(REFUSAL, file=sys.stderr)  # noqa: T201 - a command's own output
    if found:
        return 1
    if not checking:
        write(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
