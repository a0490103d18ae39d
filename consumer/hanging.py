"""Transactions that their coordinator has forgotten: they hide what lies behind them and, worse, come back to life.

Apache Kafka 4.4.0 (seen with one node): when a broker comes up and a transaction is aborted before its topics have a
leader, the coordinator takes the partitions for deleted, skips their markers and calls the abort complete. The open
transaction stays in the log, and the *next* commit of the same transactional id commits its records as well (probed:
10 records of a killed producer became visible). So whoever promises exactly once ends it before writing.
"""

import logging
from collections.abc import Sequence
from typing import Any

from kafka import TopicPartition
from kafka.admin import AbortTransactionSpec

from producer.logs import event

log = logging.getLogger(__name__)


def end_hanging(admin: Any, transactional_id: str, topics: Sequence[str]) -> list[TopicPartition]:
    """End what hangs of a transactional id, after its `init_transactions` and before its first record.

    Then no transaction of it may be open anywhere, so whatever is open hangs.

    Args:
        admin: a connected `KafkaAdminClient`.
        transactional_id: initialised by this process.
        topics: those it writes to; they exist.

    Returns:
        The partitions in which one was ended.

    Raises:
        KafkaError: the broker does not answer, or refuses: ending one takes the ACL CLUSTER_ACTION.
    """
    producer_id = admin.describe_transactions([transactional_id])[transactional_id].producer_id
    partitions = [
        TopicPartition(topic["name"], partition["partition_index"])
        for topic in admin.describe_topics(list(topics))
        for partition in topic["partitions"]
    ]
    ended = []
    for partition, state in admin.describe_producers(partitions).items():
        for producer in state.active_producers:
            if producer.producer_id == producer_id and producer.current_transaction_start_offset >= 0:
                # The coordinator's epoch as Kafka's own tool gives it; kafka-python's default of -1 is refused.
                coordinator = max(0, producer.coordinator_epoch)
                admin.abort_transaction(
                    AbortTransactionSpec(partition, producer_id, producer.producer_epoch, coordinator)
                )
                ended.append(partition)
                event(
                    log, logging.WARNING, "ended a transaction that the broker had forgotten", topic=partition.topic,
                    partition=partition.partition, from_offset=producer.current_transaction_start_offset,
                )  # fmt: skip
    return ended
