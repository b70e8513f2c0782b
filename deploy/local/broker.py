"""Which broker carries the events: your own, Apache Kafka as a child, or one in memory where Java cannot be had."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deploy.local import embedded_broker, kafka
from deploy.local.embedded_broker import LOANS_MAX
from deploy.local.process import ChildFailed

AUTO = "auto"


class Kind(StrEnum):
    """What the broker is."""

    OWN = "own"
    KAFKA = "kafka"
    EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker; on a user's own the topics of this run have a prefix of their own."""

    kind: Kind
    bootstrap: str
    topic_prefix: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """What the services' processes are told beside the address."""
        # The one in memory lets every fetch wait its full time, also when records come meanwhile.
        return {"FETCH_WAIT_MS": "10"} if self.kind is Kind.EMBEDDED else {}


def chosen(wanted: str) -> Kind:
    """The broker for `wanted` (auto, kafka or embedded); auto takes what this machine can run, and says what it lacks.

    KAFKA_BOOTSTRAP names a server of the user's own, which stands for `kafka`. Raises ChildFailed for another word.
    """
    if wanted not in (AUTO, Kind.KAFKA, Kind.EMBEDDED):
        raise ChildFailed(f"BROKER={wanted}: it is auto, kafka or embedded")
    if wanted != Kind.EMBEDDED and "KAFKA_BOOTSTRAP" in os.environ:
        return Kind.OWN
    if wanted == Kind.KAFKA:
        return Kind.KAFKA
    reason = "as wanted"
    if wanted == AUTO:
        try:
            kafka.provide()
        except kafka.Missing as missing:
            reason = str(missing).splitlines()[0]
        else:
            return Kind.KAFKA
    print(
        "Broker: librdkafka's, in memory, instead of Apache Kafka: one process of each service, nothing is kept,"
        f" at most {LOANS_MAX} loans ({reason})",
        flush=True,
    )
    return Kind.EMBEDDED


def check_within(kind: Kind, *, replicas: int = 1, loans: int = 0) -> None:
    """Raise ChildFailed for what the broker in memory cannot do."""
    if kind is not Kind.EMBEDDED:
        return
    if replicas > 1:
        raise ChildFailed(
            f"REPLICAS={replicas}: the broker in memory has one process of each service; use BROKER=kafka"
        )
    if loans > LOANS_MAX:
        raise ChildFailed(
            f"LIMIT={loans}: the broker in memory holds the events of {LOANS_MAX} loans; use BROKER=kafka"
        )


@contextmanager
def running(kind: Kind, home: Path, topics: Mapping[str, int]) -> Iterator[Broker]:
    """A broker without any records of an earlier run; the one in memory has `topics` by their number of partitions."""
    if kind is Kind.OWN:
        yield Broker(kind, os.environ["KAFKA_BOOTSTRAP"], f"run-{secrets.token_hex(3)}.")
    elif kind is Kind.KAFKA:
        kafka.wipe(home)
        with kafka.running(home) as bootstrap:
            yield Broker(kind, bootstrap)
    else:
        with embedded_broker.serving(home, topics) as served:
            yield Broker(kind, served.bootstrap)
