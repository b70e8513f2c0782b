"""Configuration from the environment, validated once at start; a bad value stops the process and names its variable.

What each numeric setting bounds, and what happens beyond it, stands in docs/limits.md.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from libs.runtime.faults import POINTS
from libs.runtime.keyring import Keyring
from libs.runtime.policies import read_profile, read_versions

Address = Annotated[str, Field(pattern=r"^https?://[^/\s]+(/\S*)?$")]
PREFIX = "SILVERBEAR_"
PREFIXED = {"SILVERBEAR_TOKEN", "SILVERBEAR_ROLE_PASSWORD"}
"""Variables of the command line and of the migrations; the settings of a process have no prefix."""
HELD_CONNECTIONS = 2
"""Relay and calls each keep a connection for themselves; every lane takes one more while it works."""

Algorithm = Literal["ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]  # public keys only


class Settings(BaseSettings):
    """Every setting of one service process; each field is read from the variable of its name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=False)

    database_url: str = Field(pattern=r"^postgresql(\+asyncpg)?://")
    kafka_bootstrap: str = Field(pattern=r"^[^/\s]+:\d+(,[^/\s]+:\d+)*$")
    profile: str = Field("cn-branch", pattern=r"^[a-z0-9-]+$")
    topic_prefix: str = Field("", pattern=r"^[a-zA-Z0-9._-]{0,100}$")
    jwks_path: Path | None = None
    """Where the issuer's public keys are: exactly one of this file, `jwks_url`, or an OIDC issuer by `issuer_url`."""
    jwks_url: str = Field("", pattern=r"^(https?://.+)?$")
    issuer_url: str = Field("", pattern=r"^(https?://.+)?$")
    jwks_reread_seconds: int = Field(10, ge=0, le=3_600)
    """A token that names an unknown key makes us read the keys again, at most once in this time."""
    jwks_seconds_max: int = Field(600, ge=1, le=86_400)
    """Keys older than this are read again, so that one taken back is not trusted for long."""
    token_issuer: str = ""
    """The `iss` that a token must carry; `issuer_url` unless set, and with neither it is not asked for."""
    token_algorithms: list[Algorithm] = Field(["ES256", "RS256"], min_length=1)
    token_roles_claim: str = "roles"  # noqa: S105 - a claim's name
    """The claim that holds the roles: a name, or a path of names such as `realm_access.roles`."""
    keyring_path: Path | None = None
    """The master keys (libs/runtime/keyring.py); only a service that keeps personal data needs them."""
    token_audience: str = Field("silverbear", min_length=1)
    token_leeway_seconds: int = Field(30, ge=0, le=300)
    core_bank_url: Address = "http://127.0.0.1:1"
    partner_url: Address = "http://127.0.0.1:1"
    identity_url: Address = "http://127.0.0.1:1"
    """Where application is, for its identity door: asked just before a partner is told who the borrower is."""
    identity_token_path: Path | None = None
    """A file with the token of the role `identity_reader` for that; read at each request, so it can be renewed."""
    private_targets: bool = False
    """Whether addresses that partners name may be private, loopback or without TLS: on one machine, never in a bank."""
    webhook_hours_max: int = Field(72, ge=1, le=720)
    """How long a delivery that gets no 2xx is tried; then it failed, or its endpoint is disabled as dead."""
    webhook_key_hours: int = Field(24, ge=1, le=720)
    """How long a webhook's older keys sign beside a new one."""
    deliveries_days_kept: int = Field(90, ge=1, le=3_650)
    """How long the log of a finished delivery is kept; its event can be replayed longer."""
    partner_events_days_kept: int = Field(400, ge=30, le=3_650)
    """How long partners can read, and have replayed, what was published about their business."""
    drop_folder: Path | None = None
    """Where partners' lists come in as files, in a folder named after each partner; without it nowhere."""
    drop_settle_seconds: float = Field(5.0, ge=0, le=3_600)
    """How long a file must have lain still before it is taken, for those who cannot rename one that is whole."""
    console_services: dict[str, Address] = Field(default_factory=dict)
    relay: bool = True
    calls: bool = True
    pool_size: int = Field(20, ge=4, le=100)
    lanes: int = Field(2, ge=1, le=12)
    fetch_wait_ms: int = Field(500, ge=1, le=5_000)
    linger_ms: int = Field(0, ge=0, le=1_000)
    batch_max: int = Field(100, ge=1, le=1000)
    relay_batch_max: int = Field(2_000, ge=1, le=10_000)
    outbox_rows_max: int = Field(100_000, ge=100, le=10_000_000)
    requests_max: int = Field(64, ge=1, le=1_000)
    request_seconds_max: float = Field(20.0, gt=0, le=300)
    body_bytes_max: int = Field(262_144, ge=1_024, le=16_777_216)
    client_certificate_header: str = Field("", pattern=r"^[A-Za-z0-9-]*$")
    """The header in which a TLS proxy passes the client's certificate; without it no certificate is believed."""
    partner_requests_minute_max: int = Field(600, ge=1, le=1_000_000)
    bulk_rows_max: int = Field(500, ge=1, le=5_000)
    """Rows of one bulk request; each has its own result."""
    list_bytes_max: int = Field(16_777_216, ge=1_024, le=67_108_864)
    """The same where a whole list is handed in; who may is checked before it is read."""
    waiters_max: int = Field(32, ge=1, le=999)
    """Reads that may wait for an event at the same time, in one process; none of them holds a connection."""
    wait_seconds_max: float = Field(5.0, gt=0, le=60)
    requests_days_kept: int = Field(30, ge=1, le=3_650)
    """How long the first answer to an idempotency key is kept for a repeat."""
    calls_days_kept: int = Field(400, ge=30, le=36_500)
    """How long a finished outbound call is kept; until then its reference is never called a second time."""
    purge_seconds: int = Field(3_600, ge=1, le=86_400)
    session_timeout_ms: int = Field(10_000, ge=1_000, le=300_000)
    idle_timeout_ms: int | None = Field(None, ge=500)
    replica: str = Field(default_factory=socket.gethostname, min_length=1, max_length=100)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otel_exporter_otlp_endpoint: Address | None = None
    otel_traces_sampler_arg: float = Field(1.0, ge=0, le=1)
    trace_file: Path | None = None
    fault: str = Field("", pattern=rf"^$|^({'|'.join(POINTS)})(:[1-9]\d*)?$")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.idle_timeout_ms is not None and self.idle_timeout_ms >= self.session_timeout_ms:
            raise PydanticCustomError(
                "idle_timeout_ms",
                "must be shorter than SESSION_TIMEOUT_MS ({session}): a member that Kafka gave up would keep its locks",
                {"session": self.session_timeout_ms},
            )
        if self.pool_size < self.lanes + HELD_CONNECTIONS:
            raise PydanticCustomError(
                "pool_size",
                "must be at least LANES ({lanes}) and {held} more, for relay and calls",
                {"lanes": self.lanes, "held": HELD_CONNECTIONS},
            )
        return self

    @property
    def idle_ms(self) -> int:
        """After how long PostgreSQL ends a transaction left idle: before Kafka gives the partitions away.

        A reader's batch that only watches its keys has none: what proves it is their versions.
        """
        return self.idle_timeout_ms or min(8_000, self.session_timeout_ms * 4 // 5)

    @model_validator(mode="after")
    def _doors_agree(self) -> Self:
        if sum(map(bool, (self.jwks_path, self.jwks_url, self.issuer_url))) != 1:
            raise PydanticCustomError("jwks_path", "set exactly one of JWKS_PATH, JWKS_URL and ISSUER_URL")
        if self.waiters_max >= self.requests_max:
            raise PydanticCustomError("waiters_max", "must be fewer than REQUESTS_MAX: who waits is inside, too")
        return self

    def target(self, name: str) -> str:
        """The base address of an outbound target: `core_bank` or `partner`."""
        return {"core_bank": self.core_bank_url, "partner": self.partner_url}[name]


def read_settings(*needed: str) -> Settings:
    """The settings of this process with all those `needed`, or a message naming each bad variable and exit code 2."""
    try:
        settings = Settings()  # type: ignore[call-arg]  # the environment fills the fields
        wrong = [*_unknown(), *_lacking(settings, needed), *_unreadable(settings)]
    except ValidationError as error:
        # A rule about two settings has no place; its type is the name of the one to change.
        named = [(".".join(map(str, problem["loc"])) or problem["type"], problem["msg"]) for problem in error.errors()]
        wrong = [*_unknown(), *((name.upper(), message) for name, message in named)]
    except SettingsError as error:
        field = next((name for name in Settings.model_fields if f'"{name}"' in str(error)), "settings")
        wrong = [(field.upper(), "is not readable as JSON")]
    if wrong:
        print("\n".join(f"{name}: {message}" for name, message in wrong), file=sys.stderr)  # noqa: T201 - said before there is a log
        raise SystemExit(2)
    return settings


def _unknown() -> Iterator[tuple[str, str]]:
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in PREFIXED:
            bare = name.upper().removeprefix(PREFIX)
            known = bare.lower() in Settings.model_fields
            yield name, f"no such variable; {f'the setting is {bare}' if known else 'settings have no prefix'}"


def _lacking(settings: Settings, needed: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in needed:
        if getattr(settings, name) is None:
            yield name.upper(), "this service does not start without it"


def _no_keys(path: Path) -> Iterator[tuple[str, str]]:
    try:
        if not KeySet.import_key_set(json.loads(path.read_text(encoding="utf-8"))).keys:
            yield "JWKS_PATH", f"{path} holds no key"
    except (OSError, ValueError, TypeError, KeyError, JoseError) as error:
        yield "JWKS_PATH", f"{path} is not a readable key set: {type(error).__name__}"


def _no_files(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.trace_file is not None and not settings.trace_file.parent.is_dir():
        yield "TRACE_FILE", f"there is no folder {settings.trace_file.parent}"
    if settings.drop_folder is not None and not (
        settings.drop_folder.is_dir() and os.access(settings.drop_folder, os.R_OK | os.X_OK)
    ):
        yield "DROP_FOLDER", f"{settings.drop_folder} is no folder that can be read"
    if settings.identity_token_path is not None and not os.access(settings.identity_token_path, os.R_OK):
        yield "IDENTITY_TOKEN_PATH", f"{settings.identity_token_path} cannot be read"


def _unreadable(settings: Settings) -> Iterator[tuple[str, str]]:
    """What the settings name and nobody can read or write: key set, keyring, span file, profile, its policies."""
    yield from _no_files(settings)
    if settings.jwks_path is not None:
        yield from _no_keys(settings.jwks_path)
    try:
        if settings.keyring_path is not None:
            Keyring(settings.keyring_path)
    except (OSError, ValueError) as error:
        yield "KEYRING_PATH", f"{settings.keyring_path}: {error.strerror if isinstance(error, OSError) else error}"
    try:
        profile = read_profile(settings.profile)
    except FileNotFoundError:
        yield "PROFILE", f"there is no profile {settings.profile}"
        return
    except (KeyError, ValueError, TypeError) as error:
        yield "PROFILE", f"profile {settings.profile} is unreadable: {error!r}"
        return
    for name in sorted(set(profile.policies.values())):
        try:
            if not read_versions(name):
                yield "PROFILE", f"{settings.profile} names the policy {name}, which has no version"
        except (KeyError, ValueError, tomllib.TOMLDecodeError) as error:
            yield "PROFILE", f"the policy {name} of {settings.profile} is unreadable: {error!r}"
