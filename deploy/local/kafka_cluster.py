"""Three real brokers (KRaft, each also a controller): what one of them acknowledged, two of them have on disk.

Every broker has a second listener whose advertised address the caller chooses, so that clients of that listener can be
led through a proxy.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from deploy.local import kafka
from deploy.local.process import ChildFailed, free_ports

COPIES, COPIES_MIN = 3, 2
CLUSTER_SETTINGS = {
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,LED:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "default.replication.factor": str(COPIES),
    "min.insync.replicas": str(COPIES_MIN),
    "offsets.topic.replication.factor": str(COPIES),
    "transaction.state.log.replication.factor": str(COPIES),
    "transaction.state.log.min.isr": str(COPIES_MIN),
    "share.coordinator.state.topic.replication.factor": str(COPIES),
    "share.coordinator.state.topic.min.isr": str(COPIES_MIN),
}


class Node(kafka.Server):
    """One broker and controller of several; `led` is the address told to clients of its second listener."""

    def __init__(self, home: Path, number: int, cluster: str, ports: Sequence[int]) -> None:
        super().__init__(home)
        self.number, self._cluster = number, cluster
        *self._ports, self.second_port = ports
        self.led = f"127.0.0.1:{self.second_port}"
        self.voters = ""

    @property
    def voter(self) -> str:
        """This node as the others find its controller."""
        return f"{self.number}@127.0.0.1:{self._ports[1]}"

    def settings(self) -> dict[str, str]:
        """What this node is configured by."""
        listeners = f"PLAINTEXT://{self.bootstrap},LED://127.0.0.1:{self.second_port}"
        alone = len(self.voters.split(",")) == 1
        return {
            **super().settings(),
            **({} if alone else CLUSTER_SETTINGS),
            "listener.security.protocol.map": CLUSTER_SETTINGS["listener.security.protocol.map"],
            "inter.broker.listener.name": CLUSTER_SETTINGS["inter.broker.listener.name"],
            "node.id": str(self.number),
            "listeners": f"{listeners},CONTROLLER://{self.voter.partition('@')[2]}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap},LED://{self.led}",
            "controller.quorum.voters": self.voters,
        }

    @property
    def leads(self) -> tuple[int, int]:
        """The latest controller this node has heard of: (epoch, node number), (-1, -1) for none."""
        with suppress(OSError, ValueError):
            state = json.loads((self._data / "__cluster_metadata-0" / "quorum-state").read_text())
            return state["leaderEpoch"], state["leaderId"]
        return -1, -1


class Cluster:
    """`count` nodes with their data below `home`, one folder each; ports stay the same over kill and start."""

    def __init__(self, home: Path, count: int = COPIES) -> None:
        if count == 2:  # noqa: PLR2004 - two nodes have no majority without each other
            raise ChildFailed("a cluster has one node or at least three")
        cluster, ports = kafka.cluster_id(), free_ports(3 * count)
        self.nodes = [
            Node(home / f"broker-{number}", number, cluster, ports[3 * number - 3 : 3 * number])
            for number in range(1, count + 1)
        ]
        for node in self.nodes:
            node.voters = ",".join(each.voter for each in self.nodes)

    @property
    def bootstrap(self) -> str:
        """The nodes' own addresses, for clients."""
        return ",".join(node.bootstrap for node in self.nodes)

    @property
    def led_bootstrap(self) -> str:
        """The addresses of the second listeners, as they are told to clients."""
        return ",".join(node.led for node in self.nodes)

    def start(self, nodes: Sequence[Node] = ()) -> None:
        """Start nodes (all unless named) together and wait until each serves: a majority has to meet."""
        chosen = nodes or self.nodes
        for node in chosen:
            node.launch()
        for node in chosen:
            node.wait_ready()

    def stop(self) -> None:
        """End all nodes; what they acknowledged is on disk, so a kill is as good as a handover among three."""
        for node in self.nodes:
            with suppress(ChildFailed):
                node.kill()

    def controller(self) -> Node:
        """The node that leads the controllers, as far as the nodes' own files tell."""
        _, number = max(node.leads for node in self.nodes)
        return next((node for node in self.nodes if node.number == number), self.nodes[0])
