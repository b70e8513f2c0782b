"""A process with a bad setting never starts: exit code 2, the variable's name, no stack."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from libs.runtime import policies
from libs.runtime.auth import Issuer
from libs.runtime.keyring import local_keyring
from libs.runtime.settings import PREFIXED, Settings, read_settings
from services.application.main import service as application

ROOT = Path(__file__).resolve().parents[2]
BAD = {
    "DATABASE_URL": ["", "mysql://a@b/c"],
    "KAFKA_BOOTSTRAP": ["", "kafka", "http://kafka:9092", "a:1,b"],
    "PROFILE": ["mars", "../cn-branch", ""],
    "TOPIC_PREFIX": ["no topic!", "x" * 101],
    "JWKS_PATH": ["/nowhere/jwks.json", "/", __file__],
    "KEYRING_PATH": ["/nowhere/keyring.json", "/", __file__],
    "JWKS_URL": ["ftp://keys", "keys"],
    "ISSUER_URL": ["ftp://issuer", "issuer"],
    "JWKS_REREAD_SECONDS": ["-1", "3601"],
    "JWKS_SECONDS_MAX": ["0", "86401"],
    "TOKEN_ALGORITHMS": ["[]", '["none"]', "ES256"],
    "PURGE_SECONDS": ["0", "86401"],
    "REQUESTS_DAYS_KEPT": ["0", "3651"],
    "CALLS_DAYS_KEPT": ["29", "36501"],
    "CLIENT_CERTIFICATE_HEADER": ["X Cert", "x:y"],
    "PARTNER_REQUESTS_MINUTE_MAX": ["0", "1000001"],
    "BULK_ROWS_MAX": ["0", "5001"],
    "WAITERS_MAX": ["0", "1000"],
    "WAIT_SECONDS_MAX": ["0", "61"],
    "TOKEN_AUDIENCE": [""],
    "TOKEN_LEEWAY_SECONDS": ["-1", "301", "soon"],
    "CORE_BANK_URL": ["core-bank:80", "ftp://core", "http://"],
    "PARTNER_URL": ["partner"],
    "IDENTITY_URL": ["application"],
    "IDENTITY_TOKEN_PATH": ["/nowhere/token"],
    "PRIVATE_TARGETS": ["perhaps"],
    "WEBHOOK_HOURS_MAX": ["0", "721"],
    "WEBHOOK_KEY_HOURS": ["0", "721"],
    "DELIVERIES_DAYS_KEPT": ["0", "3651"],
    "PARTNER_EVENTS_DAYS_KEPT": ["29", "3651"],
    "DROP_FOLDER": ["/nowhere/drops", __file__],
    "DROP_SETTLE_SECONDS": ["-1", "3601", "nan"],
    "CONSOLE_SERVICES": ["{", "[]", '{"rating": "nowhere"}'],
    "RELAY": ["perhaps"],
    "CALLS": [""],
    "POOL_SIZE": ["3", "101", "many"],
    "LANES": ["0", "13"],
    "FETCH_WAIT_MS": ["0", "5001"],
    "LINGER_MS": ["-1", "1001"],
    "BATCH_MAX": ["0", "1001"],
    "RELAY_BATCH_MAX": ["0", "10001"],
    "OUTBOX_ROWS_MAX": ["99", "10000001"],
    "REQUESTS_MAX": ["0", "1001"],
    "REQUEST_SECONDS_MAX": ["0", "301", "nan"],
    "BODY_BYTES_MAX": ["1023", "16777217"],
    "LIST_BYTES_MAX": ["1023", "67108865"],
    "SESSION_TIMEOUT_MS": ["999", "300001"],
    "IDLE_TIMEOUT_MS": ["499", "10000", "60000"],
    "REPLICA": ["", "x" * 101],
    "LOG_LEVEL": ["loud", ""],
    "OTEL_EXPORTER_OTLP_ENDPOINT": ["collector:4318", ""],
    "OTEL_TRACES_SAMPLER_ARG": ["-0.1", "1.1", "nan"],
    "TRACE_FILE": ["/nowhere/spans.jsonl"],
    "FAULT": ["relay", "relay.after_ack:0", "relay.after_ack:x"],
}
ANY_TEXT = {"TOKEN_ISSUER", "TOKEN_ROLES_CLAIM"}
Env = dict[str, str]


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Env:
    """An environment with good settings and nothing else."""
    good = {
        "DATABASE_URL": "postgresql://a@127.0.0.1:1/b",
        "KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "JWKS_PATH": str(Issuer(tmp_path).jwks_path),
    }
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in good.items():
        monkeypatch.setenv(name, value)
    return good


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The names of the variables that are complained about."""
    with pytest.raises(SystemExit) as ended:
        read_settings()
    assert ended.value.code == 2
    return [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()]


