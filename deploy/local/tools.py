"""Kafka's own programs, with their own arguments: `python -m deploy.local kafka-topics --bootstrap-server … --list`."""

import os
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

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


def run(tool: str, argv: Sequence[str]) -> NoReturn:
    """Become one; its jars are fetched (43 MB) at the first time.

    Raises:
        CommandError: the jars cannot be fetched.
    """
    kafka = find_kafka(jars_of="kafka-tools")
    command = kafka.command(f"{PACKAGE}.{TOOLS[tool]}", *argv, temp=Path(tempfile.gettempdir()))
    os.execv(kafka.java, [str(part) for part in command])  # signals and exit code are its own


kafka_acls = partial(run, "kafka-acls")
kafka_configs = partial(run, "kafka-configs")
kafka_console_consumer = partial(run, "kafka-console-consumer")
kafka_consumer_groups = partial(run, "kafka-consumer-groups")
kafka_delete_records = partial(run, "kafka-delete-records")
kafka_topics = partial(run, "kafka-topics")
kafka_transactions = partial(run, "kafka-transactions")
