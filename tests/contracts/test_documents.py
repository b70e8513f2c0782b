"""What lies in docs/ is what the code promises today; a stale, missing or forgotten document is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy import contracts
from deploy.local.stack import SERVICES


def test_the_committed_documents_are_those_of_the_code() -> None:
    assert contracts.differences() == []


def test_every_service_of_the_platform_has_its_document() -> None:
    assert {service.name for service in contracts.SERVICES} == set(SERVICES)
    assert {f"openapi/{name}.json" for name in SERVICES} < set(contracts.wanted())


def test_a_document_changed_missing_or_astray_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "architecture.md").write_text("by people", "utf-8")
    assert contracts.main([], tmp_path) == 0
    assert contracts.main(["--check"], tmp_path) == 0
    (tmp_path / "events.md").write_text("# The events\n", "utf-8")
    (tmp_path / "asyncapi.json").unlink()
    (tmp_path / "openapi" / "treasury.json").write_text("{}", "utf-8")
    document = json.loads((tmp_path / "openapi" / "rating.json").read_text("utf-8"))
    document["paths"].popitem()
    (tmp_path / "openapi" / "rating.json").write_text(json.dumps(document), "utf-8")
    assert contracts.main(["--check"], tmp_path) == 1
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in told] == [
        "docs/openapi/treasury.json belongs to no service",
        "docs/events.md differs from the code",
        "docs/asyncapi.json is missing",
        "docs/openapi/rating.json differs from the code",
    ]
    assert contracts.main([], tmp_path) == 0
    assert contracts.differences(tmp_path) == []
    assert (tmp_path / "architecture.md").read_text("utf-8") == "by people"