@pytest.mark.usefixtures("env")
def test_good_settings_are_read() -> None:
    assert read_settings().pool_size == 20


def test_every_setting_has_a_bad_value_below() -> None:
    assert {name.upper() for name in Settings.model_fields} == set(BAD) | ANY_TEXT


@pytest.mark.usefixtures("env")
@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_is_named_by_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert {place.partition(".")[0] for place in told(capsys)} == {name}


@pytest.mark.usefixtures("env")
@pytest.mark.parametrize("name", ["DATABASE_URL", "KAFKA_BOOTSTRAP", "JWKS_PATH"])
def test_what_is_missing_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(name)
    assert told(capsys) == [name]


@pytest.mark.usefixtures("env")
def test_a_service_that_needs_a_keyring_does_not_start_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read_settings(*application.needs)
    assert capsys.readouterr().err.startswith("KEYRING_PATH: ")
    monkeypatch.setenv("KEYRING_PATH", str(local_keyring(tmp_path)))
    assert read_settings(*application.needs).keyring_path == tmp_path / "keyring.json"


@pytest.mark.usefixtures("env")
@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"SESSION_TIMEOUT_MS": "6000", "IDLE_TIMEOUT_MS": "6000"}, "IDLE_TIMEOUT_MS"),
        ({"POOL_SIZE": "9", "LANES": "8"}, "POOL_SIZE"),
    ],
)
def test_values_that_contradict_one_another_are_refused(
    values: Env, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for each, value in values.items():
        monkeypatch.setenv(each, value)
    assert told(capsys) == [name]


@pytest.mark.usefixtures("env")
def test_an_idle_transaction_ends_before_kafka_gives_the_partitions_away(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().idle_ms == 8_000
    monkeypatch.setenv("SESSION_TIMEOUT_MS", "2000")
    assert read_settings().idle_ms == 1_600
    monkeypatch.setenv("IDLE_TIMEOUT_MS", "1999")
    assert read_settings().idle_ms == 1_999


@pytest.mark.usefixtures("env")
def test_a_variable_with_a_prefix_that_nobody_reads_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in PREFIXED:
        monkeypatch.setenv(name, "x")
    read_settings()
    monkeypatch.setenv("SILVERBEAR_LANES", "3")
    monkeypatch.setenv("LANES", "99")
    assert told(capsys) == ["SILVERBEAR_LANES", "LANES"]


@pytest.mark.usefixtures("env")
@pytest.mark.parametrize("spoil", ["absent", "unreadable"])
def test_a_profile_that_names_a_policy_nobody_can_read_is_refused(
    spoil: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "cn-branch.toml").write_text(
        'currency = "CNY"\n[calendar]\nname = "c"\nfirst = 2025-01-01\nlast = 2026-01-01\n[policies]\n'
        '"rating/size" = "rating/size"\n'
    )
    folder = tmp_path / "services" / "rating" / "policies" / "size"
    folder.mkdir(parents=True)
    if spoil == "unreadable":
        (folder / "2025-01-01.toml").write_text("reason = ")
    monkeypatch.setattr(policies, "ROOT", tmp_path)
    assert told(capsys) == ["PROFILE"]


def test_a_process_with_bad_settings_ends_at_once_with_their_names_and_no_stack(env: Env) -> None:
    bad = {"PROFILE": "mars", "JWKS_PATH": "/nowhere", "SILVERBEAR_POOL": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "libs.runtime.serve", "services.rating.main:app", "--port", "1"],
        env={"PATH": os.environ["PATH"], **env, **bad},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["SILVERBEAR_POOL", "JWKS_PATH", "PROFILE"]
    assert done.stdout == ""
