"""Which topic a name means now, and where its partitions begin and end; no open transaction hides anything."""

from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import for_code

ROUND_TRIP_MS = 5_000
"""How long one question to the broker may take, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Ends:
    """First offset and next offset of each partition."""

    earliest: dict[TopicPartition, int]
    latest: dict[TopicPartition, int]


def topic_id_of(admin: KafkaAdminClient, topic: str) -> str:
    """The topic's id, which a topic created anew under the same name does not share.

    Raises:
        KafkaError: the broker did not answer, or has no such topic.
    """
    return str(_described(admin, topic)["topic_id"])


def ends_of(admin: KafkaAdminClient, topic: str) -> Ends:
    """The ends of every partition of a topic.

    The ends of a read_committed consumer are the last *stable* offsets: one open transaction of a dead worker
    hides committed records behind it. These are read_uncommitted.

    Raises:
        KafkaError: the broker did not answer, or has no such topic.
    """
    described = _described(admin, topic)
    partitions = [TopicPartition(topic, partition["partition_index"]) for partition in described["partitions"]]
    earliest = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST), timeout_ms=ROUND_TRIP_MS)
    latest = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST), timeout_ms=ROUND_TRIP_MS)
    return Ends(
        {partition: found.offset for partition, found in earliest.items()},
        {partition: found.offset for partition, found in latest.items()},
    )


def _described(admin: KafkaAdminClient, topic: str) -> Any:
    (described,) = admin.describe_topics([topic])
    if described["error_code"]:
        raise for_code(described["error_code"])(f"topic {topic}")
    return described
