"""One Kafka broker (KRaft, its own controller) on loopback ports."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.local.kafka_jars import Kafka
from deploy.local.process import HOST, Process
from deploy.local.server import Server, StartError

CLUSTER_ID = "UGxhY2VzdHJlYW1Mb2NhbA"
"""A uuid in base64, the same for all nodes of a cluster."""

FORMAT_TIMEOUT = 60.0
"""Seconds for Kafka's StorageTool to prepare the data folder; about one here."""


class Broker(Server):
    """A broker that keeps its topics over kill and restart.

    Args:
        folder: where its data goes.
        kafka: how to run Kafka; see `find_kafka`.
        ports: the clients' and the controller's port, or none for free ones.
        node_id: its number in the cluster.
        voters: node id -> controller port of every node of the cluster; None: this node alone.
        properties: more of the broker's own properties, e.g. for a TLS listener; they win.
        scram: user -> password of SCRAM-SHA-512, known from the first start on.
        heap: the most that it takes, in Java's notation for bytes. It needs one GiB for the 8 million headers that
            fit into a record of 16 MiB.
    """

    name = "kafka"
    ports_needed = 2

    def __init__(
        self,
        folder: Path,
        kafka: Kafka,
        ports: Sequence[int] = (),
        *,
        node_id: int = 1,
        voters: Mapping[int, int] | None = None,
        properties: Mapping[str, str] | None = None,
        scram: Mapping[str, str] | None = None,
        heap: str = "2g",
    ) -> None:
        super().__init__(folder, ports)
        self.node_id = node_id
        self._kafka = kafka
        self._voters = voters
        self._properties = dict(properties or {})
        self._scram = dict(scram or {})
        self._heap = heap

    def command(self) -> Sequence[str | Path]:
        """The broker; writes its properties, and formats its data folder once.

        Raises:
            StartError: the data folder cannot be formatted.
        """
        file = self.folder / "server.properties"
        port, controller_port = self.ports
        voters = self._voters or {self.node_id: controller_port}
        properties = server_properties(self.node_id, port, voters, self.folder / "data") | self._properties
        file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()), encoding="utf-8")
        if not (self.folder / "data" / "meta.properties").exists():
            self._format(file)
        return self._kafka.command("kafka.Kafka", file, temp=self.folder, heap=self._heap)

    def _format(self, properties: Path) -> None:
        users = [f"SCRAM-SHA-512=[name={user},password={password}]" for user, password in self._scram.items()]
        scram = [argument for user in users for argument in ("--add-scram", user)]
        tool = self._kafka.command(
            "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", properties, *scram, temp=self.folder
        )
        formatting = Process(tool, self.log)
        try:
            code = formatting.wait(FORMAT_TIMEOUT)
        finally:
            formatting.kill()
        if code != 0:
            raise StartError(self.explain("cannot format its data folder"))

    def answers(self) -> bool:
        """Whether the cluster's controller lets this broker serve."""
        try:
            socket.create_connection((HOST, self.port), timeout=1.0).close()  # cheaper than a client while it comes up
            admin = KafkaAdminClient(bootstrap_servers=self.address, bootstrap_timeout_ms=2000, request_timeout_ms=5000)
            try:
                brokers = admin._manager.cluster.brokers()  # `describe_cluster` fails before Kafka 3.5
            finally:
                admin.close()
        except (OSError, KafkaError):
            return False
        return any(self.port == broker.port for broker in brokers)


def server_properties(node_id: int, port: int, voters: Mapping[int, int], data: Path) -> dict[str, str]:
    """The broker's properties: fast to start and to rebalance, never creating a topic by mistake.

    Args:
        node_id: its number in the cluster.
        port: for clients; plain text, loopback only.
        voters: node id -> controller port of every node of the cluster, this one's included.
        data: the folder for its log segments.
    """
    copies = str(min(3, len(voters)))
    in_sync = str(min(2, len(voters)))
    return {
        "process.roles": "broker,controller",
        "node.id": str(node_id),
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{voters[node_id]}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": ",".join(f"{node}@{HOST}:{voter}" for node, voter in voters.items()),
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": "4",  # 50 folders, recovered one by one after a kill
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": "4",
        # after a kill the controller holds the dead broker's place for this long before the new one gets it
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "group.initial.rebalance.delay.ms": "0",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",  # consumer/kafka/README.md, fact 13
    }
