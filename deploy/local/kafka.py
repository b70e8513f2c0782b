"""A real one-node Apache Kafka (KRaft) as a direct child: it starts again, with its data, after any kill.

The jars come from Maven once per clone; the broker itself is plain `java`, without Kafka's shell scripts.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.local.process import Child, ChildFailed, clear_orphans, free_ports, locked, run, spawn, tail

LIBS = Path(__file__).resolve().parents[2] / "var" / "kafka" / "libs"
POM = Path(__file__).with_name("pom.xml")

JAVA_VERSION_MIN = 17  # Kafka 4 brokers need it
FETCH_SECONDS_MAX = 600.0  # that one process waits for another to fetch the jars
# Much room for young objects: the broker stands still while it collects them, with 30 MB every 1.4 s under load.
JAVA_OPTIONS = [
    "-Xms256m",
    "-Xmn160m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
]
QUICK_OPTIONS = ["-XX:TieredStopAtLevel=1"]

# One node: everything internal has one replica. Nothing is ever deleted: Kafka is the journal the services can replay.
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "offsets.retention.minutes": str(2**31 - 1),
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A killed broker is let in again once its old session has ended: 3 s instead of 9.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "log.retention.ms": "-1",
    "log.retention.bytes": "-1",
    "log.cleaner.dedupe.buffer.size": str(16 * 2**20),
}

READY_TIMEOUT_S = 60.0
STOP_GRACE_S = 15.0
DOWNLOAD_TIMEOUT_S = 600.0


class Missing(ChildFailed):
    """Java, Maven or Kafka's jars are not on this machine and cannot be brought to it; the first line says why."""


