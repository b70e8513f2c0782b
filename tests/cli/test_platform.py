"""The commands about the whole platform, and the help of every command; starting one is what the journeys do."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.cli import main
from deploy.demo.opening import FIRST_DAY
from deploy.local import commands, demo
from deploy.local.process import ChildFailed
from libs.runtime.cli import DONE, NO, UNREACHABLE, USAGE

Say = pytest.CaptureFixture[str]
COMMANDS = (
    "up",
    "demo",
    "report",
    "token",
    "events",
    "events parked",
    "events show",
    "events redrive",
    "events discard",
    "calls",
    "calls failed",
    "calls retry",
    "calls settle",
    "policy",
    "policy show",
    "policy diff",
    "policy validate",
)


def helped(line: str, capsys: Say) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*line.split(), "--help"])
    assert ended.value.code == DONE
    return capsys.readouterr().out


def test_the_help_names_every_command_and_the_exit_codes(capsys: Say) -> None:
    told = helped("", capsys)
    assert {name for name in COMMANDS if " " not in name} <= set(told.split())
    assert "Exit codes: 0 done · 1 " in told


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_has_help_with_an_example_of_itself(line: str, capsys: Say) -> None:
    told = helped(line, capsys)
    example = re.search(r"^example:\n  silverbear (.+)$", told, re.MULTILINE)
    assert example is not None
    assert example[1].startswith(line)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("up --loans 51", "--loans is 0 to 50"),
        ("up --loans -1", "--loans is 0 to 50"),
        ("up --loans 1 --profile us-sba", "generated for cn-branch only"),
    ],
)
def test_a_line_that_cannot_be_meant_is_refused_before_anything_starts(line: str, told: str, capsys: Say) -> None:
    assert main(line.split()) == USAGE
    assert told in capsys.readouterr().err


def test_a_platform_that_does_not_start_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    @contextmanager
    def failing(*_: object) -> Iterator[None]:
        raise ChildFailed("Java 17 or later is needed")
        yield

    monkeypatch.setattr(demo, "broker_for", lambda **_: "kafka")
    monkeypatch.setattr(demo, "staying", failing)
    for line in (["up"], ["demo", "--limit", "1"]):
        assert main(line) == NO
        assert capsys.readouterr().err == "silverbear: Java 17 or later is needed\n"


def test_a_demo_of_a_file_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Say) -> None:
    monkeypatch.setattr(demo, "broker_for", lambda **_: "kafka")
    assert main(["demo", "--loans", "no-such-file.csv"]) == NO
    assert "no-such-file.csv" in capsys.readouterr().err


def test_up_opens_the_branch_says_where_everything_is_and_ends_with_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    platform = SimpleNamespace(
        profile="cn-branch",
        bootstrap="127.0.0.1:2",
        topic_prefix="",
        urls={"console": ["http://127.0.0.1:1"]},
        issuer=SimpleNamespace(token=lambda *_, **__: "a-token"),
    )

    @contextmanager
    def started(*_: object) -> Iterator[SimpleNamespace]:
        yield platform

    async def opened(_: object, loans: int) -> list[str]:
        return [f"loan-{number}" for number in range(loans)]

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "broker_for", lambda **_: "kafka")
    monkeypatch.setattr(demo, "staying", started)
    monkeypatch.setattr(commands, "_open", opened)
    monkeypatch.setattr("signal.pause", interrupted)
    assert main(["up", "--loans", "2"]) == DONE
    told = capsys.readouterr().out
    assert f"The branch is open on {FIRST_DAY['cn-branch']}; paid out: loan-0, loan-1" in told
    assert "http://127.0.0.1:1/\n" in told
    assert told.endswith("Ending.\nended\n")
    assert FIRST_DAY["cn-branch"] == date(2025, 9, 1)


def test_a_report_without_a_platform_says_how_to_start_one(tmp_path: Path, capsys: Say) -> None:
    assert main(["report", "--addresses", str(tmp_path / "none")]) == UNREACHABLE
    assert "(`silverbear up`)" in capsys.readouterr().err


def test_a_report_of_a_silent_broker_says_so(tmp_path: Path, capsys: Say) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    (tmp_path / "platform.env").write_text(f"export SILVERBEAR_KAFKA=127.0.0.1:{free}\n", "utf-8")
    assert main(["report", "--addresses", str(tmp_path / "platform.env")]) == UNREACHABLE
    assert f"Kafka at 127.0.0.1:{free} does not answer" in capsys.readouterr().err
