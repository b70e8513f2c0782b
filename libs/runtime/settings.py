"""Configuration from the environment, validated once at start; a bad value stops the process and names its variable."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting of one service process; each field is read from the variable of its name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=False)

    database_url: str = Field(pattern=r"^postgresql(\+asyncpg)?://")
    kafka_bootstrap: str = Field(pattern=r"^[^/\s]+:\d+(,[^/\s]+:\d+)*$")
    profile: str = "cn-branch"
    topic_prefix: str = ""
    jwks_path: Path
    token_audience: str = "silverbear"  # noqa: S105 - a name, not a secret
    token_leeway_seconds: int = Field(30, ge=0, le=300)
    core_bank_url: str = "http://127.0.0.1:1"
    partner_url: str = "http://127.0.0.1:1"
    console_services: dict[str, str] = Field(default_factory=dict)
    relay: bool = True
    calls: bool = True
    pool_size: int = Field(20, ge=4, le=100)
    lanes: int = Field(2, ge=1, le=12)
    fetch_wait_ms: int = Field(500, ge=1, le=5_000)
    linger_ms: int = Field(2, ge=0, le=1_000)
    batch_max: int = Field(100, ge=1, le=1000)
    relay_batch_max: int = Field(500, ge=1, le=10_000)
    outbox_rows_max: int = Field(100_000, ge=100)
    body_bytes_max: int = Field(262_144, ge=1_024)
    session_timeout_ms: int = Field(10_000, ge=1_000)
    fault: str = ""

    def target(self, name: str) -> str:
        """The base address of an outbound target: `core_bank` or `partner`."""
        return {"core_bank": self.core_bank_url, "partner": self.partner_url}[name]


def read_settings() -> Settings:
    """The settings of this process, or a message that names each bad variable and exit code 2."""
    try:
        return Settings()  # type: ignore[call-arg]  # the environment fills the fields
    except ValidationError as error:
        for problem in error.errors():
            print(f"{'.'.join(map(str, problem['loc'])).upper()}: {problem['msg']}", file=sys.stderr)  # noqa: T201 - said before there is a log
        raise SystemExit(2) from error
