"""Which broker `make demo` takes on which machine, and what it says; no package of this machine is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.local import broker, demo, kafka
from deploy.local.broker import Kind
from deploy.local.embedded_broker import LOANS_MAX
from deploy.local.process import ChildFailed

MAVEN = 'for word in "$@"; do case "$word" in -DoutputDirectory=*) /bin/mkdir "${word#*=}";; esac; done'
JAVA = "echo 'openjdk version \"17.0.1\" 2021-10-19'"


class Machine:
    """What is on the PATH, whose last call each planted program writes down."""

    def __init__(self, folder: Path) -> None:
        self.programs, self.packages = folder / "programs", folder / "packages"
        self.programs.mkdir()
        self.packages.mkdir()

    def plant(self, program: str, script: str) -> None:
        """Put a program there."""
        path = self.programs / program
        path.write_text(f'#!/bin/sh\necho "$DEBIAN_FRONTEND $*" >> "$0.calls"\n{script}\n', "utf-8")
        path.chmod(0o755)

    def plant_apt(self) -> None:
        """An apt-get that knows Maven and Java and installs them among the other programs."""
        for program, script in (("mvn", MAVEN), ("java", JAVA)):
            self.plant(program, script)
            (self.programs / program).rename(self.packages / program)
        install = f'/bin/cp "{self.packages}/$program" "{self.programs}/"'
        known = 'case "$*" in *maven) program=mvn;; *default-jre-headless) program=java;; *) exit 0;; esac'
        self.plant("apt-get", f"{known}\n{install}")

    def calls(self, program: str) -> list[str]:
        """What the program was called with, by its environment's frontend first."""
        told = self.programs / f"{program}.calls"
        return told.read_text("utf-8").splitlines() if told.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine without Java, Maven and jars, and no server of the user's own."""
    found = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(found.programs))
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.setattr(kafka, "LIBS", tmp_path / "libs")
    return found


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def test_a_user_without_rights_is_told_what_to_install(machine: Machine, user: None) -> None:
    machine.plant_apt()
    with pytest.raises(kafka.Missing, match=r"^`mvn` is missing: install Apache Maven .*apt-get install maven"):
        kafka.provide()
    assert machine.calls("apt-get") == []


def test_root_without_apt_is_told_the_same(machine: Machine, root: None) -> None:
    machine.plant("mvn", MAVEN)
    with pytest.raises(kafka.Missing, match=r"^`java` is missing: install Java 17 or later .*default-jre-headless"):
        kafka.provide()


def test_root_with_apt_gets_what_is_missing_and_goes_on(machine: Machine, root: None) -> None:
    machine.plant_apt()
    command = kafka.provide()
    assert (command[0], command[-1]) == (str(machine.programs / "java"), f"{kafka.LIBS}/*")
    assert machine.calls("apt-get") == [
        "noninteractive update -qq",
        "noninteractive install -y -qq --no-install-recommends maven",
        "noninteractive update -qq",
        "noninteractive install -y -qq --no-install-recommends default-jre-headless",
    ]
    assert kafka.provide() == command
    assert len(machine.calls("apt-get")) == 4
    assert len(machine.calls("mvn")) == 1


def test_root_whose_apt_fails_is_told_why(machine: Machine, root: None) -> None:
    machine.plant("apt-get", "echo 'no such mirror'; exit 100")
    with pytest.raises(
        kafka.Missing, match=r"^`mvn` is missing and apt-get could not install maven.*(?s:.)*no such mi"
    ):
        kafka.provide()
    machine.plant("apt-get", "exit 0")
    with pytest.raises(kafka.Missing, match="`mvn` is still missing after apt-get install maven"):
        kafka.provide()


def test_an_old_java_and_jars_out_of_reach_are_missing_too(machine: Machine, user: None) -> None:
    machine.plant("mvn", "echo 'no such repository'; exit 1")
    with pytest.raises(kafka.Missing, match=r"^Maven could not fetch Kafka's jars\n(?s:.)*no such repository"):
        kafka.provide()
    machine.plant("mvn", MAVEN)
    machine.plant("java", "echo 'openjdk version \"11.0.2\"'")
    with pytest.raises(kafka.Missing, match=r'needs Java 17 or later, .* says: openjdk version "11'):
        kafka.provide()


def test_auto_takes_kafka_where_it_runs_and_else_says_in_one_line_what_is_lacking(
    machine: Machine, user: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert broker.chosen("auto") is Kind.EMBEDDED
    (line,) = capsys.readouterr().out.splitlines()
    for said in (
        "in memory",
        "one process of each service",
        "nothing is kept",
        f"at most {LOANS_MAX}",
        "`mvn` is miss",
    ):
        assert said in line
    assert broker.chosen("kafka") is Kind.KAFKA  # which then ends with what is missing
    machine.plant("mvn", MAVEN)
    machine.plant("java", JAVA)
    assert broker.chosen("auto") is Kind.KAFKA
    assert broker.chosen("embedded") is Kind.EMBEDDED


def test_a_server_of_the_users_own_stands_for_kafka(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:9092")
    assert [broker.chosen(word) for word in ("auto", "kafka", "embedded")] == [Kind.OWN, Kind.OWN, Kind.EMBEDDED]


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"BROKER": "embedded", "REPLICAS": "2"}, "REPLICAS=2: the broker in memory has one process of each service"),
        ({"BROKER": "embedded", "LIMIT": str(LOANS_MAX + 1)}, f"holds the events of {LOANS_MAX} loans"),
        ({"BROKER": "rabbit"}, "BROKER=rabbit: it is auto, kafka or embedded"),
    ],
)
def test_the_demo_refuses_what_its_broker_cannot_do(
    environment: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert demo.main(["--once"]) == 1
    assert told in capsys.readouterr().err


def test_what_the_broker_in_memory_can_do_is_let_pass() -> None:
    broker.check_within(Kind.EMBEDDED, replicas=1, loans=LOANS_MAX)
    broker.check_within(Kind.KAFKA, replicas=2, loans=LOANS_MAX + 1)
    with pytest.raises(ChildFailed):
        broker.check_within(Kind.EMBEDDED, replicas=2)
