"""The ground of a run: real PostgreSQL, real brokers, proxies, and replicas of every service as processes of their own.

The second replica of each service reaches its database and the brokers through proxies; the first goes straight.
Processes are started from the main thread, because they end with the thread that started them.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx

from deploy.local import postgres, stack
from deploy.local.broker import Broker, Kind
from deploy.local.kafka_cluster import Cluster
from deploy.local.process import Child, ChildFailed, free_ports, spawn, terminate
from libs.runtime import migrate
from libs.runtime.auth import HEAD_OFFICE, Issuer
from libs.runtime.outward import Direct
from tests.chaos.proxy import Link, Proxy

SERVICES = stack.SERVICES
REPLICAS = 2
EXTRA = 3  # the number of the replica that comes and goes
READY_SECONDS = 120.0
REPLICA = (sys.executable, "-m", "tests.chaos.replica")


@dataclass(slots=True)
class Servers:
    """PostgreSQL, the brokers and the proxies before them."""

    home: Path
    database: postgres.Server
    brokers: Cluster
    proxy: Proxy
    broker_links: list[Link] = field(default_factory=list)
    template_url: str = ""

    async def copy(self, name: str) -> str:
        """A fresh database with every service's schema; returns the administrator's URL."""
        conn = await asyncpg.connect(urlunsplit(urlsplit(self.template_url)._replace(path="/postgres")))
        try:
            await conn.execute(f"CREATE DATABASE {name} TEMPLATE {urlsplit(self.template_url).path[1:]}")
        finally:
            await conn.close()
        return urlunsplit(urlsplit(self.template_url)._replace(path=f"/{name}"))


@contextmanager
def servers(home: Path, *, brokers: int) -> Iterator[Servers]:
    """Started servers with schemas migrated; all is ended and nothing is kept afterwards."""
    with postgres.serving(home) as database:
        cluster, proxy = Cluster(home, brokers), Proxy()
        ground = Servers(home, database, cluster, proxy)
        try:
            for node in cluster.nodes:
                link = proxy.link("127.0.0.1", node.second_port)
                node.led = f"127.0.0.1:{link.port}"
                ground.broker_links.append(link)
            cluster.start()
            ground.template_url = database.url
            with ThreadPoolExecutor(1) as pool:  # alembic runs event loops of its own
                pool.submit(asyncio.run, migrate.provision(database.url)).result()
                for service in migrate.SERVICES:
                    pool.submit(migrate.upgrade, service, database.url).result()
            yield ground
        finally:
            cluster.stop()
            proxy.stop()


class Platform:
    """Every process of one run over the servers: replicas and stand-ins, at fixed ports over their restarts."""

    def __init__(
        self,
        ground: Servers,
        admin_url: str,
        prefix: str,
        *,
        replicas: int = REPLICAS,
        services: tuple[str, ...] = SERVICES,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self.ground, self.replicas, self.services = ground, replicas, services
        self.extra = dict(extra or {})
        self.logs = ground.home / "logs"
        broker = Broker(Kind.KAFKA, ground.brokers.bootstrap, prefix)
        self.stack = stack.Stack(admin_url, broker, "cn-branch", Issuer(ground.home / "issuer"))
        self.numbers = range(1, replicas + 1)
        places = [(service, number) for service in services for number in (*self.numbers, EXTRA)]
        self.ports = dict(zip(places, free_ports(len(places)), strict=True))
        self.links: dict[str, Link] = {}
        self.children: dict[tuple[str, int], Child] = {}

    def start(self) -> None:
        """Everything, and wait until it is ready."""
        for name, port in zip(stack.STAND_INS, free_ports(len(stack.STAND_INS)), strict=True):
            self.stack.stand_ins[name] = f"http://127.0.0.1:{port}"
            self.stack.start(name, stack.STAND_INS[name], port, self.logs)
        for service in self.services:
            url = urlsplit(self.stack.admin_url)
            assert url.hostname is not None
            assert url.port is not None
            self.links[service] = self.ground.proxy.link(url.hostname, url.port)
            self.stack.urls[service] = [self.url(service, number) for number in self.numbers]
        for service in self.services:
            for number in self.numbers:
                self.launch(service, number)
        for name, url in self.stack.stand_ins.items():
            self.stack.children[name].wait_ready(f"{url}/health/ready")
        for place in list(self.children):
            self.children[place].wait_ready(f"{self.url(*place)}/health/ready", timeout_s=READY_SECONDS)

    def stop(self) -> None:
        """End every process; a stopped one is let go on first."""
        for child in self.children.values():
            if child.running:
                child.process.send_signal(signal.SIGCONT)
        terminate(*self.children.values(), *self.stack.children.values())

    def url(self, service: str, number: int) -> str:
        """Where a replica listens."""
        return f"http://127.0.0.1:{self.ports[service, number]}"

    def control(self, service: str, number: int) -> Path:
        """The file that arms a replica's fault points."""
        return self.ground.home / f"armed-{service}-{number}"

    def launch(self, service: str, number: int, extra: Mapping[str, str] | None = None) -> Child:
        """Start one replica without waiting for it."""
        control = self.control(service, number)
        control.write_text("")
        asked = {**self.extra, "CHAOS_CONTROL": str(control), **(extra or {})}
        if number != 1:
            asked.update(self._led(service))
        port = str(self.ports[service, number])
        child = spawn(
            f"{service}-{number}",
            [*REPLICA, *stack.SERVICE, f"services.{service}.main:app", "--port", port],
            log=self.logs / f"{service}-{number}.log",
            env=self.stack.environment(service, asked),
            cwd=stack.ROOT,
        )
        self.children[service, number] = child
        return child

    def _led(self, service: str) -> dict[str, str]:
        url = urlsplit(migrate.role_url(self.stack.admin_url, service))
        led = url._replace(netloc=f"{url.username}:{url.password}@127.0.0.1:{self.links[service].port}")
        return {"DATABASE_URL": urlunsplit(led), "KAFKA_BOOTSTRAP": self.ground.brokers.led_bootstrap}

    async def ready(self, service: str, number: int, *, seconds: float = READY_SECONDS) -> None:
        """Wait until a replica says that it is ready; ChildFailed when it ended or takes longer."""
        child, begun = self.children[service, number], time.monotonic()
        async with httpx.AsyncClient(trust_env=False, timeout=2, transport=Direct()) as http:
            while time.monotonic() - begun < seconds:
                child.check_running()
                try:
                    if (await http.get(f"{self.url(service, number)}/health/ready")).status_code == httpx.codes.OK:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.1)
        raise ChildFailed(f"{child.name} is not ready after {seconds:g} s")

    async def relaunch(self, service: str, number: int, extra: Mapping[str, str] | None = None) -> None:
        """Start a replica that ended and wait until it is ready."""
        self.launch(service, number, extra)
        await self.ready(service, number)

    def end(self, service: str, number: int) -> None:
        """SIGTERM one replica and wait for its end."""
        terminate(self.children[service, number], grace_s=15)

    def arm(self, service: str, number: int, fault: str) -> None:
        """Arm a fault point of a running replica; an empty name disarms."""
        self.control(service, number).write_text(fault)
        self.children[service, number].process.send_signal(signal.SIGUSR1)

    def operator_token(self) -> str:
        """Opens what operators may see."""
        return self.stack.issuer.token("operator", "operator", level=HEAD_OFFICE)

    async def readers(self) -> dict[str, list[str]]:
        """Who reads which topics, as the services themselves say."""
        headers = {"authorization": f"Bearer {self.operator_token()}"}
        async with httpx.AsyncClient(trust_env=False, timeout=10, headers=headers) as http:
            return {
                service: (await http.get(f"{self.url(service, 1)}/v1/ops/status")).json()["reads"]
                for service in self.services
            }