class Server:
    """One broker with its data below `home`; the ports stay the same over kill() and start()."""

    def __init__(self, home: Path) -> None:
        home = home.resolve()
        self._folder = home / "kafka"
        self._data = self._folder / "data"
        self._config = self._folder / "server.properties"
        self._log = home / "logs" / "kafka.log"
        self._ports = free_ports(2)
        self._cluster = cluster_id()
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """HOST:PORT for clients."""
        return f"127.0.0.1:{self._ports[0]}"

    @property
    def pid(self) -> int:
        return self._running_child().pid

    def start(self) -> None:
        """Fetch and format what is missing, start, and wait until topics and consumer groups are served."""
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Fetch and format what is missing and start, without waiting: a node of several needs the others first."""
        clear_orphans("java", str(self._config))
        java = provide()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text("".join(f"{key}={value}\n" for key, value in self.settings().items()))
        if not (self._data / "formatted").exists():
            self._format(java)
        self._child = spawn("kafka", [*java, "kafka.Kafka", str(self._config)], log=self._log)

    def wait_ready(self) -> None:
        """Wait until topics and consumer groups are served."""
        child = self._running_child()
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            child.check_running()
            # The port first: a client that finds it closed writes an error to the log at each try.
            if _listens(self._ports[0]) and _serves(self.bootstrap):
                return
            time.sleep(0.05)
        child.kill()
        raise ChildFailed(f"kafka not ready after {READY_TIMEOUT_S:g} s\n{tail(self._log)}")

    def stop(self) -> None:
        """Controlled shutdown."""
        child, self._child = self._child, None
        if child is None:
            return
        child.process.send_signal(signal.SIGTERM)
        try:
            child.process.wait(timeout=STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()

    def kill(self) -> None:
        """SIGKILL the broker: a crash, which start() must recover from."""
        self._running_child().kill()
        self._child = None

    def _running_child(self) -> Child:
        if self._child is None:
            raise ChildFailed("kafka is not started")
        return self._child

    def settings(self) -> dict[str, str]:
        """What this node is configured by."""
        broker, controller = (f"127.0.0.1:{port}" for port in self._ports)
        addresses = {
            "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{broker}",
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": str(self._data),
        }
        return {**SETTINGS, **addresses}

    def _format(self, java: list[str]) -> None:
        # The mark comes last: a folder formatted half-way is thrown away.
        shutil.rmtree(self._data, ignore_errors=True)
        run([*java, "kafka.tools.StorageTool", "format", "-t", self._cluster, "-c", str(self._config)])
        (self._data / "formatted").touch()


@contextmanager
def serving(home: Path) -> Iterator[Server]:
    """A started broker with its data below `home`, stopped at the end; one at a time for one `home`."""
    with locked(home / "kafka.lock"):
        server = Server(home)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def running(home: Path) -> Iterator[str]:
    """The bootstrap address of a broker with its data below `home` (the clone's git-ignored `var/`)."""
    with serving(home) as server:
        yield server.bootstrap


def wipe(home: Path) -> None:
    """Forget all topics below `home`, never the jars; ChildFailed while a broker uses it."""
    with locked(home / "kafka.lock"):
        shutil.rmtree(home / "kafka" / "data", ignore_errors=True)


def provide() -> list[str]:
    """The command that runs a class of Kafka; what is missing is installed and fetched, else Missing is raised."""
    return _java(install_jars(LIBS))


def install_jars(libs: Path) -> Path:
    """The folder of Kafka's jars, fetched by Maven when `pom.xml` changed or they are not there yet."""
    wanted = hashlib.sha256(POM.read_bytes()).hexdigest()
    mark = libs / "complete"
    if mark.exists() and mark.read_text() == wanted:
        return libs
    with locked(libs.with_name("libs.lock"), patience_s=FETCH_SECONDS_MAX):
        if mark.exists() and mark.read_text() == wanted:  # fetched by another meanwhile
            return libs
        maven = shutil.which("mvn") or _apt_install("mvn", "maven", "Apache Maven 3.8 or later")
        new = libs.with_name("libs.new")
        shutil.rmtree(new, ignore_errors=True)
        print("kafka: fetching its jars with Maven (once per clone)", flush=True)
        copy = ["-q", "-B", "--strict-checksums", "-f", str(POM), "dependency:copy-dependencies"]
        fetch = [maven, *copy, f"-DoutputDirectory={new}", "-DincludeScope=runtime"]
        _or_missing("Maven could not fetch Kafka's jars", fetch)
        (new / "complete").write_text(wanted)
        shutil.rmtree(libs, ignore_errors=True)
        new.rename(libs)
    return libs


def cluster_id() -> str:
    """A cluster id as Kafka draws one: never with a hyphen in front, which its own tool would take for an option."""
    raw = uuid.uuid4().bytes
    return base64.urlsafe_b64encode(bytes([raw[0] & 0x7F, *raw[1:]])).decode().rstrip("=")


def _java(libs: Path) -> list[str]:
    java = shutil.which("java") or _apt_install("java", "default-jre-headless", "Java 17 or later")
    printed = run([java, "-version"])
    version = re.search(r'version "(\d+)', printed)
    if version is None or int(version[1]) < JAVA_VERSION_MIN:
        raise Missing(f"Kafka needs Java {JAVA_VERSION_MIN} or later, {java} says: {printed.splitlines()[0]}")
    return [java, *JAVA_OPTIONS, *QUICK_OPTIONS, "-cp", f"{libs}/*"]


def _apt_install(program: str, package: str, what: str) -> str:
    """Install `package` when we are root on Debian or a child of it; else say what to install."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise Missing(f"`{program}` is missing: install {what} (on Debian or Ubuntu: apt-get install {package})")
    print(f"kafka: installing {package}, because `{program}` is missing", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    failed = f"`{program}` is missing and apt-get could not install {package}: install {what}"
    _or_missing(failed, [apt, "update", "-qq"], env)
    _or_missing(failed, [apt, "install", "-y", "-qq", "--no-install-recommends", package], env)
    found = shutil.which(program)
    if found is None:
        raise Missing(f"`{program}` is still missing after apt-get install {package}: install {what}")
    return found


def _or_missing(failed: str, argv: list[str], env: Mapping[str, str] | None = None) -> None:
    """Run what brings something to this machine; when it fails, Missing says what `failed` and how."""
    try:
        run(argv, env=env, timeout_s=DOWNLOAD_TIMEOUT_S)
    except ChildFailed as why:
        raise Missing(f"{failed}\n{why}") from why


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _serves(bootstrap: str) -> bool:
    # On a thread, because the caller may run inside an event loop of its own.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, _answers(bootstrap)).result()


async def _answers(bootstrap: str) -> bool:
    """The broker knows itself and a group coordinator is there (the first request makes the offsets topic)."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await admin.start()
        brokers = (await admin.describe_cluster())["brokers"]
        await admin.find_coordinator("silverbear.ready")
    except KafkaError as refused:
        logging.getLogger(__name__).debug("not ready: %r", refused)
        return False
    finally:
        await admin.close()
    return len(brokers) > 0
