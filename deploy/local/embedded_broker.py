"""A broker of Kafka's protocol in memory, for a machine on which Python is all there is.

It is librdkafka's own test broker, out of the `confluent-kafka` wheel. A group has one member, nothing outlives the
process, and what a partition holds beyond 5 MiB pushes its oldest records out without a word: hence LOANS_MAX.
`python -m deploy.local.embedded_broker ADDRESS_FILE TOPIC=PARTITIONS...` runs it until it is ended.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path
from types import MappingProxyType

from deploy.local.process import Child, ChildFailed, spawn, tail, terminate

ROOT = Path(__file__).resolve().parents[2]
WHEEL = "confluent-kafka"
READY_TIMEOUT_S = 60.0
LOANS_MAX = 500
"""The fullest partition has 5 MiB. Measured: 500 generated loans fill 0.8 MB of theirs (of `application`), 200 loans of
the public file 0.6 MB (of `clock`, by 687 business days), so 500 of those at most 1.6 MB: a third of what there is."""

_BROKER = 1  # the number of the only one
_PRODUCER = 0
_ERROR_BYTES = 256
_Handle = ctypes.c_void_p
_SIGNATURES: dict[str, tuple[type | None, list[type]]] = {
    "rd_kafka_conf_new": (_Handle, []),
    "rd_kafka_conf_set": (ctypes.c_int, [_Handle, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]),
    "rd_kafka_new": (_Handle, [ctypes.c_int, _Handle, ctypes.c_char_p, ctypes.c_size_t]),
    "rd_kafka_destroy": (None, [_Handle]),
    "rd_kafka_err2str": (ctypes.c_char_p, [ctypes.c_int]),
    "rd_kafka_mock_cluster_new": (_Handle, [_Handle, ctypes.c_int]),
    "rd_kafka_mock_cluster_destroy": (None, [_Handle]),
    "rd_kafka_mock_cluster_bootstraps": (ctypes.c_char_p, [_Handle]),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [_Handle, ctypes.c_int32]),
    "rd_kafka_mock_topic_create": (ctypes.c_int, [_Handle, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]),
    "rd_kafka_mock_broker_set_down": (ctypes.c_int, [_Handle, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_up": (ctypes.c_int, [_Handle, ctypes.c_int32]),
}


class MemoryBroker:
    """One broker in this process, served by librdkafka's own threads on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL(str(_library()))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._lib, name)
            function.restype, function.argtypes = result, arguments
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        settings = self._lib.rd_kafka_conf_new()
        self._lib.rd_kafka_conf_set(settings, b"log_level", b"3", error, _ERROR_BYTES)  # errors only
        self._client = self._lib.rd_kafka_new(_PRODUCER, settings, error, _ERROR_BYTES)
        self._cluster = self._client and self._lib.rd_kafka_mock_cluster_new(self._client, 1)
        if not self._cluster:
            raise ChildFailed(f"librdkafka starts no broker: {error.value.decode()}")
        self._lib.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)

    @property
    def bootstrap(self) -> str:
        """HOST:PORT for clients."""
        address: bytes = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return address.decode()

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic; its admin protocol knows no such request. ChildFailed for one that is there already."""
        self._check(self._lib.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1), f"topic {name}")

    def go_away(self) -> None:
        """Close all connections and refuse new ones, keeping the records."""
        self._check(self._lib.rd_kafka_mock_broker_set_down(self._cluster, _BROKER), "going down")

    def come_back(self) -> None:
        """Serve again."""
        self._check(self._lib.rd_kafka_mock_broker_set_up(self._cluster, _BROKER), "coming up")

    def close(self) -> None:
        """End it; all records are gone."""
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._client)

    def _check(self, code: int, what: str) -> None:
        if code != 0:
            raise ChildFailed(f"{what}: {self._lib.rd_kafka_err2str(code).decode()}")


@dataclass(frozen=True, slots=True)
class Serving:
    """A broker that runs as a child, and where it listens."""

    child: Child
    bootstrap: str

    @property
    def pid(self) -> int:
        return self.child.pid


@contextmanager
def serving(home: Path, topics: Mapping[str, int] = MappingProxyType({})) -> Iterator[Serving]:
    """A broker as a child of its own, with `topics` by their number of partitions."""
    log, address = home / "logs" / "embedded-broker.log", home / "embedded-broker.address"
    address.parent.mkdir(parents=True, exist_ok=True)
    address.unlink(missing_ok=True)
    words = [f"{name}={partitions}" for name, partitions in topics.items()]
    child = spawn("embedded broker", [sys.executable, "-m", __name__, str(address), *words], log=log, cwd=ROOT)
    try:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not address.exists():
            child.check_running()
            if time.monotonic() > deadline:
                raise ChildFailed(f"embedded broker not ready after {READY_TIMEOUT_S:g} s\n{tail(log)}")
            time.sleep(0.02)
        yield Serving(child, address.read_text("utf-8"))
    finally:
        terminate(child)


def _library() -> Path:
    """librdkafka as the wheel carries it."""
    for file in files(WHEEL) or ():
        if file.name.startswith("librdkafka") and file.suffix != ".py":
            return Path(str(file.locate()))
    raise ChildFailed(f"the wheel {WHEEL} carries no librdkafka on this platform")


def main(arguments: list[str]) -> None:
    """Serve, and say where once the topics are there; the address appears in its file at once and whole."""
    address, *topics = arguments
    broker = MemoryBroker()
    for topic in topics:
        name, _, partitions = topic.partition("=")
        broker.create_topic(name, int(partitions))
    half = Path(f"{address}.half")
    half.write_text(broker.bootstrap, "utf-8")
    half.rename(address)
    while True:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
