"""Three nodes of one Kafka cluster, each of which may be killed while the other two serve."""

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.local.broker import Broker
from deploy.local.kafka_jars import find_kafka
from deploy.local.process import free_ports
from deploy.local.server import to_stderr

NODES = 3
HEAP = "320m"


class Cluster:
    """``with Cluster() as cluster: …``; everything ends and goes at the end of the block.

    Fixtures take it in the place of a `Stack`: it has `broker.address`, which names all nodes, and `environment`.
    """

    nodes: list[Broker]

    def __enter__(self) -> Self:
        kafka = find_kafka(to_stderr)
        self._folder = Path(tempfile.mkdtemp(prefix="placestream-"))
        ports = free_ports(2 * NODES)
        voters = {number + 1: ports[NODES + number] for number in range(NODES)}
        self.nodes = [
            Broker(
                self._folder / f"node-{node_id}",
                kafka,
                (ports[node_id - 1], controller),
                node_id=node_id,
                voters=voters,
                heap=HEAP,
            )
            for node_id, controller in voters.items()
        ]
        try:
            with ThreadPoolExecutor(NODES) as threads:  # none answers before two are there
                list(threads.map(Broker.start, self.nodes))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def broker(self) -> Self:
        """All nodes together."""
        return self

    @property
    def address(self) -> str:
        """host:port of each node."""
        return ",".join(node.address for node in self.nodes)

    @property
    def environment(self) -> dict[str, str]:
        """The variable by which every command of Placestream finds it."""
        return {"PLACESTREAM_BOOTSTRAP_SERVERS": self.address}

    def leads(self, node: Broker) -> int:
        """How many partitions this node leads, Kafka's own included."""
        return sum(partition["leader_id"] == node.node_id for partition in self._partitions())

    def is_in_sync(self) -> bool:
        """Whether every copy of every partition, Kafka's own included, is up to date."""
        try:
            return all(len(partition["isr_nodes"]) == NODES for partition in self._partitions())
        except KafkaError:  # a node that has just begun: look again
            return False

    def _partitions(self) -> list[dict[str, Any]]:
        with closing(KafkaAdminClient(bootstrap_servers=self.address, request_timeout_ms=5_000)) as admin:
            return [partition for topic in admin.describe_topics() for partition in topic["partitions"]]

    def _end(self) -> None:
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
