"""The whole platform on one machine: PostgreSQL, Kafka, every service as its own process, and the stand-ins.

`running()` starts everything in order, yields addresses, and ends everything in reverse; the children die with this
process even when it is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local import broker as brokers
from deploy.local import postgres
from deploy.local.broker import Broker, Kind
from deploy.local.process import Child, ChildFailed, free_ports, spawn, terminate
from deploy.local.token_door import add_client
from deploy.partner import KINDS
from libs.events.catalogue import TOPICS
from libs.runtime import migrate
from libs.runtime.auth import Issuer
from libs.runtime.keyring import local_keyring

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "var"
ADDRESSES = "platform.env"
SERVICES = ("application", "rating", "collateral", "guarantee", "incentive", "console")
STAND_INS = {"core_bank": "deploy.demo.core_bank:app", "partner": "deploy.partner.desk:app"}
SANDBOXES: dict[str, tuple[str, ...]] = {"cn-branch": ("guarantor", "insurer", "reguarantor", "fund")}
"""The partners of a profile that run as processes of their own, the first of them in the place of the stand-in."""
PARTITIONS = 12
TOPIC_PARTITIONS = {name: 1 if name == "clock" else PARTITIONS for name in TOPICS}
SMALL_MACHINE = {"LANES": "1"}
"""Two cores carry everything here: one lane makes the larger batches."""
KEYRINGS = {"application": ".", "guarantee": "guarantee"}
"""Who seals what it keeps (personal data, partners' webhook keys), each under a keyring of its own."""
LOOKERS_ON = {"LINGER_MS": "150"}
"""Nobody waits for a projection: larger batches cost less."""
SERVICE = ("libs.runtime.serve",)
STAND_IN = ("uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")


@dataclass(slots=True)
class Stack:
    """Addresses of a running stack; `urls` has one entry per replica of each service."""

    admin_url: str
    broker: Broker
    profile: str
    issuer: Issuer
    urls: dict[str, list[str]] = field(default_factory=dict)
    stand_ins: dict[str, str] = field(default_factory=dict)
    sandboxes: dict[str, str] = field(default_factory=dict)
    """Where each sandbox partner is, by its id at the bank."""
    tokens: str = ""
    """The token endpoint for partners' systems."""
    children: dict[str, Child] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        """The broker's HOST:PORT."""
        return self.broker.bootstrap

    @property
    def topic_prefix(self) -> str:
        """What stands before each topic's name on the broker."""
        return self.broker.topic_prefix

    def addresses(self) -> dict[str, str]:
        """Where everything is, for a shell: what `up` and `demo` leave in `platform.env`."""
        return {
            **{f"SILVERBEAR_{name.upper()}": urls[0] for name, urls in self.urls.items()},
            **{f"SILVERBEAR_{name.upper()}_STAND_IN": url for name, url in self.stand_ins.items()},
            "SILVERBEAR_TOKENS": self.tokens,
            "SILVERBEAR_DATABASE": self.admin_url,
            "SILVERBEAR_KAFKA": self.bootstrap,
            "SILVERBEAR_TOPIC_PREFIX": self.topic_prefix,
            "SILVERBEAR_PROFILE": self.profile,
            "SILVERBEAR_ISSUER": str(self.issuer.jwks_path.parent),
        }

    def environment(self, service: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables one process of `service` is configured by."""
        return {
            **os.environ,
            **SMALL_MACHINE,
            **self.broker.settings,
            "DATABASE_URL": migrate.role_url(self.admin_url, service),
            "KAFKA_BOOTSTRAP": self.bootstrap,
            "PROFILE": self.profile,
            "TOPIC_PREFIX": self.topic_prefix,
            "JWKS_PATH": str(self.issuer.jwks_path),
            "CORE_BANK_URL": self.stand_ins.get("core_bank", "http://127.0.0.1:1"),
            "PARTNER_URL": self.stand_ins.get("partner", "http://127.0.0.1:1"),
            "CONSOLE_SERVICES": json.dumps({name: urls[0] for name, urls in self.urls.items()}),
            **(LOOKERS_ON if service == "console" else {}),
            "PRIVATE_TARGETS": "true",
            **self._keyring(service),
            **(extra or {}),
        }

    def _keyring(self, service: str) -> dict[str, str]:
        if service not in KEYRINGS:
            return {}
        return {"KEYRING_PATH": str(local_keyring(self.issuer.private_path.parent / KEYRINGS[service]))}

    def start(self, name: str, app: str, port: int, logs: Path, extra: Mapping[str, str] | None = None) -> Child:
        """Start one process; the caller waits for it to be ready."""
        service = name.partition("-")[0]
        child = spawn(
            name,
            [
                sys.executable,
                "-m",
                *(STAND_IN if name in (*STAND_INS, "tokens") else SERVICE),
                app,
                "--port",
                str(port),
            ],
            log=logs / f"{name}.log",
            env=self.environment(service, {"REPLICA": name, **(extra or {})}),
            cwd=ROOT,
        )
        self.children[name] = child
        return child


@contextmanager
def running(
    *,
    profile: str,
    home: Path = HOME,
    replicas: int = 1,
    services: tuple[str, ...] = SERVICES,
    extra: Mapping[str, Mapping[str, str]] | None = None,
    broker: Kind | None = None,
) -> Iterator[Stack]:
    """A fresh stack for `profile`: databases and topics are new each time, unless the servers are the user's own.

    `extra` adds variables for one process by its name (`rating-1`). On the user's own servers (DATABASE_URL,
    KAFKA_BOOTSTRAP) the schemas are migrated and the topics of a prefix of this run are created. Without `broker`
    it is Apache Kafka.
    """
    kind = broker or brokers.chosen(Kind.KAFKA)
    brokers.check_within(kind, replicas=replicas)
    with ExitStack() as stack:
        admin_url = os.environ.get("DATABASE_URL")
        if admin_url is None:
            postgres.wipe(home)
            admin_url = stack.enter_context(postgres.running(home))
        served = stack.enter_context(brokers.running(kind, home, TOPIC_PARTITIONS))
        _prepare(admin_url, served)
        platform = Stack(admin_url, served, profile, Issuer(home / "issuer"))
        stack.callback(lambda: terminate(*platform.children.values()))
        _start_all(platform, home / "logs", replicas, services, extra or {})
        stack.enter_context(_told_to_shells(platform, home / ADDRESSES))
        yield platform


@contextmanager
def _told_to_shells(platform: Stack, path: Path) -> Iterator[None]:
    """The addresses in a file that a shell reads (`. var/platform.env`), for as long as they are true."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)  # the database's address holds its password
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in platform.addresses().items()]
    path.write_text("".join(lines), encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _prepare(admin_url: str, broker: Broker) -> None:
    """Schemas by migrations, topics by the contract."""
    with ThreadPoolExecutor(1) as pool:  # alembic and the admin client run event loops of their own
        pool.submit(asyncio.run, migrate.provision(admin_url)).result()
        for service in migrate.SERVICES:
            pool.submit(migrate.upgrade, service, admin_url).result()
        pool.submit(asyncio.run, refuse_used(admin_url)).result()
        if broker.kind is not Kind.EMBEDDED:  # which was started with its topics
            pool.submit(asyncio.run, create_topics(broker.bootstrap, broker.topic_prefix)).result()


async def refuse_used(admin_url: str) -> None:
    """Raise ChildFailed for a database that has read topics before: its positions do not fit this run's new ones."""
    engine = create_async_engine(admin_url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.connect() as conn:
            for service in migrate.SERVICES:
                if (await conn.exec_driver_sql(f"SELECT 1 FROM {service}.position LIMIT 1")).first():  # noqa: S608 - our names
                    raise ChildFailed("DATABASE_URL names a database that holds an earlier run: give it an empty one")
    finally:
        await engine.dispose()


async def create_topics(bootstrap: str, prefix: str, wanted: Mapping[str, int] = TOPIC_PARTITIONS) -> None:
    """Topics by their number of partitions, those of the contract unless others are `wanted`; nothing ever expires."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        cluster = await admin.describe_cluster()
        copies = min(3, len(cluster["brokers"]))
        config = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}
        if copies == 3:  # noqa: PLR2004 - a write must be on two of three
            config["min.insync.replicas"] = "2"
        topics = [
            NewTopic(prefix + name, partitions, copies, topic_configs=config) for name, partitions in wanted.items()
        ]
        answer = await admin.create_topics(topics)
        for name, code, *why in answer.topic_errors:
            if code not in (0, TopicAlreadyExistsError.errno):
                raise KafkaError(f"topic {name}: {for_code(code).__name__} {why}")
        while True:
            described = await admin.describe_topics([topic.name for topic in topics])
            led = {topic["topic"]: sum(part["leader"] >= 0 for part in topic["partitions"]) for topic in described}
            if all(led.get(prefix + name) == partitions for name, partitions in wanted.items()):
                return
            await asyncio.sleep(0.05)
    finally:
        await admin.close()


def _start_all(
    platform: Stack, logs: Path, replicas: int, services: tuple[str, ...], extra: Mapping[str, Mapping[str, str]]
) -> None:
    kinds = SANDBOXES.get(platform.profile, ())
    ports = iter(free_ports(len(STAND_INS) + 1 + len(kinds) + replicas * len(services)))
    for name, app in STAND_INS.items():
        port = next(ports)
        platform.stand_ins[name] = f"http://127.0.0.1:{port}"
        if not (kinds and name == "partner"):
            platform.start(name, app, port, logs)
    port = next(ports)
    platform.tokens = f"http://127.0.0.1:{port}/token"
    folder = str(platform.issuer.private_path.parent)
    platform.start("tokens", "deploy.local.token_door:app", port, logs, {"ISSUER_FOLDER": folder})
    places = [(service, number, next(ports)) for service in services for number in range(1, replicas + 1)]
    for service, _, port in places:
        platform.urls.setdefault(service, []).append(f"http://127.0.0.1:{port}")
    for service, number, port in places:
        name = f"{service}-{number}"
        platform.start(name, f"services.{service}.main:app", port, logs, extra.get(name))
    for kind in kinds if "guarantee" in services else ():
        first = kind == kinds[0]
        _start_sandbox(
            platform, kind, platform.stand_ins["partner"] if first else f"http://127.0.0.1:{next(ports)}", logs
        )
    for name, url in platform.stand_ins.items():
        platform.children[name if name in platform.children else kinds[0]].wait_ready(f"{url}/health/ready")
    platform.children["tokens"].wait_ready(platform.tokens.replace("/token", "/health/ready"))
    for service, number, port in places:
        platform.children[f"{service}-{number}"].wait_ready(f"http://127.0.0.1:{port}/health/ready", timeout_s=120)


def _start_sandbox(platform: Stack, kind: str, url: str, logs: Path) -> None:
    """A sandbox partner, with credentials at the local issuer; it registers itself once the bank has admitted it."""
    partner = KINDS[kind]
    secret = add_client(platform.issuer.private_path.parent, f"{partner}-system", partner)
    known = {"PARTNER_CLIENT_ID": f"{partner}-system", "PARTNER_CLIENT_SECRET": secret}
    places = ["--guarantee", platform.urls["guarantee"][0], "--issuer", platform.tokens]
    platform.children[kind] = spawn(
        kind,
        [sys.executable, "-m", "deploy.local.partner", "--kind", kind, "--port", url.rpartition(":")[2], *places],
        log=logs / f"{kind}.log",
        env={**os.environ, **known},
        cwd=ROOT,
    )
    platform.sandboxes[partner] = url
