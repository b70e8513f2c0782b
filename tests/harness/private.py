"""Asks a platform that has played a whole run for its borrowers, and then searches everything it left for them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.demo.lives import Life
from deploy.local.stack import Stack
from libs.events.catalogue import TOPICS
from libs.runtime.auth import HEAD_OFFICE
from tests.harness.leaks import Place, leaks, logs_in, records_of, rows_of

EVERY_NAME_HOLDS = "示例"  # as a generated borrower is called
PLANTED = "planted"  # a schema and a log of this name hold leaks put there on purpose
SHOWN = ("/metrics", "/v1/ops/status", "/v1/ops/applied", "/v1/ops/parked")
READER, OFFICER = "identity_reader", "privacy_officer"
PAGES = ("/facilities", "/topics", "/parked")


@dataclass(slots=True)
class Searched:
    """What was told through the door, what was answered elsewhere, where something leaked, and how much was read."""

    disclosed: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)
    found: list[tuple[str, str]] = field(default_factory=list)
    bytes_read: int = 0


class Asker:
    """Requests to a running platform, each answer but the disclosures kept to be searched."""

    def __init__(self, platform: Stack) -> None:
        self.platform, self.searched = platform, Searched()
        self._http = httpx.Client(trust_env=False, timeout=30)

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def send(self, path: str, body: Any = None, *, role: str, service: str = "application") -> httpx.Response:
        """GET, or POST what is given."""
        token = self.platform.issuer.token("somebody", role, level=HEAD_OFFICE)
        headers = {"authorization": f"Bearer {token}", "idempotency-key": str(uuid.uuid4())}
        url = self.platform.urls[service][0] + path
        if body is None:
            return self._http.get(url, headers=headers)
        return self._http.post(url, json=body, headers=headers)

    def keep(self, answer: httpx.Response) -> httpx.Response:
        """Search this answer, too."""
        self.searched.places.append((f"answer {answer.request.url.path}", answer.content))
        return answer

    def disclose(self, life: Life, facility_id: str) -> None:
        """A consent, a disclosure under it and one that it does not cover, and what people see masked."""
        path = f"/v1/facilities/{facility_id}"
        agreed = {"purposes": ["insurance_underwriting"], "partners": ["insurer"]}
        consent = self.keep(self.send(f"{path}/consents", agreed, role="customer_manager")).json()
        asked = {"facility_id": facility_id, "consent_id": consent["consent_id"], "partner": "insurer"}
        told = self.send("/v1/identity-disclosures", {**asked, "purpose": "insurance_underwriting"}, role=READER)
        self.searched.disclosed[life.ref] = told.json()["fields"]
        refused = self.keep(self.send("/v1/identity-disclosures", {**asked, "purpose": "claim"}, role=READER))
        self.searched.refused[life.ref] = refused.json()["code"]
        self.keep(self.send(f"{path}/borrower", role="customer_manager"))
        person = {"name": life.borrower_name, "id_number": life.borrower_id_number, "phone": life.borrower_phone}
        wrong = {"external_ref": life.ref, "channel": "c", "branch": "b", "borrower": person, "consent": "yes"}
        assert self.keep(self.send("/v1/referrals", wrong, role="customer_manager")).status_code == 422

    def erase(self, life: Life, facility_id: str) -> None:
        """Destroy the key of a borrower to whom nothing was lent; the door knows nothing any more."""
        erased = self.keep(self.send(f"/v1/facilities/{facility_id}/borrower/erasure", {}, role=OFFICER))
        assert erased.status_code == 200, erased.text
        asked = {"facility_id": facility_id, "consent_id": "any", "partner": "insurer", "purpose": "claim"}
        self.searched.refused[life.ref] = self.send("/v1/identity-disclosures", asked, role=READER).json()["code"]

    def look_around(self) -> None:
        """What every service shows of itself, and what the console and the privacy officer see."""
        for service in self.platform.urls:
            for path in SHOWN:
                self.keep(self.send(path, role="operator", service=service))
        for path in PAGES:
            assert self.keep(self.send(path, role="operator", service="console")).status_code == 200
        assert self.keep(self.send("/v1/identity-disclosures", role=OFFICER)).status_code == 200


async def search(platform: Stack, lives: Mapping[str, Life], facilities: Mapping[str, str], report: str) -> Searched:
    """Disclose, erase, plant, and look for every value of `lives` (by what became of them) in everything there is."""
    with Asker(platform) as asker:
        for fate, life in lives.items():
            asker.disclose(life, facilities[life.ref])
            if fate == "refused":
                asker.erase(life, facilities[life.ref])
        asker.look_around()
    searched, logs = asker.searched, Path(platform.issuer.jwks_path).parents[1] / "logs"
    values = [value for life in lives.values() for value in values_of(life)]
    searched.places += [("report", report.encode())]
    engine = create_async_engine(platform.admin_url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.begin() as conn:
        for statement in _plants(values[0]):
            await conn.exec_driver_sql(statement)
    (logs / f"{PLANTED}.log").write_text(f"failed for {values[1]}\n", encoding="utf-8")
    async with engine.connect() as conn:
        searched.places += [row async for row in rows_of(conn)]
    await engine.dispose()
    topics = [platform.topic_prefix + topic for topic in TOPICS]
    searched.places += [record async for record in records_of(platform.bootstrap, topics)]
    searched.places += logs_in(logs)
    searched.found = leaks(searched.places, [*values, EVERY_NAME_HOLDS])
    searched.bytes_read = sum(len(content) for _, content in searched.places)
    return searched


def values_of(life: Life) -> tuple[str, str, str]:
    """The personal data of one life."""
    return life.borrower_name, life.borrower_id_number, life.borrower_phone


def _plants(name: str) -> Iterator[str]:
    """Tables that hold a name as text, as JSON and as bytes."""
    yield f"CREATE SCHEMA {PLANTED}"
    for kind, value in (
        ("text", f"'{name}'"),
        ("jsonb", f"jsonb_build_object('x', '{name}')"),
        ("bytea", f"convert_to('{name}', 'UTF8')"),
    ):
        yield f"CREATE TABLE {PLANTED}.as_{kind} AS SELECT {value} AS held"
