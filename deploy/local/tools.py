"""Kafka's own programs, with their own arguments: `python -m deploy.local kafka-topics --bootstrap-server … --list`."""

import subprocess
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from deploy.local.kafka_jars import find_kafka

PACKAGE = "org.apache.kafka.tools"
TOOLS = {
    "kafka-acls": "AclCommand",
    "kafka-configs": "ConfigCommand",
    "kafka-console-consumer": "consumer.ConsoleConsumer",
    "kafka-consumer-groups": "consumer.group.ConsumerGroupCommand",
    "kafka-delete-records": "DeleteRecordsCommand",
    "kafka-topics": "TopicCommand",
    "kafka-transactions": "TransactionsCommand",
}
"""Those that Placestream's pages name."""


def run(tool: str, argv: Sequence[str]) -> int:
    """Run one; its jars are fetched (43 MB) at the first time.

    Returns:
        Its exit code.

    Raises:
        CommandError: the jars cannot be fetched.
    """
    kafka = find_kafka(jars_of="kafka-tools")
    with tempfile.TemporaryDirectory(prefix="placestream-") as temp:
        return subprocess.run(kafka.command(f"{PACKAGE}.{TOOLS[tool]}", *argv, temp=Path(temp))).returncode


kafka_acls = partial(run, "kafka-acls")
kafka_configs = partial(run, "kafka-configs")
kafka_console_consumer = partial(run, "kafka-console-consumer")
kafka_consumer_groups = partial(run, "kafka-consumer-groups")
kafka_delete_records = partial(run, "kafka-delete-records")
kafka_topics = partial(run, "kafka-topics")
kafka_transactions = partial(run, "kafka-transactions")
